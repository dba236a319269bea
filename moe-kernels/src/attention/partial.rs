//! What a part of the keys contributes.

use super::layout::Layout;
use crate::{LANES, elementwise::exp};

/// For each query (token after token, head after head) its highest score, the sum of its weights and the weighted sum of
/// the values, over some of the keys.
#[derive(Debug, Clone, Default)]
pub struct Partial {
    pub(super) maxima: Vec<f32>,
    /// 0 where none of the keys is seen.
    pub(super) sums: Vec<f32>,
    /// `width` of each query.
    pub(super) mixed: Vec<f32>,
    head_dim: usize,
}

impl Partial {
    pub(super) fn reset(&mut self, layout: &Layout, count: usize) {
        self.head_dim = layout.head_dim;
        self.maxima.resize(count, 0.0);
        self.sums.resize(count, 0.0);
        self.mixed.clear();
        self.mixed.resize(count * layout.width, 0.0);
    }

    fn width(&self) -> usize {
        self.mixed.len() / self.maxima.len().max(1)
    }

    /// Adds the part that follows.
    pub(super) fn add(&mut self, next: &Self) {
        let width = self.width();
        assert!(self.maxima.len() == next.maxima.len() && width == next.width(), "parts of the same queries");
        for query in 0..self.maxima.len() {
            if next.sums[query] == 0.0 {
                continue;
            }
            let (mine, other) = (self.maxima[query], next.maxima[query]);
            let maximum = if other > mine { other } else { mine };
            let (keep, take) = (exp(mine - maximum), exp(other - maximum));
            self.maxima[query] = maximum;
            self.sums[query] = self.sums[query] * keep + next.sums[query] * take;
            let range = query * width..(query + 1) * width;
            for (mine, other) in self.mixed[range.clone()].iter_mut().zip(&next.mixed[range]) {
                *mine = *mine * keep + other * take;
            }
        }
    }

    /// Writes the means, token after token.
    pub(super) fn write(&self, out: &mut [&mut [f32]]) {
        let mut queries = self.mixed.chunks_exact(self.width()).zip(&self.sums);
        for token in out.iter_mut() {
            for (head, (mixed, sum)) in token.chunks_exact_mut(self.head_dim).zip(&mut queries) {
                let by = 1.0 / sum;
                for (out, mixed) in head.iter_mut().zip(mixed) {
                    *out = mixed * by;
                }
            }
        }
        assert!(queries.next().is_none(), "room for every query");
    }
}

/// Writes the means that all parts together, in order, give to the tokens' queries.
///
/// # Panics
/// Where the parts are none or not of the same queries, or `out` has no room for these.
pub fn merge(parts: &mut [Partial], out: &mut [&mut [f32]]) {
    let Some((total, rest)) = parts.split_first_mut() else { unreachable!("at least one part") };
    for part in rest {
        total.add(part);
    }
    total.write(out);
}

/// The sum of the lanes, as a tree: 16 to 8 (`i` with `i + 8`), and so on.
pub(super) fn fold(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}
