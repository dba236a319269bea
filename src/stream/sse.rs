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

/// The event's `data`: its one data line, or several joined. `None` for comments and other fields.
///
/// Joined by a blank where the standard has a newline: in JSON it is the same, and it can be sent on as one line.
#[must_use]
pub fn data(event: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    use std::borrow::Cow;
    let mut data: Option<Cow<'_, [u8]>> = None;
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
    let lines = event.split(|&b| b == b'\n' || b == b'\r');
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"data:"))
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
    fn data_lines() {
        for (event, expected) in [
            (&b"data: {}\n\n"[..], Some(&b"{}"[..])),
            (b"data:{}\r\n\r\n", Some(b"{}")),
            (b"event: x\ndata: a\ndata: b\n\n", Some(b"a b")),
            (b": waiting\n\n", None),
            (b"\n", None),
            (b"data\n\n", None),
        ] {
            assert_eq!(data(event).as_deref(), expected);
        }
    }
}
