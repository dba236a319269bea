//! Where an event ends, and what it carries (WHATWG HTML, "Server-sent events", section 9.2.6).

use memchr::memchr2;

/// The end of the first event that begins at `from`: just past its blank line. Lines end in LF, CRLF or CR.
#[must_use]
pub fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut line = from;
    loop {
        let at = line + memchr2(b'\n', b'\r', bytes.get(line..)?)?;
        let next = if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 };
        if at == line {
            return Some(next);
        }
        line = next;
    }
}

/// Whether bytes begin a stream of events: with a field or a comment. `None`: what is there leaves it open.
#[must_use]
pub fn begins(bytes: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b":", b"data", b"event", b"id", b"retry"];
    let start = without_blanks(bytes);
    if FIELDS.iter().any(|field| start.starts_with(field)) {
        return Some(true);
    }
    let open = FIELDS.iter().any(|field| field.starts_with(start)) || BOM.starts_with(start);
    if open { None } else { Some(false) }
}

/// Whether bytes begin a JSON text or a page.
#[must_use]
pub fn is_document(bytes: &[u8]) -> bool {
    matches!(without_blanks(bytes).first(), Some(b'{' | b'[' | b'<'))
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.trim_ascii_start();
    bytes.strip_prefix(BOM).unwrap_or(bytes).trim_ascii_start()
}

/// The event's `data`: its one data line, or several joined. `None` for comments and other fields.
///
/// Joined by a blank where the standard has a newline: in JSON it is the same, and it can be sent on as one line.
#[must_use]
pub fn data(event: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    use std::borrow::Cow;
    let mut data: Option<Cow<'_, [u8]>> = None;
    let event = event.strip_prefix(BOM).unwrap_or(event);
    for line in event.split(|&b| b == b'\n' || b == b'\r') {
        let Some(value) = line.strip_prefix(b"data:") else { continue };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(first) => {
                let mut joined = first.into_owned();
                joined.push(b' ');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    }
    data
}

/// Its lines that are not data: `event`, `id`, `retry`, comments.
pub fn other_lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let event = event.strip_prefix(BOM).unwrap_or(event);
    let lines = event.split(|&b| b == b'\n' || b == b'\r');
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"data:"))
}

/// Its name, if it has one.
#[must_use]
pub fn name(event: &[u8]) -> Option<&[u8]> {
    other_lines(event).find_map(|line| line.strip_prefix(b"event:")).map(<[u8]>::trim_ascii)
}

/// Whether its name says that it is an error.
#[must_use]
pub fn is_named_error(event: &[u8]) -> bool {
    other_lines(event).any(|line| matches!(line, b"event: error" | b"event:error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_end_at_a_blank_line() {
        for (bytes, expected) in [
            (&b"data: a\n\nrest"[..], Some(9)),
            (b"data: a\r\n\r\nrest", Some(11)),
            (b"data: a\r\rrest", Some(9)),
            (b"data: a\n\r\nrest", Some(10)),
            (b": comment\n\n", Some(11)),
            (b"\nrest", Some(1)),
            (b"data: a\n", None),
            (b"data: a\r\n\r", Some(10)),
            (b"data: a", None),
            (b"", None),
        ] {
            assert_eq!(end(bytes, 0), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_first_bytes_decide() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\n\n ", None),
            (b"dat", None),
            (b"\xEF\xBB", None),
            (b"\xEF\xBB\xBF", None),
            (b"data: {", Some(true)),
            (b"\xEF\xBB\xBFdata:{", Some(true)),
            (b"\r\nevent: x", Some(true)),
            (b": comment", Some(true)),
            (b"id: 1", Some(true)),
            (b"retry: 1", Some(true)),
            (b"{\"data\":1}", Some(false)),
            (b"[", Some(false)),
            (b"<html>", Some(false)),
            (b"date", Some(false)),
            (b"error: x", Some(false)),
        ] {
            assert_eq!(begins(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn data_lines() {
        for (event, expected) in [
            (&b"data: {}\n\n"[..], Some(&b"{}"[..])),
            (b"data:{}\r\n\r\n", Some(b"{}")),
            (b"\xEF\xBB\xBFdata: {}\n\n", Some(b"{}")),
            (b"event: x\ndata: a\ndata: b\n\n", Some(b"a b")),
            (b": waiting\n\n", None),
            (b"\n", None),
            (b"data\n\n", None),
        ] {
            assert_eq!(data(event).as_deref(), expected);
        }
    }
}
