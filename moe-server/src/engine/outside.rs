//! Blocks of keys and values outside of an engine: a sequence as bytes, and blocks of the prefix cache that are kept and
//! brought back. The same for every engine, wherever its blocks lie.

use super::paging::{BlockId, Cache, Held, NodeId, Parent, Restored, Table};
use super::{EngineError, Kept, KeptFormat, KeptParent};
use crate::model::decoder::Model;

/// Layers whose blocks go together; see [`super::paging`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Full,
    Chunked,
}

/// Where blocks lie.
pub(super) trait BlockStore {
    /// Bytes of a block in all layers of the group.
    fn block_bytes(&self, group: Group) -> usize;

    /// Overwrites `bytes`, as many as a block has.
    fn read(&self, group: Group, block: BlockId, bytes: &mut [u8]) -> Result<(), EngineError>;

    /// Overwrites a block with as many bytes as it has.
    fn write(&mut self, group: Group, block: BlockId, bytes: &[u8]) -> Result<(), EngineError>;
}

fn all_bytes(store: &impl BlockStore) -> [usize; 2] {
    [Group::Full, Group::Chunked].map(|group| store.block_bytes(group))
}

/// For an engine that computes `how`; another version may round otherwise.
pub(super) fn kept_format(store: &impl BlockStore, print: u64, how: &str, tokens: usize) -> KeptFormat {
    let (version, bytes) = (env!("CARGO_PKG_VERSION"), all_bytes(store));
    KeptFormat { print: format!("{print:016x} {how} {version} {tokens} {bytes:?}"), tokens, bytes }
}

/// See [`super::Engine::visit_kept`]; ends where a block cannot be read.
pub(super) fn visit_kept(
    store: &impl BlockStore,
    cache: &Cache,
    visit: &mut dyn FnMut(&Kept<'_>) -> bool,
) -> Result<(), EngineError> {
    let [mut full, mut chunked] = all_bytes(store).map(|bytes| vec![0; bytes]);
    for (id, node) in cache.by_use() {
        let parent = match &node.key.parent {
            Parent::Salt(salt) => KeptParent::Salt(salt),
            Parent::Node(parent) => KeptParent::Block(parent.0),
        };
        store.read(Group::Full, node.full, &mut full)?;
        if let Some(block) = node.chunked {
            store.read(Group::Chunked, block, &mut chunked)?;
        }
        let chunked = node.chunked.map(|_| &chunked[..]);
        if !visit(&Kept { id: id.0, parent, tokens: &node.key.tokens, full: &full, chunked }) {
            break;
        }
    }
    Ok(())
}

/// See [`super::Engine::restore`].
///
/// # Errors
/// What the store says: a block that is not whole may be known then, and the engine is broken.
pub(super) fn restore(
    store: &mut impl BlockStore,
    cache: &mut Cache,
    block: &Kept<'_>,
) -> Result<Option<u64>, EngineError> {
    let parent = match block.parent {
        KeptParent::Salt(salt) => Parent::Salt(salt.into()),
        KeptParent::Block(id) => Parent::Node(NodeId(id)),
    };
    let [full, chunked] = all_bytes(store);
    if block.full.len() != full || block.chunked.is_some_and(|bytes| bytes.len() != chunked) {
        return Ok(None);
    }
    match cache.restore(parent, block.tokens, block.chunked.is_some()) {
        None => Ok(None),
        Some(Restored::Known(id)) => Ok(Some(id.0)),
        Some(Restored::New { id, full, chunked }) => {
            store.write(Group::Full, full, block.full)?;
            if let (Some(own), Some(bytes)) = (chunked, block.chunked) {
                store.write(Group::Chunked, own, bytes)?;
            }
            Ok(Some(id.0))
        }
    }
}

const MAGIC: [u8; 8] = *b"moegkv02";
const HEADER: usize = MAGIC.len() + 3 * 8;

/// A sequence's keys and values. Little endian: magic, `print`, tokens, the first chunked block held, then the full group's
/// blocks and the chunked group's as the store has them.
pub(super) fn export(store: &impl BlockStore, print: u64, held: &Held) -> Result<Vec<u8>, EngineError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(print.to_le_bytes());
    bytes.extend((held.length as u64).to_le_bytes());
    bytes.extend((held.chunked.first as u64).to_le_bytes());
    for (group, table) in [(Group::Full, &held.full), (Group::Chunked, &held.chunked)] {
        let size = store.block_bytes(group);
        for block in &table.blocks {
            let start = bytes.len();
            bytes.resize(start + size, 0);
            store.read(group, *block, &mut bytes[start..])?;
        }
    }
    Ok(bytes)
}

/// # Errors
/// [`EngineError::Incompatible`] or [`EngineError::OutOfBlocks`]; else what the store says, and the engine is broken.
pub(super) fn import(
    store: &mut impl BlockStore,
    print: u64,
    context_length: usize,
    cache: &mut Cache,
    bytes: &[u8],
) -> Result<Held, EngineError> {
    let truncated = EngineError::Incompatible("the bytes are cut short");
    let Some((header, mut data)) = bytes.split_first_chunk::<HEADER>() else { return Err(truncated) };
    let (magic, numbers) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(EngineError::Incompatible("the bytes are no exported sequence"));
    }
    let &[print_was, length, first] = numbers.as_chunks::<8>().0 else { return Err(truncated) };
    if u64::from_le_bytes(print_was) != print {
        return Err(EngineError::Incompatible(
            "the sequence was computed with another model or type of keys and values",
        ));
    }
    let number = |bytes| usize::try_from(u64::from_le_bytes(bytes)).ok().filter(|n| *n <= u32::MAX as usize);
    let (Some(length), Some(first)) = (number(length), number(first)) else { return Err(truncated) };
    if length > context_length {
        return Err(EngineError::Incompatible("the sequence's length is impossible"));
    }
    let blocks = cache.sizes.blocks_of(length);
    let [full, chunked] = all_bytes(store);
    if data.len() != blocks * full + blocks.saturating_sub(first) * chunked {
        return Err(truncated);
    }
    let held = cache.claim(length, first)?;
    fill(store, Group::Full, &held.full, &mut data)?;
    fill(store, Group::Chunked, &held.chunked, &mut data)?;
    Ok(held)
}

fn fill(
    store: &mut impl BlockStore,
    group: Group,
    table: &Table,
    data: &mut &[u8],
) -> Result<(), EngineError> {
    for block in &table.blocks {
        let (mine, rest) = data.split_at(store.block_bytes(group));
        store.write(group, *block, mine)?;
        *data = rest;
    }
    Ok(())
}

/// FNV-1a over the configuration, how keys and values are held, and samples of every tensor: enough to tell models apart, not to withstand
/// malice.
pub(super) fn fingerprint(model: &Model, how: &str) -> u64 {
    let mut hash = Fnv(0xCBF2_9CE4_8422_2325);
    hash.add(format!("{:?} {how}", model.config).as_bytes());
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
