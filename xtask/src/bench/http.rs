//! As much HTTP/1.1 as the bench's origin and load need: heads, lengths, chunks, on connections that are kept.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};
use std::net::TcpStream;

/// A message's first line and the few headers that matter here.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) first: String,
    pub(super) length: Option<usize>,
    pub(super) chunked: bool,
    pub(super) request_id: String,
}

/// Reads messages from one connection.
pub(super) struct Reader {
    inner: BufReader<TcpStream>,
    line: String,
}

impl Reader {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { inner: BufReader::with_capacity(64 * 1024, stream), line: String::new() }
    }

    fn line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.inner.read_line(&mut self.line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(self.line.trim_end())
    }

    /// The next message's head.
    pub(super) fn head(&mut self) -> Result<Head> {
        let mut head = Head { first: self.line()?.to_owned(), ..Head::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().ok(),
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                moegate_wire::header::REQUEST_ID => value.clone_into(&mut head.request_id),
                _ => {}
            }
        }
    }

    /// The body that belongs to `head`, into `body`.
    pub(super) fn body(&mut self, head: &Head, body: &mut Vec<u8>) -> Result<()> {
        body.clear();
        if !head.chunked {
            return self.take(head.length.unwrap_or(0), body);
        }
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line, 16)
                .map_err(|_| Error::new(ErrorKind::InvalidData, format!("not a chunk size: {line}")))?;
            self.take(size, body)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn take(&mut self, size: usize, body: &mut Vec<u8>) -> Result<()> {
        let start = body.len();
        body.resize(start + size, 0);
        self.inner.read_exact(&mut body[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn messages_with_length_and_in_chunks_are_read_one_after_the_other() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut from = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (to, _) = listener.accept().unwrap();
        from.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Moegate-Request-Id: a\r\n\r\nhi").unwrap();
        from.write_all(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
        )
        .unwrap();
        from.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").unwrap();
        drop(from);
        let mut reader = Reader::new(to);
        let mut body = Vec::new();
        let head = reader.head().unwrap();
        reader.body(&head, &mut body).unwrap();
        assert_eq!((head.request_id.as_str(), body.as_slice()), ("a", &b"hi"[..]));
        let head = reader.head().unwrap();
        reader.body(&head, &mut body).unwrap();
        assert_eq!(body, b"abcd");
        let head = reader.head().unwrap();
        assert!(reader.body(&head, &mut body).is_err());
        assert!(reader.head().is_err());
    }
}
