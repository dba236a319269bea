//! A prompt in steps of many rows, against the same tokens one by one.

use super::Report;
use crate::{
    Error,
    decode::{Batch, Decoder, Options},
    device::Device,
    model::Model,
    random::Random,
};

/// Computes `count` random tokens in steps of the given sizes in one slot and one by one in another: logits have the same bits,
/// whatever the kernels and the order of blocks that they came from.
///
/// # Errors
/// What the device says.
#[allow(clippy::cast_possible_truncation)]
pub fn prompts<D: Device>(device: &D, model: &Model, sizes: &[usize], seed: u64) -> Result<Report, Error> {
    let mut random = Random::new(seed);
    let count: usize = sizes.iter().sum();
    let rows = sizes.iter().copied().max().unwrap_or(1);
    let tokens: Vec<u32> = (0..count).map(|_| random.below(model.shape.vocab) as u32).collect();
    let base = Options::new(rows, count);
    let blocks = 2 * count.div_ceil(base.block_tokens);
    let mut decoder = Decoder::new(device, model, Options { slots: 2, wanted: 2, blocks, ..base })?;
    let mut report = Report::default();
    let mut done = 0;
    let mut expected = Vec::new();
    for size in sizes {
        let positions: Vec<u32> = (done as u32..(done + size) as u32).collect();
        let last = *size as u32 - 1;
        let wanted = if *size > 2 { vec![last / 2, last] } else { vec![last] };
        let batch = Batch {
            tokens: &tokens[done..done + size],
            positions: &positions,
            slots: &vec![0; *size],
            wanted: &wanted,
        };
        decoder.set(&batch)?;
        decoder.compute()?;
        for (index, row) in wanted.iter().enumerate() {
            expected.push((done + *row as usize, decoder.logits(index)?));
        }
        done += size;
    }
    let mut expected = expected.into_iter().peekable();
    for (at, token) in tokens.iter().enumerate() {
        let wanted: &[u32] = if expected.peek().is_some_and(|(row, _)| *row == at) { &[0] } else { &[] };
        let batch = Batch { tokens: &[*token], positions: &[at as u32], slots: &[1], wanted };
        decoder.set(&batch)?;
        decoder.compute()?;
        if let Some((_, of_prompt)) = expected.next_if(|(row, _)| *row == at) {
            report.bits("a prompt and its tokens one by one", &of_prompt, &decoder.logits(0)?);
        }
    }
    Ok(report)
}
