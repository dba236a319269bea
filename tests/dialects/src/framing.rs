//! Amazon's binary framing of events, as an origin writes it
//! (<https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html>).

/// CRC-32 (IEEE 802.3), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// One message: an event of that name.
///
/// # Panics
/// If it is larger than a message may be.
#[must_use]
pub fn message(event: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in
        [(":event-type", event), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend(name.bytes());
        // A string.
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend(value.bytes());
    }
    let total = u32::try_from(12 + headers.len() + payload.len() + 4).unwrap();
    let mut bytes = total.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    bytes.extend(crc32(&bytes).to_be_bytes());
    bytes.extend(headers);
    bytes.extend(payload.bytes());
    bytes.extend(crc32(&bytes).to_be_bytes());
    bytes
}

/// A stream of server-sent events in that framing.
#[must_use]
pub fn framed(events: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events.split_terminator("\n\n") {
        let field =
            |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim_start();
        bytes.extend(message(field("event:"), field("data:")));
    }
    bytes
}
