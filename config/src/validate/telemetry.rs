//! Traces.

use super::{Problems, headers};
use crate::{Authority, Telemetry};

impl Problems {
    pub(super) fn telemetry(&mut self, telemetry: &Telemetry) {
        self.range("telemetry.sample_percent", telemetry.sample_percent, 0, 100);
        match telemetry.otlp.as_deref() {
            None if !telemetry.secret_headers.is_empty() => {
                self.add("telemetry.secret_headers", "are for the collector: give its URL as `otlp`, too");
            }
            None => {}
            Some(url) => {
                let good = Authority::of(url).is_some_and(|own| own.scheme == "https" || own.is_loopback());
                if !good || url.contains(['?', '#']) || !url.bytes().all(|b| b.is_ascii_graphic()) {
                    self.add(
                        "telemetry.otlp",
                        "must be a plain absolute https URL without a query, such as `https://collector.example/v1/traces` (http is for loopback addresses only); a key goes into `secret_headers`",
                    );
                }
            }
        }
        for (header, name) in &telemetry.secret_headers {
            let path = format!("telemetry.secret_headers.{}", header.escape_debug());
            if !headers::is_name(header) {
                self.add(path.as_str(), "is not a header name (RFC 9110, token)");
            } else if headers::is_reserved(header) && !header.eq_ignore_ascii_case("authorization") {
                self.add(path.as_str(), "is a header that the gateway sets itself, or one of the connection");
            }
            self.secret_name(&path, name);
        }
    }
}
