//! `allowed_outbound_hosts`: which URLs a component may send requests to.
//!
//! Each entry is `scheme://host[:port]`. The scheme is a name or `*`; the host a name, an address, `*` or `*.domain`; the
//! port a number, a range `first..end` without its end, or `*`; without one it is the scheme's own. Networks in CIDR
//! notation and requests to the application itself are not modelled and are refused.

use std::net::Ipv6Addr;
use std::ops::Range;

use http::Uri;

use crate::failure::{Failure, Result};
use crate::variables::{Values, render};

/// All that a component may reach.
#[derive(Debug, Default)]
pub(crate) struct AllowedHosts(Vec<AllowedHost>);

#[derive(Debug, PartialEq, Eq)]
struct AllowedHost {
    /// `None`: any.
    scheme: Option<String>,
    host: Host,
    port: Port,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// `.example.com`
    Below(String),
    Exactly(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Port {
    Any,
    Exactly(u16),
    Within(Range<u16>),
}

impl AllowedHosts {
    /// Reads the manifest's entries with the variables put in; one that comes out empty is skipped.
    pub(crate) fn parse(entries: &[String], values: &Values) -> Result<Self> {
        let mut hosts = Vec::new();
        for entry in entries {
            let rendered = render(entry, values)?;
            let from_template = entry.contains("{{");
            if from_template && matches!(rendered.as_str(), "" | "http://" | "https://") {
                continue;
            }
            hosts.push(AllowedHost::parse(rendered.trim())?);
        }
        Ok(Self(hosts))
    }

    /// Whether a request to `uri`, whose scheme is `https` unless it says otherwise, may be sent.
    pub(crate) fn allow(&self, uri: &Uri) -> bool {
        let scheme = uri.scheme_str().unwrap_or("https");
        let Some(host) = uri.host() else { return false };
        let host = normal(host);
        self.0.iter().any(|allowed| allowed.allows(scheme, &host, uri.port_u16()))
    }
}

/// Host names without regard to case, IPv6 addresses in one notation.
fn normal(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_ascii_lowercase(),
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl AllowedHost {
    fn parse(entry: &str) -> Result<Self> {
        let wrong = |why: &str| Failure::new(format!("allowed_outbound_hosts: {entry:?}: {why}"));
        let Some((scheme, rest)) = entry.split_once("://") else {
            return Err(wrong("does not contain a scheme (e.g., 'http://' or '*://')"));
        };
        if scheme != "*" && (scheme.is_empty() || !scheme.chars().all(char::is_alphabetic)) {
            return Err(wrong("only alphabetic characters are allowed in the scheme"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(wrong("must not include a path (networks are not modelled here)"));
        }
        let in_brackets = rest.ends_with(']');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !in_brackets => (host, port),
            _ => (rest, ""),
        };
        let port = Port::parse(port, scheme).ok_or_else(|| wrong("invalid allowed host port"))?;
        let host = match host {
            "*" => Host::Any,
            "self" | "self.alt" => {
                return Err(wrong("requests to the application itself are not modelled here"));
            }
            _ => match host.strip_prefix("*.") {
                Some(domain) if !domain.is_empty() && !domain.contains('*') => {
                    Host::Below(format!(".{}", normal(domain)))
                }
                None if !host.is_empty() && !host.contains(['*', '{', '}']) => Host::Exactly(normal(host)),
                _ => return Err(wrong("invalid allowed host: wildcards are allowed only as subdomains")),
            },
        };
        Ok(Self { scheme: (scheme != "*").then(|| scheme.to_owned()), host, port })
    }

    fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let host_allowed = match &self.host {
            Host::Any => true,
            Host::Below(suffix) => host.ends_with(suffix.as_str()),
            Host::Exactly(exactly) => host == exactly,
        };
        let port = port.or_else(|| well_known_port(scheme));
        let port_allowed = match (&self.port, port) {
            (Port::Any, _) => true,
            (Port::Exactly(exactly), Some(port)) => port == *exactly,
            (Port::Within(range), Some(port)) => range.contains(&port),
            (_, None) => false,
        };
        host_allowed && port_allowed && self.scheme.as_deref().is_none_or(|allowed| allowed == scheme)
    }
}

impl Port {
    fn parse(port: &str, scheme: &str) -> Option<Self> {
        match port {
            "" => well_known_port(scheme).map(Self::Exactly),
            "*" => Some(Self::Any),
            _ => match port.split_once("..") {
                Some((first, end)) => Some(Self::Within(first.parse().ok()?..end.parse().ok()?)),
                None => port.parse().ok().map(Self::Exactly),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, uri: &str) -> bool {
        let hosts = AllowedHosts::parse(&[entry.to_owned()], &Values::new()).expect("a valid entry");
        hosts.allow(&uri.parse().expect("a URI"))
    }

    #[test]
    fn scheme_host_and_port_must_all_match() {
        for (entry, uri, allowed) in [
            ("https://api.example.com", "https://api.example.com/v1", true),
            ("https://api.example.com", "https://API.example.com:443/v1", true),
            ("https://api.example.com", "http://api.example.com/v1", false),
            ("https://api.example.com", "https://api.example.com:8443/v1", false),
            ("https://api.example.com", "https://example.com/", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", true),
            ("http://127.0.0.1:8080", "http://localhost:8080/", false),
            ("http://[::1]:8080", "http://[0:0::1]:8080/", true),
            ("http://[::1]", "http://[::1]/", true),
            ("http://localhost:8000..8010", "http://localhost:8009/", true),
            ("http://localhost:8000..8010", "http://localhost:8010/", false),
            ("*://*:*", "http://anything:1/", true),
            ("https://*.example.com", "https://a.b.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://badexample.com/", false),
            ("http://*:*", "https://a.example/", false),
        ] {
            assert_eq!(allows(entry, uri), allowed, "{entry} {uri}");
        }
    }

    #[test]
    fn what_spin_refuses_is_refused() {
        for entry in [
            "*",
            "",
            "example.com",
            "https://a.example/path",
            "*://a.example",
            "http://a.*.example",
            "http://self",
        ] {
            assert!(AllowedHosts::parse(&[entry.to_owned()], &Values::new()).is_err(), "{entry}");
        }
    }

    #[test]
    fn variables_are_put_in_and_an_empty_one_skips_the_entry() {
        let values = Values::from([
            ("url".to_owned(), "http://127.0.0.1:9".to_owned()),
            ("none".to_owned(), String::new()),
        ]);
        let entries = ["{{ url }}".to_owned(), "{{none}}".to_owned(), "https://{{ none }}".to_owned()];
        let hosts = AllowedHosts::parse(&entries, &values).expect("valid entries");
        assert!(hosts.allow(&Uri::from_static("http://127.0.0.1:9/x")));
        assert_eq!(hosts.0.len(), 1);
        assert!(AllowedHosts::parse(&["{{ unknown }}".to_owned()], &values).is_err());
    }
}
