//! The origin behind the gateway: canned answers, signed receipts, and a store that takes every record. It does next
//! to nothing, so that what is measured is the gateway.

use std::io::{Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::http::{Head, Reader};

/// The key by which the bench's origins are known to the gateway.
pub(super) const KEY: &str = "bench-origin-key";
/// Events of one stream, before the one with the usage and the end mark.
pub(super) const EVENTS: usize = 500;
/// Between two events of a stream. They must go out one by one, as a model's do: a faster origin's events would arrive
/// many at a time, and a chunk is what costs.
const PAUSE: Duration = Duration::from_micros(1_000);
/// 51 bytes.
pub(super) const EVENT: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"token\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":500,\"cost\":0.1}}\n\ndata: [DONE]\n\n";

/// Serves on this port of 127.0.0.1 (0: a free one) until the process ends; returns the port.
pub(super) fn start(port: u16) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the runtime's to notice.
            thread::spawn(move || serve(stream).is_ok());
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream.try_clone()?);
    let mut body = Vec::new();
    loop {
        let head = reader.head()?;
        reader.body(&head, &mut body)?;
        answer(&mut stream, &head, &body)?;
    }
}

fn answer(stream: &mut TcpStream, head: &Head, body: &[u8]) -> Result<()> {
    let path = head.first.split(' ').nth(1).unwrap_or_default();
    if head.first.starts_with("PUT ") {
        return whole(stream, "", "");
    }
    if let Some(id) = path.strip_prefix("/v1/receipts/") {
        let id = id.split('?').next().unwrap_or_default();
        let receipt = receipt(id);
        let signature = moegate_wire::receipt::sign_body(KEY.as_bytes(), receipt.as_bytes());
        return whole(stream, &format!("x-moegate-signature: {signature}\r\n"), &receipt);
    }
    if body.windows(13).any(|part| part == b"\"stream\":true") {
        return events(stream);
    }
    // Our own server writes the cost, by the price in the ticket; a third party does not.
    let own = !head.request_id.is_empty() && body.windows(5).any(|part| part == b"\"own\"");
    whole(stream, "", &completion(if own { ",\"cost\":0.00042" } else { "" }))
}

fn whole(stream: &mut TcpStream, headers: &str, body: &str) -> Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes())
}

/// About 700 bytes: some sentences.
fn completion(cost: &str) -> String {
    let text = "The mixture routes each token to a few of its experts. ".repeat(8);
    format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":200,\"completion_tokens\":88,\"total_tokens\":288{cost}}}}}"
    )
}

fn receipt(id: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"model\":\"own\",\"usage\":{{\"prompt\":200,\"cached\":0,\"completion\":500,\"reasoning\":0}},\"ending\":\"complete\",\"finish_reason\":\"stop\",\"created_ms\":1700000000000,\"queue_us\":1,\"prefill_us\":2,\"decode_us\":3,\"cost\":4}}"
    )
}

fn events(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    let event = chunk(EVENT);
    for _ in 0..EVENTS {
        stream.write_all(event.as_bytes())?;
        thread::sleep(PAUSE);
    }
    stream.write_all(format!("{}0\r\n\r\n", chunk(LAST)).as_bytes())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
