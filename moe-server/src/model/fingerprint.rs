//! What makes token ids comparable between servers.

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

use super::gguf::Gguf;

const PREFIX: &str = "tokenizer.";
/// Bytes of the hash that are kept: enough to tell a fleet's models apart, and no protection against forgers.
const BYTES: usize = 8;

/// The fingerprint of all that decides how text becomes tokens and tokens text: the file's tokenizer and `template`, the
/// source of the chat template in use. Files that spell the same tokenizer differently differ, too.
pub(super) fn of(gguf: &Gguf, template: &str) -> String {
    let mut keys: Vec<&str> = gguf.keys().filter(|key| key.starts_with(PREFIX)).collect();
    keys.sort_unstable();
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // With its length, so that no two lists of parts are the same bytes.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for key in keys {
        part(key.as_bytes());
        part(gguf.raw(key).unwrap_or_default());
    }
    part(template.as_bytes());
    to_hex(&hash.finalize()[..BYTES])
}
