//! Raw JSON within a body: where a value stands, and the member it belongs to.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// A string, borrowed where it has no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An explicit null is there too.
///
/// # Errors
/// The deserializer's own.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Where in `body` the raw value `part`, borrowed from it, stands.
pub(super) fn span(body: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.get().len()
}

/// The whole member (`"name": value`) of an object whose value stands there, with the comma that goes when it goes.
/// `None` only where no member of valid JSON stands there.
pub(super) fn member(body: &[u8], value: Range<usize>) -> Option<Range<usize>> {
    let before = body[..value.start].trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let name = before.strip_suffix(b"\"")?;
    // The quote that opens the name: the last one that no odd number of backslashes escapes.
    let mut at = name.len();
    let start = loop {
        at = memchr::memrchr(b'"', &name[..at])?;
        let escapes = name[..at].iter().rev().take_while(|&&b| b == b'\\').count();
        if escapes % 2 == 0 {
            break at;
        }
    };
    let before = body[..start].trim_ascii_end();
    if before.last() == Some(&b',') {
        return Some(before.len() - 1..value.end);
    }
    let rest = body[value.end..].trim_ascii_start();
    let end = body.len() - rest.len() + usize::from(rest.first() == Some(&b','));
    Some(start..end)
}

/// A whole number that fits, however it is written: `1000`, `1000.0`, `1e3`.
pub(super) fn whole_number(raw: &RawValue) -> Option<u64> {
    let text = raw.get();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // RFC 8259 numbers only: `parse` would also take `inf` and `+1`.
    let number: f64 = serde_json::from_str(text).ok()?;
    let whole = number >= 0.0 && number.fract() == 0.0 && number <= (1_u64 << 53) as f64;
    whole.then_some(number as u64)
}

/// Whether a value says something: not null, and not an empty text, list or object, and not `false`.
pub(super) fn says_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_goes_with_its_comma() {
        for (body, value, expected) in [
            (r#"{"a":1,"x":2}"#, "2", r#"{"a":1}"#),
            (r#"{"x":2,"a":1}"#, "2", r#"{"a":1}"#),
            (r#"{ "x" : 2 , "a":1}"#, "2", r#"{  "a":1}"#),
            (r#"{"x":2}"#, "2", "{}"),
            (r#"{"a":"\"","b\"\\":2}"#, "2", r#"{"a":"\""}"#),
        ] {
            let at = body.find(value).unwrap();
            let span = member(body.as_bytes(), at..at + value.len()).unwrap();
            let mut rest = body.to_owned();
            rest.replace_range(span, "");
            assert_eq!(rest, expected, "{body}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("1000", Some(1000)),
            ("1000.0", Some(1000)),
            ("1e3", Some(1000)),
            ("1.5", None),
            ("-1", None),
            ("1e300", None),
            ("\"7\"", None),
            ("null", None),
            ("18446744073709551615", Some(u64::MAX)),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(whole_number(raw), expected, "{text}");
        }
    }
}
