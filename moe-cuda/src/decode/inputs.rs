//! What a step is to compute, and which blocks of KV it sees.

use super::{Decoder, KvGroup};
use crate::{
    Error,
    device::Device,
    layout::{self, FEW, SPLIT, Step},
};

/// Rows of a step. Those of one sequence follow one another, in the order of their positions.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    pub tokens: &'a [u32],
    /// Where each stands in its sequence.
    pub positions: &'a [u32],
    /// Whose tables each row takes.
    pub slots: &'a [u32],
    /// Rows whose logits are wanted, rising.
    pub wanted: &'a [u32],
}

/// One buffer on the device for all of a step's inputs, so that they go there in one copy.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    at: u64,
    /// As on the device: words.
    words: Vec<u32>,
}

/// Where each of the inputs begins, in words, for steps of `rows` rows.
struct Places {
    tokens: usize,
    positions: usize,
    starts: usize,
    slots: usize,
    picks: usize,
    scales: usize,
    rope: usize,
    end: usize,
}

impl Places {
    fn new(rows: usize, head_dim: usize) -> Self {
        let mut end = 0;
        let mut take = |words: usize| {
            let at = end;
            // Vectors of four words are read.
            end += words.next_multiple_of(4);
            at
        };
        Self {
            tokens: take(rows),
            positions: take(rows),
            starts: take(rows),
            slots: take(rows),
            picks: take(rows),
            scales: take(2 * rows),
            rope: take(rows * head_dim),
            end,
        }
    }
}

impl<D: Device> Decoder<D> {
    /// Bytes of the inputs' buffer.
    pub(super) fn place_inputs(&mut self) -> Result<(), Error> {
        let bytes = Places::new(self.options.rows, self.model.shape.head_dim).end * 4;
        self.inputs.at = self.room(bytes)?;
        Ok(())
    }

    /// Says what the next step computes.
    ///
    /// # Errors
    /// As [`Device::write`].
    ///
    /// # Panics
    /// Where there are more rows than room, or a position is beyond the context.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn set(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let rows = batch.tokens.len();
        assert!(
            rows > 0 && rows <= self.options.rows && [batch.positions.len(), batch.slots.len()] == [rows; 2],
            "room for the rows"
        );
        assert!(
            batch.positions.iter().all(|p| (*p as usize) < self.options.context)
                && batch.slots.iter().all(|slot| (*slot as usize) < self.options.slots),
            "rows inside the context, of known slots"
        );
        assert!(
            batch.wanted.len() <= self.options.wanted
                && batch.wanted.iter().all(|row| (*row as usize) < rows),
            "rows that are there"
        );
        let s = &self.model.shape;
        let places = Places::new(rows, s.head_dim);
        let words = &mut self.inputs.words;
        words.clear();
        words.resize(places.end, 0);
        words[places.tokens..][..rows].copy_from_slice(batch.tokens);
        words[places.positions..][..rows].copy_from_slice(batch.positions);
        words[places.slots..][..rows].copy_from_slice(batch.slots);
        words[places.picks..][..batch.wanted.len()].copy_from_slice(batch.wanted);
        let by = 1.0 / (s.head_dim as f64).sqrt();
        for (t, p) in batch.positions.iter().enumerate() {
            words[places.starts + t] = s.chunk.map_or(0, |chunk| p / chunk as u32 * chunk as u32);
            let warmer = s
                .temperature
                .map_or(1.0, |(floor, scale)| 1.0 + scale * (((*p as usize + 1) / floor) as f64).ln_1p());
            words[places.scales + 2 * t] = (by as f32).to_bits();
            words[places.scales + 2 * t + 1] = ((by * warmer) as f32).to_bits();
            for (i, f) in s.frequencies.iter().enumerate() {
                let (sin, cos) = (f64::from(*p) * f).sin_cos();
                words[places.rope + t * s.head_dim + 2 * i] = (cos as f32).to_bits();
                words[places.rope + t * s.head_dim + 2 * i + 1] = (sin as f32).to_bits();
            }
        }
        self.device.write(self.inputs.at, words)?;
        let at = |place: usize| self.inputs.at + (place * 4) as u64;
        let last = batch.positions.iter().copied().max().unwrap_or(0) as usize;
        // Graphs are made for a number of splits: powers of two are few, and splits beyond a row's own return at once.
        let splits = (last / SPLIT + 1).next_power_of_two().min(self.options.context.div_ceil(SPLIT));
        let is_spanning = rows > FEW || batch.slots.windows(2).any(|pair| pair[0] == pair[1]);
        self.step = Step {
            tokens_in: at(places.tokens),
            positions: at(places.positions),
            starts: at(places.starts),
            slots_in: at(places.slots),
            picks: at(places.picks),
            query_scale: at(places.scales),
            rope: at(places.rope),
            tokens: rows as u32,
            wanted: batch.wanted.len() as u32,
            splits: splits as u32,
            term_bytes: self.term_bytes[usize::from(rows > 1)],
            flags: self.step.flags & !layout::STORED | if is_spanning { layout::STORED } else { 0 },
            ..self.step
        };
        Ok(())
    }

    /// One token of each of the first sequences, whose logits are all wanted.
    ///
    /// # Errors
    /// As [`Self::set`].
    ///
    /// # Panics
    /// As [`Self::set`].
    #[allow(clippy::cast_possible_truncation)]
    pub fn set_decodes(&mut self, tokens: &[u32], positions: &[u32]) -> Result<(), Error> {
        let rows: Vec<u32> = (0..tokens.len() as u32).collect();
        self.set(&Batch { tokens, positions, slots: &rows, wanted: &rows })
    }

    /// Says that the sequence in `slot` has `blocks` from its block number `first` on.
    ///
    /// # Errors
    /// As [`Device::write`].
    ///
    /// # Panics
    /// Where the table has no room.
    pub fn set_table(&self, group: KvGroup, slot: usize, first: usize, blocks: &[u32]) -> Result<(), Error> {
        assert!(slot < self.options.slots && first + blocks.len() <= self.table_blocks, "room in the table");
        let table = self.step.tables[usize::from(group == KvGroup::Chunked)];
        self.device.write(table + ((slot * self.table_blocks + first) * 4) as u64, blocks)
    }

    /// Each sequence has blocks of its own, in order, until [`Self::set_table`] says otherwise.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn number_blocks(&mut self) -> Result<(), Error> {
        let most = self.options.blocks.saturating_sub(1) as u32;
        let tables: Vec<u32> =
            (0..(self.options.slots * self.table_blocks) as u32).map(|block| block.min(most)).collect();
        for table in self.step.tables {
            self.device.write(table, &tables)?;
        }
        Ok(())
    }
}
