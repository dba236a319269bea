//! What a step says of the rows whose logits were wanted.

use super::Decoder;
use crate::{Error, device::Device, layout::KEPT};

/// One candidate for the next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub token: u32,
    pub logit: f32,
}

/// What a step says of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The best, in order; of equal logits the lower token first.
    pub candidates: Vec<Candidate>,
    pub log_sum_exp: f64,
    /// Whether all logits are finite.
    pub is_finite: bool,
}

impl<D: Device> Decoder<D> {
    /// What the last step said of each wanted row.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub fn outcomes(&self) -> Result<Vec<Outcome>, Error> {
        let count = self.step.wanted as usize;
        let all = self.options.wanted;
        let words: Vec<u64> =
            self.device.read(self.step.sums, if count > 0 { all + count * KEPT } else { 0 })?;
        let (sums, keys) = words.split_at(all.min(words.len()));
        let candidate = |key: &u64| {
            let ordered = (key >> 32) as u32;
            let bits = if ordered & 0x8000_0000 > 0 { ordered & 0x7FFF_FFFF } else { !ordered };
            let logit = if ordered == u32::MAX { f32::NAN } else { f32::from_bits(bits) };
            Candidate { token: u32::MAX - (*key & 0xFFFF_FFFF) as u32, logit }
        };
        let outcome = |(keys, sums): (&[u64], &u64)| {
            let candidates: Vec<Candidate> = keys.iter().filter(|key| **key > 0).map(candidate).collect();
            // Two floats: little endian, as GPUs and their hosts are. The sum is relative to the best, so that large logits do
            // not cost it its precision.
            let sum = f64::from(f32::from_bits((*sums & 0xFFFF_FFFF) as u32));
            let best = candidates.first().map_or(f64::NEG_INFINITY, |best| f64::from(best.logit));
            let is_finite = f32::from_bits((*sums >> 32) as u32) > 0.0;
            Outcome { candidates, log_sum_exp: best + sum.ln(), is_finite }
        };
        Ok(keys.chunks(KEPT).zip(sums).map(outcome).collect())
    }

    /// All logits of the last step's wanted row number `row`.
    ///
    /// # Errors
    /// As [`Device::read`].
    pub fn logits(&self, row: usize) -> Result<Vec<f32>, Error> {
        let vocab = self.model.shape.vocab;
        self.device.read(self.step.logits + (row * vocab * 4) as u64, vocab)
    }
}
