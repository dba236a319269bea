//! Origins that sleep.

use super::Problems;
use crate::{Authority, Config, Kind, LedgerStore, Origin, Wake, WakeVia};

impl Problems {
    pub(super) fn wakes(&mut self, config: &Config) {
        for (i, origin) in config.origins.iter().enumerate() {
            let Some(wake) = &origin.wake else { continue };
            let path = format!("origins[{i}].wake");
            if config.ledger.store == LedgerStore::KeyValue {
                self.add(
                    &path,
                    "needs the ledger's database, so that one wake runs however many ask: `[ledger] store = \"key-value\"` has none",
                );
            }
            self.wake(&path, origin, wake);
        }
    }

    fn wake(&mut self, path: &str, origin: &Origin, wake: &Wake) {
        self.range(&format!("{path}.budget_s"), wake.budget_s, 1, 540);
        self.range(&format!("{path}.per_hour"), wake.per_hour, 1, 60);
        self.range(&format!("{path}.sleep_after_s"), wake.sleep_after_s, 1, 86_400);
        self.range(&format!("{path}.queue"), wake.queue, 0, 1_000);
        let http = wake.via == WakeVia::Http;
        for (name, given) in [
            ("url", wake.url.is_some()),
            ("method", wake.method.is_some()),
            ("secret", wake.secret.is_some()),
            ("body", wake.body.is_some()),
            ("content_type", wake.content_type.is_some()),
        ] {
            if given && !http {
                self.add(format!("{path}.{name}"), "is for `via = \"http\"`");
            }
        }
        if wake.ready.is_some() && matches!(wake.via, WakeVia::Moegate | WakeVia::Vllm) {
            self.add(format!("{path}.ready"), "is for `via = \"http\"` and `via = \"request\"`");
        }
        match wake.level {
            Some(_) if wake.via != WakeVia::Vllm => {
                self.add(format!("{path}.level"), "is for `via = \"vllm\"`");
            }
            Some(level) => self.range(&format!("{path}.level"), level, 1, 2),
            None => {}
        }
        match (wake.via, origin.kind) {
            (WakeVia::Moegate, kind) if kind != Kind::Moegate => {
                self.add(format!("{path}.via"), "`moegate` is for origins of kind `moegate`");
            }
            (WakeVia::Vllm, kind) if kind != Kind::Vllm => {
                self.add(format!("{path}.via"), "`vllm` is for origins of kind `vllm`");
            }
            _ => {}
        }
        let plain = |text: &str| {
            !text.contains(['#', '\\', '"', '<', '>', '`']) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        match wake.url.as_deref() {
            None if http => self.add(format!("{path}.url"), "is missing: the URL that starts the origin"),
            Some(url) => match Authority::of(url) {
                Some(authority) if authority.scheme == "https" || authority.is_loopback() => {
                    if !plain(url) {
                        self.add(
                            format!("{path}.url"),
                            "must be of visible ASCII, without a fragment, quotes or brackets",
                        );
                    }
                }
                _ => self.add(
                    format!("{path}.url"),
                    "must be a plain absolute https URL (http is for loopback addresses only)",
                ),
            },
            None => {}
        }
        if let Some(ready) = &wake.ready
            && (!ready.starts_with('/') || !plain(ready))
        {
            self.add(format!("{path}.ready"), "must be a path such as `/health`");
        }
        if let Some(method) = &wake.method
            && !matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH")
        {
            self.add(format!("{path}.method"), "must be GET, POST, PUT or PATCH");
        }
        if let Some(content_type) = &wake.content_type
            && (content_type.is_empty() || !content_type.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
        {
            self.add(format!("{path}.content_type"), "must be a media type such as `application/json`");
        }
        if let Some(name) = &wake.secret {
            self.secret_name(&format!("{path}.secret"), name);
        }
    }
}
