//! The prefix cache on disk, for the time in which a server sleeps or is not there.
//!
//! Little endian. Head: magic, SHA-256 of [`crate::engine::KeptFormat::print`], the number of blocks, the file's length, the last
//! block's checksum, SHA-256 of all this. Then the blocks: length, body, checksum. A body is: the parent's index (0xffffffff
//! for none, then the salt's length and the salt), whether there are bytes of the chunked layers, the tokens, the bytes.
//! A checksum is the SHA-256 of the checksum before (of the head's print for the first), the length and the body: so
//! whatever is changed, left out, swapped or added is noticed.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Block, Parent, Unusable, read};
pub use write::save;

use sha2::{Digest, Sha256};
use std::path::PathBuf;

const MAGIC: [u8; 8] = *b"moewarm1";
const HEAD: usize = MAGIC.len() + 32 + 8 + 8 + 32 + 32;
const NO_PARENT: u32 = u32::MAX;

/// Where the prefix cache is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub file: PathBuf,
    /// The file is not larger.
    pub max_bytes: u64,
}

type Sum = [u8; 32];

fn sum(parts: &[&[u8]]) -> Sum {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
