//! Raw JSON within a body: where a value stands, and the member it belongs to.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
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

/// The values of the members of these names. An explicit null is none; of a member given twice the last one holds, as in
/// most parsers. `None` where the text is no JSON object.
pub(crate) fn pick<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let found = pick_with_null(text, names)?;
    Some(found.map(|raw| raw.filter(|raw| raw.get() != "null")))
}

/// The same, where an explicit null is a value.
pub(super) fn pick_with_null<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut found = [None; N];
    pick_into(text, names, &mut found).then_some(found)
}

// Compiled once, whatever the number of names.
fn pick_into<'a>(text: &'a str, names: &[&str], found: &mut [Option<&'a RawValue>]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Picked { names, found }.deserialize(&mut deserializer).and_then(|()| deserializer.end()).is_ok()
}

struct Picked<'p, 'a> {
    names: &'p [&'p str],
    found: &'p mut [Option<&'a RawValue>],
}

impl<'a> DeserializeSeed<'a> for Picked<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Picked<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            match self.names.iter().position(|own| *own == name) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(at) => {
                    self.found[at] = Some(map.next_value()?);
                }
            }
        }
        Ok(())
    }
}

/// A text's characters; `None` where the value is none.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    if let Ok(Text(text)) = serde_json::from_str::<Text<'_>>(raw.get()) {
        return Some(text);
    }
    // Half of a surrogate pair, as where a model's tokens cut a character in two.
    let mended = mended(raw.get())?;
    serde_json::from_str::<String>(&mended).ok().map(Cow::Owned)
}

/// A JSON string whose lone surrogates are U+FFFD; `None` where it has none.
fn mended(text: &str) -> Option<String> {
    let code = |at: usize| u16::from_str_radix(text.get(at..at + 6)?.strip_prefix("\\u")?, 16).ok();
    let mut out = String::with_capacity(text.len());
    let (mut at, mut from, mut found) = (0, 0, false);
    while let Some(next) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        at += next;
        at += match code(at) {
            Some(0xD800..=0xDBFF) if matches!(code(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[from..at]);
                out.push_str("\\ufffd");
                (from, found) = (at + 6, true);
                6
            }
            Some(_) => 6,
            None => 2,
        };
        if at >= text.len() {
            break;
        }
    }
    out.push_str(text.get(from..)?);
    found.then_some(out)
}

/// The elements of an array.
pub(crate) fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// Where in `body` the raw value `part`, borrowed from it, stands.
pub(super) fn span(body: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.get().len()
}

/// The whole member (`"name": value`) of an object whose value stands there, with the comma that goes when it goes.
/// `None` only where no member of valid JSON stands there.
pub(super) fn member(body: &[u8], value: Range<usize>) -> Option<Range<usize>> {
    let start = name_of(body, value.start)?.start;
    let before = body[..start].trim_ascii_end();
    if before.last() == Some(&b',') {
        return Some(before.len() - 1..value.end);
    }
    let rest = body[value.end..].trim_ascii_start();
    let end = body.len() - rest.len() + usize::from(rest.first() == Some(&b','));
    Some(start..end)
}

/// Where the name of the member whose value begins there stands, with its quotes. `None` only where no member of valid JSON
/// stands there.
pub(super) fn name_of(body: &[u8], value: usize) -> Option<Range<usize>> {
    let before = body[..value].trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let name = before.strip_suffix(b"\"")?;
    // The quote that opens the name: the last one that no odd number of backslashes escapes.
    let mut at = name.len();
    loop {
        at = memchr::memrchr(b'"', &name[..at])?;
        let escapes = name[..at].iter().rev().take_while(|&&b| b == b'\\').count();
        if escapes % 2 == 0 {
            return Some(at..before.len());
        }
    }
}

/// A whole number that fits, however it is written: `1000`, `1000.0`, `1e3`.
pub(crate) fn whole_number(raw: &RawValue) -> Option<u64> {
    let text = raw.get();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // RFC 8259 numbers only: `parse` would also take `inf` and `+1`.
    let number: f64 = serde_json::from_str(text).ok()?;
    let whole = number >= 0.0 && number.fract() == 0.0 && number <= (1_u64 << 53) as f64;
    whole.then_some(number as u64)
}

/// Valid JSON on one line.
pub(super) fn on_one_line(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', '\r']) {
        return Cow::Borrowed(json);
    }
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.chars().filter(|&c| {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        in_text = c == '"';
        !c.is_ascii_whitespace()
    });
    Cow::Owned(kept.collect())
}

/// Whether a value says something: not null, and not an empty text, list or object, and not `false`.
pub(super) fn says_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_picked() {
        let picked = |text| {
            pick(text, &["a", "b"]).map(|found| found.map(|raw| raw.map_or("-", RawValue::get)).join(" "))
        };
        for (text, expected) in [
            (r#"{"a":1,"x":{"b":2},"b":[3]}"#, Some("1 [3]")),
            (r#" {"\u0061":1,"a":2,"b":null} "#, Some("2 -")),
            ("{}", Some("- -")),
            ("[1]", None),
            (r#"{"a":1"#, None),
            (r#"{"a":1}x"#, None),
        ] {
            assert_eq!(picked(text).as_deref(), expected, "{text}");
        }
    }

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
    fn lines_are_joined() {
        let json = "{\n \"a \\\"\": [1,\r\n 2],\t\"b\": \"\\\\\"\n}";
        assert_eq!(on_one_line(json), r#"{"a \"":[1,2],"b":"\\"}"#);
        assert_eq!(on_one_line("{ \"a\": 1 }"), "{ \"a\": 1 }");
    }

    #[test]
    fn half_a_character_is_a_replacement() {
        for (text, expected) in [
            (r#""a\ud83db""#, Some("a\u{fffd}b")),
            (r#""\ude00""#, Some("\u{fffd}")),
            (r#""\ud83d\ude00\ud83d""#, Some("\u{1f600}\u{fffd}")),
            (r#""\\ud83d""#, Some("\\ud83d")),
            (r#""é\u0041""#, Some("éA")),
            ("7", None),
        ] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(string(raw).as_deref(), expected, "{text}");
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
