//! From spans to passes of the device.

use moe_cuda::{
    Error,
    decode::{Batch, Outcome},
    device::Device,
};

use super::{CudaEngine, CudaOptions};
use crate::{
    engine::{Candidate, EngineError, Outcomes, Span, Wanted, paging::Part},
    ids::SequenceId,
};

/// A stretch of one sequence's tokens in a pass.
struct Stretch<'p> {
    part: &'p Part<'p>,
    /// Tokens of the part before it.
    skipped: usize,
    count: usize,
}

/// What the device computes at once.
#[derive(Default)]
struct Pass<'p> {
    stretches: Vec<Stretch<'p>>,
    rows: usize,
    wanted: usize,
}

/// Divides a step into as few passes as the device's buffers allow.
fn passes<'p>(parts: &'p [Part<'p>], options: &CudaOptions) -> Vec<Pass<'p>> {
    let most_rows = options.max_batch_tokens.max(1);
    let (most_sequences, most_wanted) = (options.max_sequences.max(1), options.max_wanted.max(1));
    let mut passes: Vec<Pass<'p>> = Vec::new();
    let mut pass = Pass::default();
    for part in parts {
        let mut done = 0;
        while done < part.tokens.len() {
            let left = part.tokens.len() - done;
            let mut count = left.min(most_rows - pass.rows);
            if part.wanted == Wanted::All {
                count = count.min(most_wanted - pass.wanted);
            } else if part.wanted == Wanted::Last && count == left && pass.wanted == most_wanted {
                count -= 1;
            }
            if count == 0 || pass.stretches.len() == most_sequences {
                passes.push(std::mem::take(&mut pass));
                continue;
            }
            pass.rows += count;
            pass.wanted += match part.wanted {
                Wanted::None => 0,
                Wanted::Last => usize::from(count == left),
                Wanted::All => count,
            };
            pass.stretches.push(Stretch { part, skipped: done, count });
            done += count;
        }
    }
    passes.push(pass);
    passes
}

impl<D: Device> CudaEngine<D> {
    /// A step; after an error `outcomes` hold anything.
    pub(super) fn advance(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError> {
        self.told = 0;
        outcomes.best(self.capabilities.vocab_size);
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
        match self.compute(&parts, outcomes) {
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
    fn compute(&mut self, parts: &[Part<'_>], outcomes: &mut Outcomes) -> Result<Option<SequenceId>, Error> {
        self.decoder.device().enter()?;
        self.copy_blocks()?;
        let passes = passes(parts, &self.options);
        if let [pass] = &passes[..] {
            let (rows, odd) = self.pass(pass)?;
            self.told = rows.len();
            for row in rows {
                let candidate =
                    |best: moe_cuda::decode::Candidate| Candidate { token: best.token, logit: best.logit };
                let candidates = row.candidates.into_iter().map(candidate);
                outcomes.push(candidates, row.log_sum_exp, row.is_finite);
            }
            return Ok(odd);
        }
        // The next pass overwrites what this one has told.
        let logits = outcomes.whole(self.capabilities.vocab_size);
        logits.clear();
        let mut odd = None;
        for pass in &passes {
            odd = odd.or(self.pass(pass)?.1);
            for row in 0..pass.wanted {
                self.read(row, logits)?;
            }
        }
        Ok(odd)
    }

    /// What is told of its wanted rows, and the first sequence with a logit that is no finite number.
    fn pass(&mut self, pass: &Pass<'_>) -> Result<(Vec<Outcome>, Option<SequenceId>), Error> {
        let (mut tokens, mut positions) = (Vec::with_capacity(pass.rows), Vec::with_capacity(pass.rows));
        let (mut slots, mut wanted) = (Vec::with_capacity(pass.rows), Vec::new());
        let mut sequences = Vec::new();
        self.tables.next_step();
        for Stretch { part, skipped, count } in &pass.stretches {
            let slot = self.tables.slot(&self.decoder, part.sequence, &part.held)?;
            for index in *skipped..skipped + count {
                let is_wanted = match part.wanted {
                    Wanted::None => false,
                    Wanted::Last => index + 1 == part.tokens.len(),
                    Wanted::All => true,
                };
                if is_wanted {
                    wanted.push(number(tokens.len()));
                    sequences.push(part.sequence);
                }
                tokens.push(part.tokens[index]);
                positions.push(number(part.position + index));
                slots.push(number(slot));
            }
        }
        let batch = Batch { tokens: &tokens, positions: &positions, slots: &slots, wanted: &wanted };
        self.decoder.set(&batch)?;
        self.decoder.compute()?;
        let outcomes = self.decoder.outcomes()?;
        let odd = outcomes.iter().zip(sequences).find(|(outcome, _)| !outcome.is_finite);
        let odd = odd.map(|(_, sequence)| sequence);
        Ok((outcomes, odd))
    }
}

/// Positions, rows and slots are below 2^32: contexts are ([`crate::model::decoder::Config::check`]).
#[allow(clippy::cast_possible_truncation)]
fn number(n: usize) -> u32 {
    n as u32
}
