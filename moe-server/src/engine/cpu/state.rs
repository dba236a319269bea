//! A sequence's keys and values as bytes.
//!
//! Little endian: magic, fingerprint of the model and of how keys and values are held, tokens, the first chunked block
//! held, then the full group's blocks and the chunked group's as they lie in memory.

use super::kv::{Group, Kv};
use crate::{
    engine::{
        EngineError,
        paging::{Cache, Held, Table},
    },
    model::decoder::Model,
};

const MAGIC: [u8; 8] = *b"moegkv02";
const HEADER: usize = MAGIC.len() + 3 * 8;

pub(super) fn export(model: &Model, kv: &Kv, held: &Held) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(fingerprint(model, kv).to_le_bytes());
    bytes.extend((held.length as u64).to_le_bytes());
    bytes.extend((held.chunked.first as u64).to_le_bytes());
    for (group, table) in [(&kv.full, &held.full), (&kv.chunked, &held.chunked)] {
        for id in &table.blocks {
            bytes.extend_from_slice(group.raw(*id));
        }
    }
    bytes
}

pub(super) fn import(
    model: &Model,
    kv: &mut Kv,
    cache: &mut Cache,
    bytes: &[u8],
) -> Result<Held, EngineError> {
    let truncated = EngineError::Incompatible("the bytes are cut short");
    let Some((header, mut data)) = bytes.split_first_chunk::<HEADER>() else { return Err(truncated) };
    let (magic, numbers) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(EngineError::Incompatible("the bytes are no exported sequence"));
    }
    let &[model_was, length, first] = numbers.as_chunks::<8>().0 else { return Err(truncated) };
    if u64::from_le_bytes(model_was) != fingerprint(model, kv) {
        return Err(EngineError::Incompatible(
            "the sequence was computed with another model or type of keys and values",
        ));
    }
    let number = |bytes| usize::try_from(u64::from_le_bytes(bytes)).ok().filter(|n| *n <= u32::MAX as usize);
    let (Some(length), Some(first)) = (number(length), number(first)) else { return Err(truncated) };
    if length > model.config.context_length {
        return Err(EngineError::Incompatible("the sequence's length is impossible"));
    }
    let blocks = cache.sizes.blocks_of(length);
    let size = blocks * kv.full.block_bytes() + blocks.saturating_sub(first) * kv.chunked.block_bytes();
    if data.len() != size {
        return Err(truncated);
    }
    let held = cache.claim(length, first)?;
    fill(&mut kv.full, &held.full, &mut data);
    fill(&mut kv.chunked, &held.chunked, &mut data);
    Ok(held)
}

fn fill(group: &mut Group, table: &Table, data: &mut &[u8]) {
    for id in &table.blocks {
        let block = group.raw_mut(*id);
        let (mine, rest) = data.split_at(block.len());
        block.copy_from_slice(mine);
        *data = rest;
    }
}

/// FNV-1a over the configuration, the blocks' layout and samples of every tensor: enough to tell models apart, not to withstand malice.
pub(super) fn fingerprint(model: &Model, kv: &Kv) -> u64 {
    let mut hash = Fnv(0xCBF2_9CE4_8422_2325);
    hash.add(format!("{:?} {:?}", model.config, kv.layout).as_bytes());
    for tensor in model.tensors() {
        let bytes = tensor.bytes();
        hash.add(format!("{tensor:?}").as_bytes());
        for part in 0..8 {
            let at = bytes.len() / 8 * part;
            hash.add(&bytes[at..(at + 32).min(bytes.len())]);
        }
    }
    hash.0
}

struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}
