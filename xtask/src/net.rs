//! Loopback ports, and whether a server on one answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::process::{Running, tick};

/// Whether a server could listen on this port of 127.0.0.1 now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until `GET path` answers 200. Fails when the server ends first or the time is over.
pub(crate) fn wait_for_200(server: &mut Running, port: u16, path: &str, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    loop {
        server.must_run()?;
        let status = get(port, path);
        if status == Some(200) {
            return Ok(());
        }
        if Instant::now() > until {
            let last = status.map_or("no answer".to_owned(), |status| format!("status {status}"));
            return Err(Failure::new(format!(
                "{} was not ready after {} s: GET {path} on port {port} gave {last}",
                server.name,
                limit.as_secs()
            ))
            .output(server.tail.lines()));
        }
        tick()?;
    }
}

/// The status of one GET request, if there is an answer within two seconds.
fn get(port: u16, path: &str) -> Option<u16> {
    let limit = Duration::from_secs(2);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    status_of(&head)
}

fn status_of(head: &[u8; 12]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(status_of(b"HTTP/1.1 200"), Some(200));
        assert_eq!(status_of(b"HTTP/1.0 503"), Some(503));
        assert_eq!(status_of(b"SSH-2.0-Open"), None);
    }

    #[test]
    fn a_port_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}
