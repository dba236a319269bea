//! The device's blocks outside of it.

use moe_cuda::{
    decode::{Decoder, KvGroup, Options},
    device::Device,
    kv::KvType,
};

use crate::engine::{
    EngineError,
    outside::{BlockStore, Group},
    paging::BlockId,
};

/// How keys and values are held.
pub(super) fn held(layout: &Options, kv_type: KvType) -> String {
    format!("cuda {kv_type} {}", layout.block_tokens)
}

/// What sums depend on besides the model: attention is split over the multiprocessors.
pub(super) fn computed(device: &impl Device) -> String {
    format!("cuda {} {}", device.multiprocessors(), device.shared_bytes())
}

fn group(group: Group) -> KvGroup {
    match group {
        Group::Full => KvGroup::Full,
        Group::Chunked => KvGroup::Chunked,
    }
}

impl<D: Device> BlockStore for Decoder<D> {
    fn block_bytes(&self, of: Group) -> usize {
        Decoder::block_bytes(self, group(of))
    }

    fn read(&self, of: Group, block: BlockId, bytes: &mut [u8]) -> Result<(), EngineError> {
        let read = self.device().enter().and_then(|()| self.read_block(group(of), block, bytes));
        read.map_err(|error| EngineError::Broken(error.to_string()))
    }

    fn write(&mut self, of: Group, block: BlockId, bytes: &[u8]) -> Result<(), EngineError> {
        let written = self.device().enter().and_then(|()| self.write_block(group(of), block, bytes));
        written.map_err(|error| EngineError::Broken(error.to_string()))
    }
}
