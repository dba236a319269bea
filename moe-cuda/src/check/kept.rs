//! What is kept of keys and values, against what moe-kernels keeps of the same.

use moe_kernels::Isa;

use super::{Report, single::activations};
use crate::{
    Error,
    decode::{Batch, Decoder, Options},
    device::Device,
    kv::KvType,
    model::{HeadNorm, Model},
    random::Random,
    reference,
};

const ROWS: usize = 16;
const CONTEXT: usize = 150;

/// Keys and values of random tokens, each of a sequence of its own and then all of one, in a layer that does nothing to keys: by their
/// bytes. In Q8_0 there are zeros, ties, tiny and huge values among them, and not numbers. Empty where the model has no such layer.
///
/// # Errors
/// What the device says.
pub fn kept<D: Device>(device: &D, isa: Isa, model: &Model, seed: u64) -> Result<Report, Error> {
    let (s, kv_type) = (&model.shape, device.kv_type());
    let mut report = Report::default();
    let plain = model.layers.iter().position(|layer| !layer.has_rope);
    let Some(index) = plain.filter(|_| s.head_norm != HeadNorm::Weighted) else { return Ok(report) };
    let mut random = Random::new(seed);
    let mut decoder = Decoder::new(device, model, Options::new(ROWS, CONTEXT))?;
    let (dim, keys_at) = (s.head_dim, s.heads * s.head_dim);
    for is_one in [false, true] {
        let slots: Vec<u32> = (0..ROWS as u32).map(|t| if is_one { 0 } else { t }).collect();
        let first = CONTEXT - ROWS;
        let position = |t: usize, random: &mut Random| if is_one { first + t } else { random.below(CONTEXT) };
        let positions: Vec<u32> = (0..ROWS).map(|t| position(t, &mut random) as u32).collect();
        decoder.set(&Batch { tokens: &[0; ROWS], positions: &positions, slots: &slots, wanted: &[] })?;
        let mut row = || -> Vec<f32> {
            let heads = (0..s.heads + 2 * s.kv_heads).map(|head| {
                let odd = head >= s.heads && kv_type == KvType::Q8_0 && random.below(4) == 0;
                activations(&mut random, dim, odd)
            });
            heads.flatten().collect()
        };
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|_| row()).collect();
        device.write(decoder.step.qkv, &rows.concat())?;
        decoder.attention(&decoder.layers[index])?;
        for (t, row) in rows.iter().enumerate() {
            for head in 0..s.kv_heads {
                let count = positions[t] as usize + 1;
                let cached = decoder.cached(index, slots[t] as usize, count, head)?;
                let key = &row[keys_at + head * dim..][..dim];
                let value = &row[keys_at + (s.kv_heads + head) * dim..][..dim];
                let expected = reference::kept(isa, kv_type, key, value)?;
                for (cached, expected) in cached.iter().zip(&expected) {
                    report.bits("keys and values kept", &cached[(count - 1) * dim..], expected);
                }
            }
        }
    }
    Ok(report)
}
