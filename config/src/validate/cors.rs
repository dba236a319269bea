//! Origins as browsers write them.

use super::Problems;
use crate::Cors;

impl Problems {
    pub(super) fn cors(&mut self, cors: &Cors) {
        if cors.origins.is_empty() {
            self.add(
                "gateway.cors.origins",
                "names no page: list origins such as \"https://app.example\", or leave `cors` out",
            );
        }
        if cors.is_for_any() && cors.origins.len() > 1 {
            self.add(
                "gateway.cors.origins",
                "`*` is for pages of any origin: leave the others out, or leave `*` out",
            );
        }
        for (i, origin) in cors.origins.iter().enumerate() {
            if let Some(what) = wrong(origin) {
                self.add(format!("gateway.cors.origins[{i}]"), format!("{origin:?} {what}"));
            }
        }
        let path = |i: usize| format!("gateway.cors.origins[{i}]");
        self.unique(cors.origins.iter().enumerate().map(|(i, origin)| (path(i), origin.as_str())));
        self.range("gateway.cors.max_age_s", cors.max_age_s, 0, 86_400);
    }
}

/// Why no browser sends this as an `Origin`, and what to write instead.
fn wrong(origin: &str) -> Option<String> {
    const FORM: &str = "write scheme, host and port as browsers send them, such as \"https://app.example\" or \
                        \"http://localhost:3000\"";
    let bad = |what: &str| Some(format!("{what}: {FORM}"));
    if origin == Cors::ANY {
        return None;
    }
    if origin == "null" {
        return Some(
            "is sent by every local file and sandboxed frame: serve the page from an origin of its own, or allow any with \"*\""
                .to_owned(),
        );
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return bad("is not an origin") };
    if origin.contains('*') {
        return bad("has a wildcard; origins are compared as a whole");
    }
    if authority.contains(['/', '?', '#']) {
        return bad("has a path or a slash at its end");
    }
    if origin.bytes().any(|b| b.is_ascii_uppercase()) {
        return bad("has capitals, which no browser sends");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let usual = match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    };
    if port.is_some() && port == usual {
        return bad("names the scheme's own port, which browsers leave out");
    }
    if is_scheme(scheme) && is_host(host) && port.is_none_or(is_port) {
        None
    } else {
        bad("is not an origin")
    }
}

/// Also those of extensions and desktop shells: `chrome-extension`, `tauri`, `app`.
fn is_scheme(scheme: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(good)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            host.split('.').all(|label| !label.is_empty() && label.bytes().all(good))
        }
    }
}

fn is_port(port: &str) -> bool {
    // No sign and no zeros in front.
    port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_as_browsers_send_them() {
        for good in [
            "*",
            "https://app.example",
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "tauri://localhost",
            "app://obsidian.md",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for (bad, what) in [
            ("", "is not an origin"),
            ("app.example", "is not an origin"),
            ("null", "sandboxed"),
            ("https://*.app.example", "wildcard"),
            ("https://app.example/", "slash"),
            ("https://app.example/chat", "path"),
            ("https://App.example", "capitals"),
            ("https://app.example:443", "leave out"),
            ("http://app.example:80", "leave out"),
            ("https://app.example:0443", "is not an origin"),
            ("https://app.example:99999", "is not an origin"),
            ("https://app.example:", "is not an origin"),
            ("https://a b.example", "is not an origin"),
            ("https://user@app.example", "is not an origin"),
            ("https://bücher.example", "is not an origin"),
            ("https://", "is not an origin"),
            ("://app.example", "is not an origin"),
            ("https://app.example\r\nx: y", "is not an origin"),
        ] {
            assert!(wrong(bad).is_some_and(|text| text.contains(what)), "{bad}: {:?}", wrong(bad));
        }
    }
}
