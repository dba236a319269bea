//! `application/vnd.amazon.eventstream` (Amazon event stream encoding, Smithy specification, "Event stream"), unpacked into
//! server-sent events, so that what comes after knows only those.
//!
//! A message: total length (4 bytes, big endian), length of its headers (4), CRC-32 of these 8 (4), headers, payload, CRC-32
//! of all that (4).

use std::fmt;
use std::mem;

/// The longest message that is read, in bytes; the format allows 24 MiB of payload, Bedrock's are some KiB.
pub const MOST: usize = 16 << 20;
/// Prelude and the CRC at the end.
const FRAME: usize = 16;

/// Unpacks a stream, however it is cut into chunks. Each message becomes one event, `event: NAME` and `data: PAYLOAD`. Its
/// name is the message's `:event-type`; of an exception, the `:exception-type` (such as `throttlingException`). An error,
/// which is nothing but two headers, becomes `event: error` with the data `{"code":…,"message":…}`.
#[derive(Debug, Default)]
pub struct EventStream {
    /// The beginning of a message.
    held: Vec<u8>,
    /// Nothing can be read after it.
    failed: Option<Malformed>,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A CRC is wrong: bytes were changed or lost, or it is another format.
    Checksum,
    /// A message says that it is longer than [`MOST`], or its lengths contradict one another.
    Length,
    /// Its headers cannot be read, or a name in them holds control characters.
    Headers,
    /// Its headers do not say what kind of event it is.
    Unnamed,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "a message of the event stream has a wrong checksum",
            Self::Length => {
                "a message of the event stream is over 16 MiB, or its lengths contradict one another"
            }
            Self::Headers => "a message of the event stream has headers that cannot be read",
            Self::Unnamed => "a message of the event stream does not say what kind of event it is",
        })
    }
}

impl std::error::Error for Malformed {}

/// The stream ended within a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event stream ended within a message")
    }
}

impl std::error::Error for Truncated {}

impl EventStream {
    /// Writes the events that the chunk completes to `out`.
    ///
    /// # Errors
    /// [`Malformed`], then and for every further chunk; the events before it are in `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut held = mem::take(&mut self.held);
        let is_new = held.is_empty();
        if !is_new {
            held.extend_from_slice(chunk);
        }
        let bytes = if is_new { chunk } else { &held };
        let mut at = 0;
        loop {
            match message(&bytes[at..], out) {
                Ok(Some(length)) => at += length,
                Ok(None) => break,
                Err(failed) => {
                    self.failed = Some(failed);
                    return Err(failed);
                }
            }
        }
        if is_new {
            held.extend_from_slice(&chunk[at..]);
        } else {
            held.drain(..at);
        }
        self.held = held;
        Ok(())
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    /// [`Truncated`]: half a message is there.
    pub fn finish(&self) -> Result<(), Truncated> {
        if self.held.is_empty() { Ok(()) } else { Err(Truncated) }
    }
}

/// Writes the first message and gives its length. `None`: it is not all there.
fn message(bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Malformed> {
    let Some(([total, headers, checksum], _)) = words(bytes) else { return Ok(None) };
    if crc32(&bytes[..8]) != checksum {
        return Err(Malformed::Checksum);
    }
    let (total, headers) = (total as usize, headers as usize);
    if !(FRAME..=MOST).contains(&total) || headers > total - FRAME {
        return Err(Malformed::Length);
    }
    let Some(bytes) = bytes.get(..total) else { return Ok(None) };
    let (checked, checksum) = bytes.split_at(total - 4);
    if crc32(checked).to_be_bytes() != *checksum {
        return Err(Malformed::Checksum);
    }
    let (headers, payload) = checked[12..].split_at(headers);
    write_event(&Names::read(headers)?, payload, out)?;
    Ok(Some(total))
}

fn words(bytes: &[u8]) -> Option<([u32; 3], &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<12>()?;
    let word = |at: usize| u32::from_be_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]]);
    Some(([word(0), word(4), word(8)], rest))
}

fn write_event(names: &Names<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let name = match names.message {
        b"" | b"event" => names.event,
        b"exception" => names.exception,
        b"error" => {
            let text = |bytes| serde_json::Value::from(String::from_utf8_lossy(bytes));
            let (code, message) = (text(names.error), text(names.error_message));
            let event = format!("event: error\ndata: {{\"code\":{code},\"message\":{message}}}\n\n");
            out.extend_from_slice(event.as_bytes());
            return Ok(());
        }
        _ => return Err(Malformed::Unnamed),
    };
    if name.is_empty() {
        return Err(Malformed::Unnamed);
    }
    if name.iter().any(u8::is_ascii_control) {
        return Err(Malformed::Headers);
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\ndata: ");
    // In JSON a line break can only stand where a blank can.
    out.extend(payload.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
    Ok(())
}

/// The headers that say what a message is; empty where missing.
#[derive(Default)]
struct Names<'a> {
    message: &'a [u8],
    event: &'a [u8],
    exception: &'a [u8],
    error: &'a [u8],
    error_message: &'a [u8],
}

impl<'a> Names<'a> {
    fn read(mut headers: &'a [u8]) -> Result<Self, Malformed> {
        let mut names = Self::default();
        while !headers.is_empty() {
            let (name, value) = header(&mut headers).ok_or(Malformed::Headers)?;
            let place = match name {
                b":message-type" => &mut names.message,
                b":event-type" => &mut names.event,
                b":exception-type" => &mut names.exception,
                b":error-code" => &mut names.error,
                b":error-message" => &mut names.error_message,
                _ => continue,
            };
            *place = value.ok_or(Malformed::Headers)?;
        }
        Ok(names)
    }
}

/// A header's name, and its value where that is a string. `None` where it cannot be read.
fn header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let length = usize::from(rest.split_off_first().copied()?);
    let name = rest.split_off(..length)?;
    let kind = *rest.split_off_first()?;
    let length = match kind {
        // true, false
        0 | 1 => 0,
        // byte, short, integer, long
        2..=5 => 1 << (kind - 2),
        // bytes, string
        6 | 7 => usize::from(u16::from_be_bytes([*rest.split_off_first()?, *rest.split_off_first()?])),
        // timestamp
        8 => 8,
        // UUID
        9 => 16,
        _ => return None,
    };
    let value = rest.split_off(..length)?;
    Some((name, (kind == 7).then_some(value)))
}

/// CRC-32 as in zlib (polynomial 0x04C11DB7, reflected). By half bytes: a table for whole ones would be 1 KiB of the module.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut at = 0;
        while at < 16 {
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 4 {
                value = (value >> 1) ^ (0xEDB8_8320 * (value & 1));
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    let step = |crc: u32| (crc >> 4) ^ TABLE[(crc & 15) as usize];
    !bytes.iter().fold(!0, |crc, &byte| step(step(crc ^ u32::from(byte))))
}

#[cfg(test)]
#[path = "event_stream_tests.rs"]
mod tests;
