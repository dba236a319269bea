//! The form of keys. Whoever makes one brings the randomness.

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

/// A key and its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// `mg-` and 43 characters of `[A-Za-z0-9_-]`: 256 random bits.
    pub key: String,
    /// Of the key's whole text, in lower-case hex.
    pub sha256: String,
}

impl NewKey {
    /// The key made of 32 random bytes.
    #[must_use]
    pub fn from_random(random: &[u8; 32]) -> Self {
        let key = format!("mg-{}", base64url(random));
        let sha256 = hash(&key);
        Self { key, sha256 }
    }
}

/// The lower-case hex SHA-256 of a key's whole text.
#[must_use]
pub fn hash(key: &str) -> String {
    to_hex(&Sha256::digest(key.as_bytes()))
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(group >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10, in the URL alphabet.
    #[test]
    fn base64url_vectors() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"\xfb\xff", "-_8"),
        ] {
            assert_eq!(base64url(bytes), text);
        }
    }

    #[test]
    fn a_key_has_its_form_and_its_hash() {
        let NewKey { key, sha256 } = NewKey::from_random(&[0; 32]);
        assert_eq!(key, format!("mg-{}", "A".repeat(43)));
        assert_eq!(sha256, hash(&key));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
