//! What may become a header's name or value.

/// Headers that a configuration may not set: the gateway or the platform does, or they belong to one connection
/// (RFC 9110, section 7.6.1).
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// RFC 9110, section 5.6.2.
pub(super) fn is_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

/// Whether the gateway, the platform or the connection decides this header's value.
pub(super) fn is_reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    RESERVED.contains(&lower.as_str()) || lower.starts_with("x-moegate-")
}

/// Whether a header can have this value (RFC 9110, section 5.5): no control characters, no blanks at its ends.
pub(super) fn is_value(value: &str) -> bool {
    let good = |c: char| c == '\t' || !c.is_control();
    value.chars().all(good) && value.trim_matches([' ', '\t']) == value
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn names_are_those_that_the_gateway_s_header_type_takes() {
        for byte in 0..=127 {
            let name = char::from(byte).to_string();
            assert_eq!(is_name(&name), HeaderName::from_bytes(&[byte]).is_ok(), "{name:?}");
        }
        for name in ["", "a b", "a\r\nb: c", "\u{e4}", "x:", ":authority"] {
            assert!(!is_name(name) && HeaderName::from_bytes(name.as_bytes()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn values_that_pass_are_values() {
        for byte in 0..=127 {
            let value = format!("a{}b", char::from(byte));
            assert_eq!(is_value(&value), HeaderValue::from_str(&value).is_ok(), "{value:?}");
        }
        assert!(is_value("") && !is_value(" a") && !is_value("a\t"));
    }

    #[test]
    fn reserved_in_any_case() {
        for name in RESERVED {
            assert!(is_name(name) && is_reserved(&name.to_uppercase()), "{name}");
        }
        assert!(is_reserved("X-Moegate-Origin") && !is_reserved("CF-Access-Client-Secret"));
    }
}
