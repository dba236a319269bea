//! A step's launches, in order.

use moe_kernels::packed::PackedType;

use super::{Decoder, STAGES};
use crate::{
    Error,
    device::{Device, Kernel, Launch, Parameter, Stage},
    layout::{self, FEW, KEPT, Layer, PANEL, PARTS, Step, THREADS},
    model::WeightType,
};

impl<D: Device> Decoder<D> {
    pub(super) fn launch(
        &self,
        kernel: Kernel,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        parameters: &[Parameter<'_>],
    ) -> Result<(), Error> {
        let overlaps = self.options.overlaps && kernel != Kernel::Begin;
        self.device.launch(&Launch { kernel, grid, threads, shared_bytes, overlaps, parameters })
    }

    /// Looks up the tokens' embeddings.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn begin(&self) -> Result<(), Error> {
        let grid = [self.step.tokens.max(1), 1, 1];
        self.launch(Kernel::Begin, grid, THREADS, 0, &[Parameter::Step(&self.step)])
    }

    /// Phases `begin..end`, after [`Self::begin`] or those before.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub fn run(&self, begin: u32, end: u32) -> Result<(), Error> {
        let count = self.layers.len();
        for phase in begin..end {
            let (index, stage) = ((phase / STAGES) as usize, phase % STAGES);
            let Some(layer) = self.layers.get(index) else {
                if index == count && stage == 0 {
                    self.norm(Stage::Head, &Layer::default(), count)?;
                    self.product(Stage::Head, &Layer::default())?;
                } else {
                    self.candidates()?;
                }
                continue;
            };
            match stage {
                0 => {
                    self.norm(Stage::Qkv, layer, index)?;
                    self.product(Stage::Qkv, layer)?;
                }
                1 => self.attention(layer)?,
                2 => self.product(Stage::Output, layer)?,
                3 => {
                    self.norm(Stage::Up, layer, index)?;
                    self.product(Stage::Up, layer)?;
                }
                _ => self.product(Stage::Down, layer)?,
            }
        }
        Ok(())
    }

    /// The norm before a product; before experts with the router. `index` is the layer's.
    pub(crate) fn norm(&self, stage: Stage, layer: &Layer, index: usize) -> Result<(), Error> {
        let number = stage.number();
        let before = index.checked_sub(1).map_or(0, |before| self.layers[before].flags);
        let units = self.step.hidden.div_ceil(256);
        let tokens = self.step.tokens as usize;
        let blocks = if tokens > FEW || tokens >= self.options.whole_from { 1 } else { units };
        let words = (32 + 1 + 2 * layout::MOST_EXPERTS).next_multiple_of(8) as u32;
        let shared = words * 4;
        let parameters = [
            Parameter::Step(&self.step),
            Parameter::Layer(layer),
            Parameter::Number(&number),
            Parameter::Number(&before),
        ];
        self.launch(Kernel::Norm, [blocks, self.rows_of(stage), 1], THREADS, shared, &parameters)?;
        if stage == Stage::Up { self.slots(layer) } else { Ok(()) }
    }

    /// Rows of a stage: only the wanted ones reach the head.
    fn rows_of(&self, stage: Stage) -> u32 {
        if stage == Stage::Head { self.step.wanted } else { self.step.tokens }
    }

    /// What a product multiplies with; matrices that the layer does not have are of no type.
    pub(super) fn matrices<'a>(&'a self, stage: Stage, layer: &'a Layer) -> Vec<&'a layout::Matrix> {
        match stage {
            Stage::Qkv => vec![&layer.query, &layer.key, &layer.value],
            Stage::Output => vec![&layer.output],
            Stage::Up => vec![&layer.shared_gate, &layer.shared_up, &layer.gate, &layer.up],
            Stage::Down => vec![&layer.shared_down, &layer.down],
            Stage::Head => vec![&self.step.head],
        }
    }

    /// One of a layer's products, or the head's.
    pub(crate) fn product(&self, stage: Stage, layer: &Layer) -> Result<(), Error> {
        let rows = self.rows_of(stage);
        if rows as usize > FEW {
            return self.many(stage, layer, rows);
        }
        let tiles = |matrix: &layout::Matrix| matrix.rows.div_ceil(16);
        let (common, routed) = (layer.flags & layout::SHARED > 0, layer.flags & layout::ROUTED > 0);
        let (count, columns) = match stage {
            Stage::Qkv => {
                (tiles(&layer.query) + tiles(&layer.key) + tiles(&layer.value), layer.query.columns)
            }
            Stage::Output => (tiles(&layer.output), layer.output.columns),
            Stage::Up => (
                tiles(&layer.shared_gate).max(tiles(&layer.gate)),
                layer.gate.columns.max(layer.shared_gate.columns),
            ),
            Stage::Down => (
                tiles(&layer.shared_down).max(tiles(&layer.down)),
                layer.down.columns.max(layer.shared_down.columns),
            ),
            Stage::Head => (tiles(&self.step.head), self.step.head.columns),
        };
        let slots = match stage {
            Stage::Up | Stage::Down => {
                u32::from(common)
                    + if routed { self.step.experts.min(self.step.tokens * self.step.used) } else { 0 }
            }
            _ => 1,
        };
        // As many warps as divide the blocks of a tile well; for gate and up so many for each.
        let warps = if stage == Stage::Up || columns.div_ceil(256).is_multiple_of(8) { 8 } else { 4 };
        let one = self.step.tokens == 1;
        let chunks = if one { 1 } else { rows.div_ceil(PANEL as u32) };
        let shared = if stage == Stage::Up {
            2 * self.step.term_bytes + (16 * PANEL * 4) as u32 + 16
        } else {
            self.step.term_bytes
        };
        let q6_k = WeightType::Packed(PackedType::Q6_K).kind();
        let six = self.matrices(stage, layer).iter().any(|matrix| matrix.kind == q6_k);
        let kernel = Kernel::Product { stage, one, six };
        let parameters = [Parameter::Step(&self.step), Parameter::Layer(layer)];
        self.launch(kernel, [count * chunks, slots, 1], warps * 32, shared, &parameters)
    }

    pub(crate) fn attention(&self, layer: &Layer) -> Result<(), Error> {
        let s = &self.model.shape;
        let (group, dim) = ((s.heads / s.kv_heads) as u32, s.head_dim as u32);
        // Mixtures with their maxima and sums, queries, the new key and value (`NEWEST_WORDS` at most), and counts.
        let shared = (PARTS as u32 * group * (dim + 2) + group * dim + dim.max(64) + 32) * 4;
        let whole = [Parameter::Step(&self.step), Parameter::Layer(layer)];
        if self.step.flags & layout::STORED > 0 {
            let heads = self.step.tokens * self.step.kv_heads;
            self.launch(Kernel::Store, [heads.div_ceil(THREADS / 32), 1, 1], THREADS, 0, &whole)?;
        }
        let most = (self.attended as u32 / self.step.splits).max(1);
        for first in (0..self.step.tokens).step_by(most as usize) {
            let rows = most.min(self.step.tokens - first);
            let items = rows * self.step.kv_heads * self.step.splits;
            let part = Step { first, ..self.step };
            let parameters = [Parameter::Step(&part), Parameter::Layer(layer)];
            let many = items > self.device.multiprocessors();
            self.launch(Kernel::Attention { many }, [items, 1, 1], THREADS, shared, &parameters)?;
        }
        Ok(())
    }

    pub(crate) fn candidates(&self) -> Result<(), Error> {
        let warps = THREADS / 32;
        let parameters = [Parameter::Step(&self.step)];
        let grid = [(self.step.wanted * self.step.chunks).div_ceil(warps), 1, 1];
        self.launch(Kernel::Chunks, grid, THREADS, 0, &parameters)?;
        let shared = warps * KEPT as u32 * 8;
        self.launch(Kernel::Candidates, [self.step.wanted, 1, 1], THREADS, shared, &parameters)
    }
}
