//! The load: a fixed number of requests over eight kept connections, each sent when the one before is answered.

use std::io::{Error, ErrorKind, Result, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::http::Reader;

pub(super) const CONNECTIONS: usize = 8;

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) model: &'static str,
    pub(super) stream: bool,
    /// By each connection.
    pub(super) requests: usize,
}

impl Load {
    /// A chat request of 1 KB.
    fn request(&self, key: &str) -> String {
        let stream =
            if self.stream { "\"stream\":true,\"stream_options\":{\"include_usage\":true}," } else { "" };
        let mut body = format!(
            "{{\"model\":\"{}\",{stream}\"max_tokens\":500,\"messages\":[{{\"role\":\"user\",\"content\":\"",
            self.model
        );
        let end = "\"}]}";
        while body.len() + end.len() < 1024 {
            body.push_str(&"What does an expert know? "[..26.min(1024 - end.len() - body.len())]);
        }
        body.push_str(end);
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends it all and waits for every answer.
    ///
    /// # Errors
    /// An answer that is not 200, or a stream that does not end in `[DONE]`.
    pub(super) fn run(&self, port: u16, key: &str) -> Result<Duration> {
        let request = self.request(key);
        let begun = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CONNECTIONS).map(|_| scope.spawn(|| self.client(port, &request))).collect();
            clients.into_iter().try_for_each(|client| {
                client.join().unwrap_or_else(|_| Err(Error::other("a load thread panicked")))
            })
        })?;
        Ok(begun.elapsed())
    }

    fn client(&self, port: u16, request: &str) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = Reader::new(stream.try_clone()?);
        let mut body = Vec::new();
        for _ in 0..self.requests {
            stream.write_all(request.as_bytes())?;
            let head = reader.head()?;
            reader.body(&head, &mut body)?;
            let whole = if self.stream { body.ends_with(b"data: [DONE]\n\n") } else { body.ends_with(b"}") };
            if !head.first.starts_with("HTTP/1.1 200") || !whole {
                let end = String::from_utf8_lossy(&body[body.len().saturating_sub(300)..]).into_owned();
                let text = format!("unexpected answer: {}: {end}", head.first);
                return Err(Error::new(ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_a_body_of_one_kilobyte() {
        for stream in [false, true] {
            let request = Load { model: "own", stream, requests: 1 }.request("k");
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), 1024);
            assert!(head.contains("content-length: 1024"));
            assert!(body.ends_with("\"}]}"));
        }
    }
}
