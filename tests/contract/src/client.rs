//! A client at a real socket. HTTP/1.1 by hand: it sees where a reply ends, and leaves when it is told to.

use crate::host::{Call, Ended, Framing, Parting, Reply};
use crate::origin::Progress;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No behaviour takes this long; it only keeps a hanging gateway from hanging the suite.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends the call to 127.0.0.1:`port` and takes the reply.
#[must_use]
pub fn call(port: u16, call: &Call, progress: &Progress) -> Reply {
    let begun = Instant::now();
    let reply = exchange(port, call, progress);
    Reply { took: begun.elapsed(), ..reply }
}

fn exchange(port: u16, call: &Call, progress: &Progress) -> Reply {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway takes connections");
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = request(call, port);
    // A gateway that refuses early does not read the rest: sending must not keep the reply from being read.
    std::thread::scope(|scope| {
        let mut sending = &stream;
        let sender = scope.spawn(move || sending.write_all(&request));
        if let Some(pause) = call.leaves_after {
            progress.wait_for_arrival(PATIENCE);
            std::thread::sleep(pause);
            progress.client_left();
            leave(&stream, call.parting);
            return nothing(Ended::Left);
        }
        let reply = Receiving { stream: &stream, raw: Vec::new(), at: 0 }.reply(call, progress);
        if reply.ended == Ended::Left {
            leave(&stream, call.parting);
        } else {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        let _refused_early = sender.join();
        reply
    })
}

/// Sends the calls, up to `at_once` at the same time; the replies are in the calls' order.
#[must_use]
pub fn call_all(port: u16, calls: &[Call], at_once: usize, progress: &Progress) -> Vec<Reply> {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut replies = Vec::new();
        while let Some((at, one)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, calls.get(at)?)))
        {
            replies.push((at, call(port, one, progress)));
        }
        replies
    };
    let mut replies: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..at_once.min(calls.len())).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    replies.sort_by_key(|(at, _)| *at);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

fn nothing(ended: Ended) -> Reply {
    Reply { status: 0, headers: Vec::new(), body: Vec::new(), ended, took: Duration::ZERO }
}

/// What happens when the socket is closed, which it is as soon as the call returns.
fn leave(stream: &TcpStream, parting: Parting) {
    match parting {
        Parting::Reset => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap(),
        Parting::Orderly => {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

fn request(call: &Call, port: u16) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n", call.method, call.path);
    if let Some(authorization) = &call.authorization {
        head += &format!("authorization: {authorization}\r\n");
    }
    for (name, value) in call.headers.iter().filter(|(_, value)| !value.is_empty()) {
        head += &format!("{name}: {value}\r\n");
    }
    if !call.body.is_empty() && !call.headers.iter().any(|(name, _)| *name == "content-type") {
        head += "content-type: application/json\r\n";
    }
    let mut body = call.body.clone();
    match call.framing {
        _ if body.is_empty() && call.method != "POST" => {}
        Framing::Length => {
            head += &format!("content-length: {}\r\n", body.len());
        }
        Framing::Chunked => {
            head += "transfer-encoding: chunked\r\n";
            body = call.body.chunks(50_000).flat_map(chunk).chain(*b"0\r\n\r\n").collect();
        }
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// One chunk of the chunked coding.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

struct Receiving<'a> {
    stream: &'a TcpStream,
    raw: Vec<u8>,
    at: usize,
}

/// The connection ended or broke.
struct Gone;

impl Receiving<'_> {
    fn reply(mut self, call: &Call, progress: &Progress) -> Reply {
        let mut reply = nothing(Ended::Broken);
        // "Go on" may come before the reply.
        while reply.status < 200 {
            let Ok(head) = self.head() else { return reply };
            (reply.status, reply.headers) = head;
        }
        if call.method == "HEAD" || reply.status == 204 {
            // No body follows, whatever length the head declares. What has come nevertheless is to be seen.
            reply.ended = Ended::Whole;
            reply.body = self.raw[self.at..].to_vec();
            return reply;
        }
        let chunked = reply.header("transfer-encoding").contains("chunked");
        let mut left = reply.header("content-length").parse::<usize>().ok();
        loop {
            let next = if chunked {
                self.chunk()
            } else {
                match left {
                    Some(0) => Ok(Vec::new()),
                    Some(wanted) => self.some(wanted),
                    // Neither: the body ends where the connection does.
                    None => self.until_closed(),
                }
            };
            let Ok(bytes) = next else { return reply };
            if bytes.is_empty() {
                reply.ended = Ended::Whole;
                return reply;
            }
            left = left.map(|left| left - bytes.len());
            reply.body.extend_from_slice(&bytes);
            let stays = (call.stays)(&reply.body);
            if call.method == "POST" {
                progress.client_has(reply.body.len());
            }
            if !stays {
                progress.client_left();
                reply.ended = Ended::Left;
                return reply;
            }
            std::thread::sleep(call.pause);
        }
    }

    /// Status and headers.
    fn head(&mut self) -> Result<(u16, Vec<(String, String)>), Gone> {
        let status = self.line()?.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or(Gone)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// One chunk's bytes; none for the last.
    fn chunk(&mut self) -> Result<Vec<u8>, Gone> {
        let line = self.line()?;
        let length =
            usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16).map_err(|_| Gone)?;
        while self.raw.len() < self.at + length + 2 {
            self.fill()?;
        }
        let bytes = self.raw[self.at..self.at + length].to_vec();
        self.at += length + 2;
        Ok(bytes)
    }

    /// What has come; nothing where the connection ends in an orderly way.
    fn until_closed(&mut self) -> Result<Vec<u8>, Gone> {
        if self.at == self.raw.len() {
            let mut buffer = [0; 16 * 1024];
            let length = (&mut &*self.stream).read(&mut buffer).map_err(|_| Gone)?;
            self.raw.extend_from_slice(&buffer[..length]);
        }
        let bytes = self.raw[self.at..].to_vec();
        self.at = self.raw.len();
        Ok(bytes)
    }

    /// What has come, at most `limit` bytes and at least one.
    fn some(&mut self, limit: usize) -> Result<Vec<u8>, Gone> {
        if self.at == self.raw.len() {
            self.fill()?;
        }
        let end = self.raw.len().min(self.at.saturating_add(limit));
        let bytes = self.raw[self.at..end].to_vec();
        self.at = end;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String, Gone> {
        loop {
            if let Some(length) = self.raw[self.at..].windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.raw[self.at..self.at + length]).into_owned();
                self.at += length + 2;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Gone> {
        let mut buffer = [0; 16 * 1024];
        match (&mut &*self.stream).read(&mut buffer) {
            Ok(0) | Err(_) => Err(Gone),
            Ok(length) => {
                self.raw.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }
}
