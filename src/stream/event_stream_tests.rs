use super::*;

/// What it is, a message in hex, and the event it becomes. Encoded after the specification by other code and read alike by
/// botocore 1.44 (`EventStreamBuffer`), but for the line breaks, which are kept there.
const VECTORS: [(&str, &str, &str); 5] = [
    (
        "a text's delta",
        "000000a800000057d07acf690b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f\
         6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576\
         656e747b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224772c3bcc3\
         9f6520f09f9880227d2c2270223a22616263227dabee4ef6",
        "event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"text\":\"Grüße 😀\"},\"p\":\"abc\"}\n\n",
    ),
    (
        "headers of all types",
        "000000a80000007fe5cf6793017400016601016202f9017303fed4016904fffeee90016c05ffffff0000000000017906\
         0004000d0aff0178070002c3a90177080000017e12ef9c7b017509123456781234567812345678123456780b3a657665\
         6e742d7479706507000b6d65737361676553746f700d3a6d6573736167652d747970650700056576656e747b2273746f\
         70526561736f6e223a22656e645f7475726e227d25f2fe1e",
        "event: messageStop\ndata: {\"stopReason\":\"end_turn\"}\n\n",
    ),
    (
        "an exception",
        "00000090000000618e91a9b70f3a657863657074696f6e2d747970650700137468726f74746c696e6745786365707469\
         6f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970\
         65070009657863657074696f6e7b226d657373616765223a22546f6f206d616e79207265717565737473227de67f8005",
        "event: throttlingException\ndata: {\"message\":\"Too many requests\"}\n\n",
    ),
    (
        "an error",
        "0000006700000057bb3fb0630b3a6572726f722d636f646507000d496e7465726e616c4572726f720e3a6572726f722d\
         6d6573736167650700136974202262726f6b65220a666f7220676f6f640d3a6d6573736167652d747970650700056572\
         726f725363730b",
        "event: error\ndata: {\"code\":\"InternalError\",\"message\":\"it \\\"broke\\\"\\nfor good\"}\n\n",
    ),
    (
        "line breaks in the payload",
        "0000006f0000004eef2453620b3a6576656e742d747970650700086d657461646174610d3a636f6e74656e742d747970\
         650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b0d0a202275\
         73616765223a207b7d0a7d83d72f99",
        "event: metadata\ndata: {   \"usage\": {} }\n\n",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A message with these headers, all of them strings.
fn framed(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(name.len() as u8);
        block.extend_from_slice(name.as_bytes());
        block.push(7);
        block.extend_from_slice(&(value.len() as u16).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    raw((FRAME + block.len() + payload.len()) as u32, block.len() as u32, &[&block, payload].concat())
}

/// A message that claims these lengths, with the right checksums.
fn raw(total: u32, headers: u32, rest: &[u8]) -> Vec<u8> {
    let mut message = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message.extend_from_slice(rest);
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message
}

/// What comes out, and how it ended.
fn unpacked<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, Result<bool, Malformed>) {
    let (mut stream, mut out) = (EventStream::default(), Vec::new());
    let pushed = chunks.into_iter().try_for_each(|chunk| stream.push(chunk, &mut out));
    if let Err(failed) = pushed {
        let before = out.len();
        assert_eq!(
            (stream.push(&framed(&[(":event-type", "a")], b"{}"), &mut out), out.len()),
            (Err(failed), before)
        );
    }
    (String::from_utf8(out).unwrap(), pushed.map(|()| stream.finish().is_ok()))
}

fn all() -> (Vec<u8>, String) {
    (
        VECTORS.iter().flat_map(|(_, hex, _)| bytes(hex)).collect(),
        VECTORS.iter().map(|(_, _, event)| *event).collect(),
    )
}

#[test]
fn each_message_becomes_an_event() {
    for (name, hex, event) in VECTORS {
        assert_eq!(unpacked([&bytes(hex)[..]]), (event.to_owned(), Ok(true)), "{name}");
    }
    assert_eq!(unpacked([]), (String::new(), Ok(true)));
}

#[test]
fn the_checksum_is_the_one_of_zlib() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!((crc32(b"123456789"), crc32(b"")), (0xCBF4_3926, 0));
}

#[test]
fn a_stream_cut_anywhere_is_the_same_stream() {
    let (stream, events) = all();
    for at in 0..=stream.len() {
        let (first, second) = stream.split_at(at);
        assert_eq!(unpacked([first, second]), (events.clone(), Ok(true)), "{at}");
    }
    for size in 1..200 {
        assert_eq!(unpacked(stream.chunks(size)), (events.clone(), Ok(true)), "{size}");
    }
}

#[test]
fn a_stream_that_ends_early_is_told_from_a_whole_one() {
    let (stream, _) = all();
    let mut borders = vec![0];
    for (_, hex, _) in VECTORS {
        borders.push(borders[borders.len() - 1] + hex.len() / 2);
    }
    for at in 0..=stream.len() {
        assert_eq!(unpacked([&stream[..at]]).1, Ok(borders.contains(&at)), "{at}");
    }
}

#[test]
fn any_flipped_bit_is_found_and_what_came_before_it_stands() {
    let (stream, _) = all();
    let first = VECTORS[0].1.len() / 2;
    for bit in first * 8..(first + VECTORS[1].1.len() / 2) * 8 {
        let mut stream = stream.clone();
        stream[bit / 8] ^= 1 << (bit % 8);
        for size in [stream.len(), 7] {
            let found = unpacked(stream.chunks(size));
            assert_eq!(found, (VECTORS[0].2.to_owned(), Err(Malformed::Checksum)), "{bit}");
        }
    }
}

#[test]
fn what_cannot_be_read() {
    let event = |name: &str| framed(&[(":message-type", "event"), (":event-type", name)], b"{}");
    for (message, expected) in [
        (raw(MOST as u32 + 1, 0, b""), Malformed::Length),
        (raw(15, 0, b""), Malformed::Length),
        (raw(16, 1, b""), Malformed::Length),
        (raw(u32::MAX, u32::MAX, b""), Malformed::Length),
        // Headers that end early, or are of a type that there is not.
        (raw(17, 1, b"\x05"), Malformed::Headers),
        (raw(19, 3, b"\x01a\x07"), Malformed::Headers),
        (raw(21, 5, b"\x01a\x07\x00\x01"), Malformed::Headers),
        (raw(19, 3, b"\x01a\x0a"), Malformed::Headers),
        // A name that is no text.
        (raw(29, 13, b"\x0b:event-type\x00"), Malformed::Headers),
        (event("a\ndata: b"), Malformed::Headers),
        (event(""), Malformed::Unnamed),
        (raw(16, 0, b""), Malformed::Unnamed),
        (framed(&[(":message-type", "other"), (":event-type", "a")], b""), Malformed::Unnamed),
        (framed(&[(":message-type", "exception"), (":event-type", "a")], b""), Malformed::Unnamed),
        (b"HTTP/1.1 400 Bad Request".to_vec(), Malformed::Checksum),
    ] {
        assert_eq!(unpacked([&message[..]]), (String::new(), Err(expected)), "{message:?}");
    }
}

/// No byte of a message that is too long has to come first, and one of the greatest length passes.
#[test]
fn the_length_is_judged_by_the_prelude() {
    assert_eq!(unpacked([&raw(MOST as u32 + 1, 0, b"")[..12]]).1, Err(Malformed::Length));
    let payload = vec![b'1'; MOST - FRAME - 16];
    let message = framed(&[(":event-type", "a")], &payload);
    assert_eq!(message.len(), MOST);
    let (events, ended) = unpacked(message.chunks(1 << 16));
    assert_eq!((events.len(), ended), (payload.len() + 17, Ok(true)));
}
