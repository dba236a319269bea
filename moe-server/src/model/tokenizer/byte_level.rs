//! GPT-2's spelling of bytes as printable characters, in which byte-level BPE vocabularies are written.

/// Bytes that stand for themselves.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The byte that a character spells: itself, or the others counted from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match u8::try_from(code) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => (0..=u8::MAX).filter(|byte| !is_printable(*byte)).nth(usize::try_from(code - 256).ok()?),
    }
}

/// Turns spelled bytes back into bytes.
#[derive(Debug)]
pub(super) struct ByteLevel {
    /// By code point; spelled characters end at U+0143.
    bytes: [Option<u8>; 0x144],
}

impl ByteLevel {
    pub(super) fn new() -> Self {
        let mut bytes = [None; 0x144];
        for (code, byte) in (0_u32..).zip(&mut bytes) {
            *byte = char::from_u32(code).and_then(byte_of);
        }
        Self { bytes }
    }

    /// Appends the bytes that `text` spells; false where a character spells none.
    pub(super) fn decode_into(&self, text: &str, out: &mut Vec<u8>) -> bool {
        text.chars().all(|character| {
            let byte = self.bytes.get(character as usize).copied().flatten();
            out.extend(byte);
            byte.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_every_byte_once() {
        let level = ByteLevel::new();
        let mut seen: Vec<u8> = level.bytes.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
        let mut bytes = Vec::new();
        assert!(level.decode_into("aĠĊÃ±ŃĀ", &mut bytes));
        assert_eq!(bytes, [b'a', b' ', b'\n', 0xc3, 0xb1, 0xad, 0]);
        assert!(!level.decode_into("a b", &mut bytes));
    }
}
