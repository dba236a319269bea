//! What a step tells of the logits that were wanted.

use crate::ids::TokenId;

/// How far [`Best::log_sum_exp`] may be from the truth: a sum in `f32` over any vocabulary, by a tree, is nearer.
pub const LOG_SUM_EXP_ERROR: f64 = 1e-5;

/// A token, and its logit as the whole row has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub token: TokenId,
    pub logit: f32,
}

/// What is told of a row whose logits stay where they were computed.
#[derive(Debug, Clone, Copy)]
pub struct Best<'a> {
    /// The first of all tokens by [`Candidate::order`], in that order; at least one.
    pub candidates: &'a [Candidate],
    /// Logits of the row.
    pub vocab_size: usize,
    /// The logarithm of the sum of the exponentials of all logits, within [`LOG_SUM_EXP_ERROR`].
    pub log_sum_exp: f64,
    /// Whether all logits are finite. The rest means nothing where they are not.
    pub is_finite: bool,
}

/// What is told of one row.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// All its logits, to be changed at will.
    Whole(&'a mut [f32]),
    /// [`super::Engine::logits`] gives the rest.
    Best(Best<'a>),
}

/// What is told of a step's rows, in the order of the spans and of their tokens. The engine says in which form; buffers are kept
/// from step to step.
#[derive(Debug, Default)]
pub struct Outcomes {
    vocab_size: usize,
    /// Whole rows; nothing of them counts where there are `rows`.
    logits: Vec<f32>,
    rows: Vec<Row>,
    candidates: Vec<Candidate>,
}

#[derive(Debug)]
struct Row {
    /// Of its candidates.
    end: usize,
    log_sum_exp: f64,
    is_finite: bool,
}

impl Candidate {
    /// The likelier first, by [`f32::total_cmp`]; of those alike the one with the lower token.
    #[must_use]
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.logit.total_cmp(&self.logit).then(self.token.cmp(&other.token))
    }
}

impl Outcomes {
    /// Tells nothing of no row.
    pub fn clear(&mut self) {
        self.logits.clear();
        self.rows.clear();
        self.candidates.clear();
    }

    /// For the engine: the step tells whole rows, each `vocab_size` long, and this is where they are to be, one behind the other. What
    /// is there before is to be overwritten or cleared.
    pub fn whole(&mut self, vocab_size: usize) -> &mut Vec<f32> {
        self.vocab_size = vocab_size;
        self.rows.clear();
        self.candidates.clear();
        &mut self.logits
    }

    /// For the engine: the step tells the best of rows, each `vocab_size` long; [`Self::push`] is to follow for each.
    pub fn best(&mut self, vocab_size: usize) {
        self.clear();
        self.vocab_size = vocab_size;
    }

    /// The next row; see [`Best`].
    pub fn push(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate>,
        log_sum_exp: f64,
        is_finite: bool,
    ) {
        self.candidates.extend(candidates);
        self.rows.push(Row { end: self.candidates.len(), log_sum_exp, is_finite });
    }

    /// The next row, by its logits: says what [`Self::push`] is to be given.
    pub fn push_row(&mut self, row: &[f32], candidates: usize) {
        let mut all: Vec<Candidate> =
            (0..).zip(row).map(|(token, &logit)| Candidate { token, logit }).collect();
        all.sort_unstable_by(Candidate::order);
        let top = all.first().map_or(0.0, |best| f64::from(best.logit));
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - top).exp()).sum();
        let is_finite = row.iter().all(|logit| logit.is_finite());
        self.push(all.into_iter().take(candidates), top + sum.ln(), is_finite);
    }

    /// How many rows there are of which not all is told.
    pub(super) fn best_rows(&self) -> usize {
        self.rows.len()
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        if self.rows.is_empty() { self.logits.len() / self.vocab_size.max(1) } else { self.rows.len() }
    }

    /// Row number `index`.
    pub fn get(&mut self, index: usize) -> Option<Outcome<'_>> {
        if self.rows.is_empty() {
            let row = self.logits.chunks_exact_mut(self.vocab_size.max(1)).nth(index)?;
            return Some(Outcome::Whole(row));
        }
        let Row { end, log_sum_exp, is_finite } = *self.rows.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.rows[before].end);
        let (candidates, vocab_size) = (&self.candidates[start..end], self.vocab_size);
        Some(Outcome::Best(Best { candidates, vocab_size, log_sum_exp, is_finite }))
    }

    /// Nothing yet, with `logits` for a buffer.
    pub(super) fn with_buffer(logits: Vec<f32>) -> Self {
        Self { logits, ..Self::default() }
    }

    /// Whole rows' logits.
    pub(super) fn into_buffer(self) -> Vec<f32> {
        self.logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_or_their_best() {
        let mut outcomes = Outcomes::default();
        assert!(outcomes.rows() == 0 && outcomes.get(0).is_none());
        outcomes.whole(2).extend([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(outcomes.rows(), 2);
        let Some(Outcome::Whole(row)) = outcomes.get(1) else { panic!() };
        assert_eq!(*row, [3.0, 4.0]);
        assert!(outcomes.get(2).is_none());

        outcomes.best(3);
        assert_eq!(outcomes.rows(), 0);
        outcomes.push_row(&[0.0, 1.0, 1.0], 2);
        outcomes.push_row(&[f32::NAN, 1.0, 0.0], 1);
        outcomes.push_row(&[-0.0, 0.0, -1.0], 9);
        assert_eq!(outcomes.rows(), 3);
        let mut best = |index| {
            let Some(Outcome::Best(best)) = outcomes.get(index) else { panic!() };
            let tokens: Vec<TokenId> = best.candidates.iter().map(|candidate| candidate.token).collect();
            (tokens, best.log_sum_exp, best.is_finite)
        };
        let (tokens, sum, is_finite) = best(0);
        assert!(tokens == [1, 2] && is_finite && (sum - (1.0 + 2.0 * 1f64.exp()).ln()).abs() < 1e-12);
        assert!(!best(1).2);
        assert_eq!(best(2).0, [1, 0, 2]);
        outcomes.clear();
        assert!(outcomes.rows() == 0 && outcomes.get(0).is_none());
    }
}
