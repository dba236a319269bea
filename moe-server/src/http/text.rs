//! JSON as clients write it, made into JSON that the parser takes.

use std::borrow::Cow;

/// U+FEFF: some editors and shells begin a file with it.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// U+FFFD as an escape, as long as the one in whose place it stands.
const REPLACEMENT: &[u8; ESCAPE] = br"\ufffd";
/// Bytes of `\uXXXX`.
const ESCAPE: usize = 6;

/// The body without a byte order mark, and with U+FFFD for each half of a surrogate pair that stands alone, such as the
/// `\ud83d` of an emoji cut in two: JSON allows those (RFC 8259, section 8.2), and no text can hold them. Everything else
/// stays where it was.
#[must_use]
pub fn mended(body: &[u8]) -> Cow<'_, [u8]> {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    let mut mended = Cow::Borrowed(body);
    let mut at = 0;
    while let Some(found) = body[at..].iter().position(|&byte| byte == b'\\') {
        at += found;
        at += match unit(&body[at..]) {
            // Another escape: what follows the backslash begins none.
            None => 2,
            Some(0xd800..=0xdbff) if matches!(unit(&body[at + ESCAPE..]), Some(0xdc00..=0xdfff)) => {
                2 * ESCAPE
            }
            Some(0xd800..=0xdfff) => {
                mended.to_mut()[at..at + ESCAPE].copy_from_slice(REPLACEMENT);
                ESCAPE
            }
            Some(_) => ESCAPE,
        };
        if at >= body.len() {
            break;
        }
    }
    mended
}

/// The UTF-16 unit that an escape at the beginning stands for.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn halves_that_stand_alone_are_replaced() {
        for (text, read) in [
            (r"a\ud83d b", "a\u{fffd} b"),
            (r"\uDE00a", "\u{fffd}a"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n\ude00", "\u{fffd}\n\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\\ud83d", r"\ud83d"),
            (r"\\\ud83d", "\\\u{fffd}"),
            (r"\ud83d\\", "\u{fffd}\\"),
            (r#"\"\udfff"#, "\"\u{fffd}"),
            ("é\u{fffd}", "é\u{fffd}"),
        ] {
            let body = format!("{{\"{text}\": \"{text}\"}}");
            let value: Value = serde_json::from_slice(&mended(body.as_bytes())).unwrap();
            assert_eq!(value, serde_json::json!({read: read}), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_stays_and_is_cut_nowhere() {
        for text in [r"\", r"\u", r"\ud8", r"\ud83", r"\ud83d", r"\ud83d\", r"\ud83d\ude0", r"\u+83d", "\\é"]
        {
            for cut in 0..=text.len() {
                let body = mended(&text.as_bytes()[..cut]);
                assert_eq!(body.len(), cut, "{text}");
            }
        }
        assert!(matches!(mended(br#"{"a":"\u00e9\n"}"#), Cow::Borrowed(_)), "no copy without need");
        assert_eq!(&*mended("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(&*mended("\u{feff}\u{feff}{}".as_bytes()), "\u{feff}{}".as_bytes());
    }
}
