//! HMAC-SHA256 over a domain label and a message, keyed by the origin's own key.
//!
//! Gateway and server share one secret per origin: the bearer key. Each kind of message has its own label, so that
//! a signature made for one kind never verifies as another.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A signature: 32 bytes, written as 64 lower-case hex digits.
#[must_use]
pub fn sign(key: &[u8], label: &str, message: &[u8]) -> String {
    to_hex(&mac(key, label, message).finalize().into_bytes())
}

/// Whether `signature` (hex) is the one for `message`; compares in constant time.
#[must_use]
pub fn verify(key: &[u8], label: &str, message: &[u8], signature: &str) -> bool {
    let Some(bytes) = from_hex(signature) else { return false };
    mac(key, label, message).verify_slice(&bytes).is_ok()
}

fn mac(key: &[u8], label: &str, message: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(label.as_bytes());
    mac.update(b"\n");
    mac.update(message);
    mac
}

/// Lower-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// The 32 bytes behind 64 hex digits of either case.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_for_its_own_key_label_and_message_only() {
        let s = sign(b"key", "ticket", b"hello");
        assert!(verify(b"key", "ticket", b"hello", &s));
        for (key, label, message) in [
            (&b"kez"[..], "ticket", &b"hello"[..]),
            (b"key", "receipt", b"hello"),
            (b"key", "ticket", b"hellp"),
        ] {
            assert!(!verify(key, label, message, &s));
        }
        assert!(!verify(b"key", "ticket", b"hello", &s[..62]));
        assert!(!verify(b"key", "ticket", b"hello", &"zz".repeat(32)));
    }

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_hmac_sha256() {
        let plain = {
            let mut m = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
            m.update(b"what do ya want for nothing?");
            to_hex(&m.finalize().into_bytes())
        };
        assert_eq!(plain, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn hex_round_trips() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8).unwrap());
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex(&to_hex(&bytes).to_uppercase()), Some(bytes));
    }
}
