//! Whole blocks of keys and values: copied on the device, and those that leave it and come back.

use super::{Decoder, KvGroup};
use crate::{Error, device::Device};

impl<D: Device> Decoder<D> {
    /// Bytes of a block in all layers of a group: of each layer the keys, then the values.
    #[must_use]
    pub fn block_bytes(&self, group: KvGroup) -> usize {
        self.places(group, 0).count() * self.kv_block_bytes()
    }

    /// Where a block's keys and values lie, layer by layer.
    fn places(&self, group: KvGroup, block: u32) -> impl Iterator<Item = u64> {
        let offset = u64::from(block) * self.kv_block_bytes() as u64;
        let layers = self.layers.iter().zip(&self.model.layers);
        let layers = layers.filter(move |(_, of)| of.is_chunked == (group == KvGroup::Chunked));
        layers.flat_map(move |(layer, _)| [layer.keys + offset, layer.values + offset])
    }

    /// Copies a block of KV in all layers of a group.
    ///
    /// # Errors
    /// As [`Device::copy_bytes`].
    pub fn copy_block(&self, group: KvGroup, from: u32, to: u32) -> Result<(), Error> {
        let mut places = self.places(group, from).zip(self.places(group, to));
        places.try_for_each(|(from, to)| self.device.copy_bytes(from, to, self.kv_block_bytes()))
    }

    /// Overwrites `bytes`, [`Self::block_bytes`] of them, with a block.
    ///
    /// # Errors
    /// As [`Device::read_bytes`].
    pub fn read_block(&self, group: KvGroup, block: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let parts = bytes.chunks_mut(self.kv_block_bytes());
        self.places(group, block).zip(parts).try_for_each(|(at, part)| self.device.read_bytes(at, part))
    }

    /// Overwrites a block with `bytes`.
    ///
    /// # Errors
    /// As [`Device::write_bytes`].
    pub fn write_block(&self, group: KvGroup, block: u32, bytes: &[u8]) -> Result<(), Error> {
        let parts = bytes.chunks(self.kv_block_bytes());
        self.places(group, block).zip(parts).try_for_each(|(at, part)| self.device.write_bytes(at, part))
    }
}
