//! Paths that are the same as another one.

use std::borrow::Cow;

/// A path without doubled slashes and without one at its end, which bases of URLs put together bring along; letters,
/// digits and `-._~` that stand escaped for no reason are what they stand for (RFC 3986, section 6.2.2.2).
#[must_use]
pub fn normal(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    let is_normal = !bytes.contains(&b'%') && !path.contains("//") && (!path.ends_with('/') || path == "/");
    if is_normal {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let (next, length) = match unescaped(rest.as_bytes()) {
            Some(byte) => (char::from(byte), 3),
            None => (next, next.len_utf8()),
        };
        if next != '/' || !out.ends_with('/') {
            out.push(next);
        }
        rest = &rest[length..];
    }
    if out.len() > 1 && out.ends_with('/') {
        out.pop();
    }
    Cow::Owned(out)
}

/// The byte that an escape at the beginning stands for, if it need not be escaped.
fn unescaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same() {
        for (path, same) in [
            ("/", "/"),
            ("//", "/"),
            ("/v1/models", "/v1/models"),
            ("/v1/models/", "/v1/models"),
            ("//v1///chat//completions//", "/v1/chat/completions"),
            ("/v1/%63hat/completions", "/v1/chat/completions"),
            ("/v1/models/org%2Fname", "/v1/models/org%2Fname"),
            ("/v1/models/org%2F/", "/v1/models/org%2F"),
            ("/v1/models/%2541", "/v1/models/%2541"),
            ("/v1/models/%C3%A9%7e%", "/v1/models/%C3%A9~%"),
            ("/v1/models/é%4", "/v1/models/é%4"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(normal(path), same, "{path}");
        }
    }
}
