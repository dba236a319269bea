//! Images, sounds and files in a request, counted without reading it: base64 makes such bodies large.

use memchr::memmem;

/// How often one of the texts (with their quotes) stands in the JSON as a `type`, or as a member's name. Within other texts
/// quotes are escaped, so nothing there is counted.
pub(super) fn count(body: &[u8], texts: &[&str], names: bool) -> u64 {
    let is_one = |at: usize, text: &str| {
        if names {
            body[at + text.len()..].trim_ascii_start().first() == Some(&b':')
        } else {
            let before = body[..at].trim_ascii_end().strip_suffix(b":");
            before.is_some_and(|before| before.trim_ascii_end().ends_with(b"\"type\""))
        }
    };
    let found =
        |text: &&str| memmem::find_iter(body, text.as_bytes()).filter(|at| is_one(*at, text)).count() as u64;
    texts.iter().map(found).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_names() {
        for (body, values, names) in [
            (r#"{"type":"image","image":{"a":1}}"#, 1, 1),
            (r#"{"type" : \n "image" , "image" :1}"#, 1, 1),
            (r#"[{"type":"image"},{"type":"image"},"image"]"#, 2, 0),
            (r#"{"text":"\"type\":\"image\", \"image\": 1"}"#, 0, 0),
            (r#"{"type":"images"}"#, 0, 0),
            (r#"{"text":"image"}"#, 0, 0),
            (r#""image""#, 0, 0),
            ("", 0, 0),
        ] {
            let body = body.replace("\\n", "\n");
            assert_eq!(count(body.as_bytes(), &["\"image\""], false), values, "{body}");
            assert_eq!(count(body.as_bytes(), &["\"image\""], true), names, "{body}");
        }
        assert_eq!(count(br#"{"type":"a","b":{"type":"c"}}"#, &["\"a\"", "\"c\""], false), 2);
    }
}
