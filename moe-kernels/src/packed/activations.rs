//! Activations as `i8` with one scale per block of columns, and the panels in which the products read them.
//!
//! They are quantised once, token by token; panels then gather the tokens of one product. So a token's numbers do not
//! depend on its neighbours.

use super::PackedType;
use crate::{isa::dispatch, simd::Vector};

/// Columns that share one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grain {
    /// 32, for weights in blocks of 32.
    Fine,
    /// 256, for weights in blocks of 256: the sums of their sub-blocks then stay integers (ggml's `Q8_K`).
    Coarse,
}

impl Grain {
    #[must_use]
    pub const fn columns(self) -> usize {
        match self {
            Self::Fine => 32,
            Self::Coarse => 256,
        }
    }

    /// Words of sums that a panel holds for each block of a token; see [`PanelMut::fill`].
    pub(super) const fn sums(self) -> usize {
        match self {
            Self::Fine => 2,
            Self::Coarse => 20,
        }
    }
}

impl PackedType {
    /// How the activations must be quantised that this type is multiplied with.
    #[must_use]
    pub const fn grain(self) -> Grain {
        match self {
            Self::Q4_K | Self::Q6_K => Grain::Coarse,
            Self::Q8_0 | Self::MXFP4 => Grain::Fine,
        }
    }

    /// What is added to the signed values, so that they are stored unsigned.
    pub(super) const fn offset(self) -> i32 {
        match self {
            Self::Q4_K => 0,
            Self::Q6_K => 32,
            Self::Q8_0 => 128,
            Self::MXFP4 => 12,
        }
    }
}

dispatch! {
    /// One token's values to `quants`, a whole number of blocks, and a scale for each. A block that holds a value that is
    /// not finite gets the scale NaN, so that it is noticed.
    ///
    /// # Panics
    /// Where the lengths do not fit each other.
    pub fn quantise(grain: Grain, x: &[f32], quants: &mut [i8], scales: &mut [f32]) = quantise_row
}

#[inline(always)]
fn quantise_row<V: Vector>(grain: Grain, x: &[f32], quants: &mut [i8], scales: &mut [f32]) {
    let columns = grain.columns();
    assert!(x.len().is_multiple_of(columns), "{} columns in blocks of {columns}", x.len());
    assert!(quants.len() == x.len() && scales.len() * columns == x.len(), "room for {} values", x.len());
    for ((x, quants), scale) in
        x.chunks_exact(columns).zip(quants.chunks_exact_mut(columns)).zip(scales.iter_mut())
    {
        // Compared as integers: so NaN is above all numbers.
        let mut most = 0_u32;
        for x in x {
            most = most.max(x.to_bits() & 0x7FFF_FFFF);
        }
        let most = f32::from_bits(most);
        let by = 127.0 / most;
        // Zero, or so small that its inverse overflows, counts as zero.
        let (by, stored) = match (by.is_finite(), most.is_finite()) {
            (true, true) => (by, most / 127.0),
            (_, false) => (0.0, f32::NAN),
            (false, _) => (0.0, 0.0),
        };
        *scale = stored;
        if !most.is_finite() {
            quants.fill(0);
            continue;
        }
        for (q, x) in quants.iter_mut().zip(x) {
            /// 1.5 · 2²³: adding it rounds to an integer (ties to even), which then stands in the low bits.
            const ROUND: f32 = 12_582_912.0;
            *q = ((x * by + ROUND).to_bits() as u8).cast_signed();
        }
    }
}

/// The most tokens of a panel.
pub const PANEL: usize = 8;

/// Quantised tokens, interleaved in panels of [`PANEL`]; the last may be narrower: 1, 2, 4 or 8 wide.
#[derive(Debug, Clone)]
pub struct Panels {
    grain: Grain,
    columns: usize,
    count: usize,
    /// Groups of four columns; in each, one word a token.
    quants: Vec<i32>,
    sums: Vec<i32>,
    scales: Vec<f32>,
}

/// A token to be put into a panel.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub quants: &'a [i8],
    pub scales: &'a [f32],
    /// What its scales are multiplied by.
    pub factor: f32,
}

/// One panel to be filled.
#[derive(Debug)]
pub struct PanelMut<'a> {
    grain: Grain,
    /// The number of its first token.
    first: usize,
    /// Tokens in it; its width is the next power of two.
    count: usize,
    quants: &'a mut [i32],
    sums: &'a mut [i32],
    scales: &'a mut [f32],
}

/// One panel to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) first: usize,
    pub(super) count: usize,
    /// 1, 2, 4 or 8.
    pub(super) width: usize,
    pub(super) quants: &'a [i32],
    pub(super) sums: &'a [i32],
    pub(super) scales: &'a [f32],
}

/// Where panels of `count` tokens begin, and how many tokens each has.
fn parts(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(PANEL).map(move |first| (first, PANEL.min(count - first)))
}

impl Panels {
    /// Room for `count` tokens.
    ///
    /// # Panics
    /// Where `columns` are no whole number of blocks.
    #[must_use]
    pub fn new(grain: Grain, columns: usize, count: usize) -> Self {
        assert!(
            columns.is_multiple_of(grain.columns()),
            "{columns} columns in blocks of {}",
            grain.columns()
        );
        let width = count / PANEL * PANEL + (count % PANEL).checked_next_power_of_two().unwrap_or(0);
        let width = if count.is_multiple_of(PANEL) { count } else { width };
        let blocks = columns / grain.columns();
        Self {
            grain,
            columns,
            count,
            quants: vec![0; columns / 4 * width],
            sums: vec![0; blocks * grain.sums() * width],
            scales: vec![0.0; blocks * width],
        }
    }

    #[must_use]
    pub fn grain(&self) -> Grain {
        self.grain
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Tokens.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Every panel, to be filled.
    pub fn panels_mut(&mut self) -> impl Iterator<Item = PanelMut<'_>> {
        let (words, blocks) = (self.columns / 4, self.columns / self.grain.columns());
        let grain = self.grain;
        let mut quants = self.quants.chunks_mut((words * PANEL).max(1));
        let mut sums = self.sums.chunks_mut((blocks * grain.sums() * PANEL).max(1));
        let mut scales = self.scales.chunks_mut((blocks * PANEL).max(1));
        parts(self.count).map(move |(first, count)| PanelMut {
            grain,
            first,
            count,
            quants: quants.next().unwrap_or_default(),
            sums: sums.next().unwrap_or_default(),
            scales: scales.next().unwrap_or_default(),
        })
    }

    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let (words, blocks) = (self.columns / 4, self.columns / self.grain.columns());
        parts(self.count).map(move |(first, count)| {
            let width = count.next_power_of_two();
            let of = |per_token: usize| first * per_token..(first + width) * per_token;
            Panel {
                first,
                count,
                width,
                quants: &self.quants[of(words)],
                sums: &self.sums[of(blocks * self.grain.sums())],
                scales: &self.scales[of(blocks)],
            }
        })
    }
}

impl PanelMut<'_> {
    /// The number of its first token.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// Tokens in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes token `first + i` from `row(i)`. Beside the values it keeps what corrects for weights stored with an
    /// offset: for fine blocks −128 and −12 times the sum; for coarse ones the sums of 32 columns, in pairs of halves,
    /// and −32 times the sums of 16.
    ///
    /// # Panics
    /// Where a row is of another length.
    pub fn fill<'r>(&mut self, row: impl Fn(usize) -> Row<'r>) {
        let width = self.count.next_power_of_two();
        for t in 0..self.count {
            let row = row(t);
            assert_eq!(row.quants.len() * width, self.quants.len() * 4, "a row's columns");
            assert_eq!(row.scales.len() * width, self.scales.len(), "a row's scales");
            let (groups, _) = row.quants.as_chunks::<4>();
            for (word, group) in self.quants.iter_mut().skip(t).step_by(width).zip(groups) {
                *word = i32::from_le_bytes(group.map(i8::cast_unsigned));
            }
            for (to, scale) in self.scales.iter_mut().skip(t).step_by(width).zip(row.scales) {
                *to = scale * row.factor;
            }
            let blocks = row.quants.chunks_exact(self.grain.columns());
            for (sums, block) in self.sums.chunks_exact_mut(self.grain.sums() * width).zip(blocks) {
                match self.grain {
                    Grain::Fine => {
                        let sum = sum(block);
                        sums[t] = -PackedType::Q8_0.offset() * sum;
                        sums[width + t] = -PackedType::MXFP4.offset() * sum;
                    }
                    Grain::Coarse => coarse_sums(block, |index, value| sums[index * width + t] = value),
                }
            }
        }
    }
}

fn sum(values: &[i8]) -> i32 {
    values.iter().map(|v| i32::from(*v)).sum()
}

fn coarse_sums(block: &[i8], mut put: impl FnMut(usize, i32)) {
    for (pair, of_64) in block.chunks_exact(64).enumerate() {
        let mut halves = [0; 2];
        for (half, of_32) in halves.iter_mut().zip(of_64.chunks_exact(32)) {
            *half = sum(of_32);
        }
        // Each is at most 32 · 128, so it fits.
        put(pair, (halves[1] << 16) | (halves[0] & 0xFFFF));
    }
    for (index, of_16) in block.chunks_exact(16).enumerate() {
        put(4 + index, -PackedType::Q6_K.offset() * sum(of_16));
    }
}
