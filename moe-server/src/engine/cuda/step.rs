//! From spans to steps of the device.

use moe_cuda::{Error, decode::Batch, device::Device};

use super::CudaEngine;
use crate::{
    engine::{EngineError, Span, Wanted, paging::Part},
    ids::{SequenceId, TokenId},
};

/// Rows of one step on the device.
#[derive(Debug, Default)]
struct Rows {
    tokens: Vec<TokenId>,
    positions: Vec<u32>,
    slots: Vec<u32>,
    wanted: Vec<u32>,
    /// Of each wanted row.
    sequences: Vec<SequenceId>,
    /// Sequences in it.
    count: usize,
}

impl<D: Device> CudaEngine<D> {
    /// A step; after an error `logits` hold anything.
    pub(super) fn advance(&mut self, spans: &[Span<'_>], logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.intact()?;
        self.sequences.check(spans, &self.capabilities)?;
        if spans.is_empty() {
            return Ok(());
        }
        let parts = self.sequences.grow(spans).inspect_err(|error| {
            if let EngineError::Broken(why) = error {
                self.broken = Some(why.clone());
            }
        })?;
        match self.compute(&parts, logits) {
            Err(error) => {
                self.sequences.abandon(parts, None);
                Err(self.torn(&error))
            }
            Ok(None) => {
                self.sequences.commit(parts);
                Ok(())
            }
            Ok(Some(sequence)) => {
                self.sequences.abandon(parts, Some(sequence));
                Err(EngineError::NotANumber { sequence })
            }
        }
    }

    /// Answers the first sequence with a logit that is no finite number.
    fn compute(&mut self, parts: &[Part<'_>], logits: &mut Vec<f32>) -> Result<Option<SequenceId>, Error> {
        self.decoder.device().enter()?;
        self.copy_blocks()?;
        let mut odd = None;
        let mut rows = Rows::default();
        self.tables.next_step();
        for part in parts {
            let mut slot = None;
            for (index, token) in part.tokens.iter().enumerate() {
                let is_wanted = match part.wanted {
                    Wanted::None => false,
                    Wanted::Last => index + 1 == part.tokens.len(),
                    Wanted::All => true,
                };
                if self.is_full(&rows, slot.is_none(), is_wanted) {
                    odd = odd.or(self.launch(&rows, logits)?);
                    rows = Rows::default();
                    self.tables.next_step();
                    slot = None;
                }
                let slot = match slot {
                    Some(slot) => slot,
                    None => {
                        rows.count += 1;
                        *slot.insert(self.tables.slot(&self.decoder, part.sequence, &part.held)?)
                    }
                };
                if is_wanted {
                    rows.wanted.push(number(rows.tokens.len()));
                    rows.sequences.push(part.sequence);
                }
                rows.tokens.push(*token);
                rows.positions.push(number(part.position + index));
                rows.slots.push(number(slot));
            }
        }
        Ok(odd.or(self.launch(&rows, logits)?))
    }

    /// Whether a further row has no room.
    fn is_full(&self, rows: &Rows, is_new: bool, is_wanted: bool) -> bool {
        rows.tokens.len() == self.options.max_batch_tokens.max(1)
            || is_new && rows.count == self.options.max_sequences.max(1)
            || is_wanted && rows.wanted.len() == self.options.max_wanted.max(1)
    }

    fn launch(&mut self, rows: &Rows, logits: &mut Vec<f32>) -> Result<Option<SequenceId>, Error> {
        let Rows { tokens, positions, slots, wanted, .. } = rows;
        self.decoder.set(&Batch { tokens, positions, slots, wanted })?;
        self.decoder.compute()?;
        let outcomes = self.decoder.outcomes()?;
        for row in 0..wanted.len() {
            logits.extend(self.decoder.logits(row)?);
        }
        let odd = outcomes.iter().zip(&rows.sequences).find(|(outcome, _)| !outcome.is_finite);
        Ok(odd.map(|(_, sequence)| *sequence))
    }
}

/// Positions, rows and slots are below 2^32: contexts are ([`crate::model::decoder::Config::check`]).
#[allow(clippy::cast_possible_truncation)]
fn number(n: usize) -> u32 {
    n as u32
}
