//! What makes token ids comparable between servers.

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

use super::gguf::Gguf;

const PREFIX: &str = "tokenizer.";
/// Bytes of the hash that are kept: enough to tell a fleet's models apart, and no protection against forgers.
const BYTES: usize = 8;

/// The fingerprint of all that decides how text becomes tokens and tokens text: the file's tokenizer, by its hash, and
/// `template`, the source of the chat template in use. Files that spell the same tokenizer differently differ, too.
pub(crate) fn of(tokenizer: &str, template: &str) -> String {
    to_hex(&hash([tokenizer.as_bytes(), template.as_bytes()].into_iter())[..BYTES])
}

/// The hash of a file's tokenizer; a packed file carries its model's.
pub(crate) fn tokenizer(gguf: &Gguf) -> String {
    let mut keys: Vec<&str> = gguf.keys().filter(|key| key.starts_with(PREFIX)).collect();
    keys.sort_unstable();
    let parts = keys.into_iter().flat_map(|key| [key.as_bytes(), gguf.raw(key).unwrap_or_default()]);
    to_hex(&hash(parts))
}

fn hash<'a>(parts: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts are the same bytes.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
