//! HTTP/1.1 by hand, so that a test sees how a body ends and can leave when it likes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Clean,
    /// The connection broke before that.
    Broken,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer whose body is still to come.
pub(crate) struct Incoming {
    reader: BufReader<TcpStream>,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

/// Sends a request and reads nothing.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Reads the head of the answer. `None` where the connection ends first.
pub(crate) fn head(stream: TcpStream) -> Option<Incoming> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => return Some(Incoming { reader, status, headers }),
        }
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    head(send(address, "GET", path, b"")).expect("an answer").finish()
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    head(send(address, "POST", path, body)).expect("an answer").finish()
}

impl Incoming {
    /// The next chunk; `None` at the body's end.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, End> {
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(|_| End::Broken)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(|_| End::Broken)?;
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).map_err(|_| End::Broken)?;
        chunk.truncate(length);
        Ok((length > 0).then_some(chunk))
    }

    /// The rest of the answer.
    pub(crate) fn finish(mut self) -> Answer {
        let length = self.headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map(|(_, value)| value.parse::<usize>().unwrap());
        let mut body = Vec::new();
        let end = if let Some(length) = length {
            let read = self.reader.take(length as u64).read_to_end(&mut body);
            if read.is_ok() && body.len() == length { End::Clean } else { End::Broken }
        } else {
            loop {
                match self.chunk() {
                    Ok(Some(chunk)) => body.extend(chunk),
                    Ok(None) => break End::Clean,
                    Err(end) => break end,
                }
            }
        };
        Answer { status: self.status, headers: self.headers, body, end }
    }
}
