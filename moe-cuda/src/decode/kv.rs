//! Blocks of keys and values, as they lie on the device.

use super::Decoder;
use crate::{
    Error,
    device::Device,
    kv::{GROUP, KvType},
    layout::Fill,
    model::WeightType,
    random::fill_with,
};

/// The number by which the kernel `fill` knows blocks of [`KvType::Q8_0`].
const KV: u32 = 8;

impl<D: Device> Decoder<D> {
    /// Bytes of one head's part of a block of a layer's keys, or of its values.
    fn part_bytes(&self) -> usize {
        self.options.block_tokens * self.device.kv_type().vector_bytes(self.model.shape.head_dim)
    }

    /// Bytes of a block of a layer's keys, or of its values: the heads' parts, one after the other.
    pub(super) fn kv_block_bytes(&self) -> usize {
        self.model.shape.kv_heads * self.part_bytes()
    }

    /// Random keys and values for all positions, for checks and timing.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn fill_cache(&self, seed: u32) -> Result<(), Error> {
        let kind = match self.device.kv_type() {
            KvType::F16 => WeightType::F16.kind(),
            KvType::Q8_0 => KV,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            for (at, seed) in [(layer.keys, seed), (layer.values, !seed)] {
                let cache = Fill {
                    at,
                    bytes: (self.options.blocks * self.kv_block_bytes()) as u64,
                    kind,
                    columns: self.part_bytes() as u32,
                    seed: seed.wrapping_add(index as u32 * 0x9E37),
                    amplitude: 1.0,
                };
                fill_with(&self.device, &cache)?;
            }
        }
        Ok(())
    }

    /// The first `count` positions' keys and values of a KV head of the sequence in `slot`.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub(crate) fn cached(
        &self,
        layer: usize,
        slot: usize,
        count: usize,
        kv_head: usize,
    ) -> Result<[Vec<f32>; 2], Error> {
        let s = &self.model.shape;
        let tables = self.step.tables[usize::from(self.model.layers[layer].is_chunked)];
        let table: Vec<u32> =
            self.device.read(tables + (slot * self.table_blocks * 4) as u64, self.table_blocks)?;
        let bytes = self.part_bytes();
        let read = |base: u64| {
            let mut values = Vec::new();
            for block in table.iter().take(count.div_ceil(self.options.block_tokens)) {
                let at = base + ((*block as usize * s.kv_heads + kv_head) * bytes) as u64;
                let part: Vec<u8> = self.device.read(at, bytes)?;
                values.extend(match self.device.kv_type() {
                    KvType::F16 => halves(&part),
                    KvType::Q8_0 => {
                        let (quants, scales) = part.split_at(self.options.block_tokens * s.head_dim);
                        let of = |(quants, scale): (&[u8], f32)| -> Vec<f32> {
                            quants.iter().map(|q| f32::from(q.cast_signed()) * scale).collect()
                        };
                        quants.chunks(GROUP).zip(halves(scales)).flat_map(of).collect()
                    }
                });
            }
            values.truncate(count * s.head_dim);
            Ok(values)
        };
        Ok([read(self.layers[layer].keys)?, read(self.layers[layer].values)?])
    }
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    let (pairs, _) = bytes.as_chunks();
    pairs.iter().map(|pair| half(u16::from_le_bytes(*pair))).collect()
}

/// A half as `f32`, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7FFF);
    // The exponent's bias grows by 112; multiplying by 2^112 does that and sets subnormals right.
    let magnitude = f32::from_bits(rest << 13) * f32::from_bits(0x7780_0000);
    let magnitude = if rest >= 0x7C00 { magnitude.to_bits() | 0x7F80_0000 } else { magnitude.to_bits() };
    f32::from_bits(sign | magnitude)
}
