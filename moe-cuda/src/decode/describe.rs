//! What the kernels are told of a model: its layers, and the buffers of a step.

use super::Decoder;
use crate::{
    Error,
    device::Device,
    layout::{self, CHUNK, COARSE, FEW, FINE, FLOAT, KEPT, Layer, PANEL, Rows, SPLIT, Step, row_stride},
    model::{Gated, HeadNorm, Tensor},
};

/// Rows times splits of one launch of attention, at most, where one row has no more splits.
const MOST_ATTENDED: usize = 2048;

fn forms<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> u32 {
    tensors.into_iter().fold(0, |forms, tensor| forms | tensor.weight_type.form())
}

impl<D: Device> Decoder<D> {
    pub(super) fn describe_layers(&mut self) -> Result<(), Error> {
        let kv = self.options.blocks * self.kv_block_bytes();
        for index in 0..self.layers.len() {
            let (keys, values) = (self.room(kv)?, self.room(kv)?);
            let from = &self.model.layers[index];
            let to = &mut self.layers[index];
            (to.keys, to.values) = (keys, values);
            (to.query, to.key, to.value) = (from.query.matrix(), from.key.matrix(), from.value.matrix());
            to.output = from.output.matrix();
            (to.attn_norm, to.ffn_norm) = (from.attn_norm, from.ffn_norm);
            (to.query_norm, to.key_norm) = from.head_norms.unwrap_or((0, 0));
            to.flags |= if from.has_rope { layout::ROPE } else { 0 };
            to.flags |= if from.is_chunked { layout::CHUNKED } else { 0 };
            let mut networks: Vec<&Gated> = Vec::new();
            if let Some(common) = &from.common {
                to.flags |= layout::SHARED;
                to.shared_gate = common.gate.matrix();
                to.shared_up = common.up.matrix();
                to.shared_down = common.down.matrix();
                networks.push(common);
            }
            if let Some((router, experts)) = &from.routed {
                to.flags |= layout::ROUTED;
                to.router = router.matrix();
                to.gate = experts.gate.matrix();
                to.up = experts.up.matrix();
                to.down = experts.down.matrix();
                networks.push(experts);
            }
            to.qkv_forms = forms([&from.query, &from.key, &from.value]);
            to.output_forms = forms([&from.output]);
            to.up_forms = forms(networks.iter().flat_map(|gated| [&gated.gate, &gated.up]));
            to.down_forms = forms(networks.iter().map(|gated| &gated.down));
        }
        Ok(())
    }

    fn rows(&mut self, columns: usize, count: usize, forms: u32) -> Result<Rows, Error> {
        let mut rows = Rows {
            coarse_stride: row_stride(columns, COARSE),
            fine_stride: row_stride(columns, FINE),
            plain_stride: (columns.next_multiple_of(256) * 4) as u32,
            ..Rows::default()
        };
        if forms & COARSE > 0 {
            rows.coarse = self.room(rows.coarse_stride as usize * count)?;
        }
        if forms & FINE > 0 {
            rows.fine = self.room(rows.fine_stride as usize * count)?;
        }
        if forms & FLOAT > 0 {
            rows.plain = self.room(rows.plain_stride as usize * count)?;
        }
        Ok(rows)
    }

    pub(super) fn describe_step(&mut self) -> Result<(), Error> {
        let (model, options) = (self.model.clone(), self.options);
        let s = &model.shape;
        let capacity = options.rows;
        let queries = s.heads * s.head_dim;
        let inner = model.inner_columns();
        let rows = capacity * (1 + s.used);
        let all = |of: fn(&Layer) -> u32| self.layers.iter().fold(0, |forms, layer| forms | of(layer));
        let head_forms = forms([&model.head]);
        let normed_forms = all(|l| l.qkv_forms | l.up_forms) | head_forms;
        let (attended_forms, inner_forms) = (all(|l| l.output_forms), all(|l| l.down_forms));
        let splits = options.context.div_ceil(SPLIT) + 1;
        // Prompts' rows go through attention in parts, so that its scratch need not grow with them.
        self.attended = (capacity.min(FEW) * splits).min(MOST_ATTENDED).max(splits);
        let chunks = s.vocab.div_ceil(CHUNK);
        // Steps of many rows have a slot for each expert, others for those in use.
        let max_slots = if capacity > FEW { s.experts } else { s.experts.min(capacity * s.used) };
        let attention_counts = capacity * queries.div_ceil(256);
        let counter_words =
            2 + attention_counts + (max_slots + 1) * capacity.div_ceil(PANEL) * inner.div_ceil(256);
        self.term_bytes = [self.terms(true)?, self.terms(false)?];

        let mut step = Step {
            hidden: s.hidden as u32,
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            experts: s.experts as u32,
            used: s.used as u32,
            vocab: s.vocab as u32,
            capacity: capacity as u32,
            block_tokens: options.block_tokens as u32,
            table_stride: self.table_blocks as u32,
            chunks: chunks as u32,
            inner_columns: inner as u32,
            max_slots: max_slots as u32,
            eps: s.eps,
            head_forms,
            embedding: model.embedding.matrix(),
            head: model.head.matrix(),
            final_norm: model.final_norm,
            ..Step::default()
        };
        step.flags |= if options.prefetches { layout::PREFETCH } else { 0 };
        step.flags |= if s.softmax_on_output { layout::SOFTMAX_ON_OUTPUT } else { 0 };
        step.flags |= if s.rope_halves { layout::ROPE_HALVES } else { 0 };
        step.flags |= match s.head_norm {
            HeadNorm::Off => 0,
            HeadNorm::Plain => layout::NORM_PLAIN,
            HeadNorm::Weighted => layout::NORM_WEIGHTED,
        };
        step.normed = self.rows(s.hidden, capacity, normed_forms)?;
        step.attended = self.rows(queries, capacity, attended_forms)?;
        step.inner = self.rows(inner, rows, inner_forms & !FLOAT)?;
        let f = 4;
        self.place_inputs()?;
        let table = options.slots * self.table_blocks * f;
        step.tables = [self.room(table)?, self.room(table)?];
        step.x = [self.room(capacity * s.hidden * f)?, self.room(capacity * s.hidden * f)?];
        step.qkv = self.room(capacity * (s.heads + 2 * s.kv_heads) * s.head_dim * f)?;
        step.partial = self.room(self.attended * queries * f)?;
        step.partial_ml = self.room(self.attended * s.heads * 2 * f)?;
        step.attn_out = self.room(capacity * s.hidden * f)?;
        step.router_logits = self.room(capacity * s.experts * f)?;
        step.choices = self.room(capacity * s.used * f)?;
        step.choice_weights = self.room(capacity * s.used * f)?;
        step.slots = self.room((1 + max_slots * (2 + capacity)) * f)?;
        step.inner_float = self.room(rows * inner * f)?;
        // What is not quantised is read as it was written.
        (step.inner.plain, step.inner.plain_stride) = (step.inner_float, (inner * f) as u32);
        step.mixed = self.room(rows * s.hidden * f)?;
        step.logits = self.room(options.wanted * s.vocab * f)?;
        step.chunk_candidates = self.room(options.wanted * chunks * KEPT * 8)?;
        step.chunk_sums = self.room(options.wanted * chunks * 4 * f)?;
        // One behind the other, so that they are read at once.
        step.sums = self.room(options.wanted * (2 * f + KEPT * 8))?;
        step.candidates = step.sums + (options.wanted * 2 * f) as u64;
        step.counters = self.room(counter_words * f)?;
        // Kernels leave them so.
        self.device.write(step.counters, &vec![0_u32; counter_words])?;
        self.step = step;
        Ok(())
    }

    /// Room for the terms of the widest tile, in a product's shared memory: twice that for gate and up.
    fn terms(&self, one: bool) -> Result<u32, Error> {
        let terms = |tensor: &Tensor| {
            let units = tensor.columns.div_ceil(256) as u32;
            let each = match (tensor.weight_type.block_bytes(), tensor.weight_type.form()) {
                (_, FLOAT) => return (16 * PANEL * 4) as u32,
                (2304, COARSE) => 2,
                (_, COARSE) => 1,
                _ => 8,
            };
            units * each * if one { 128 } else { ((PANEL + 1) * 16 * 4) as u32 }
        };
        let most = self.model.tensors().map(terms).max().unwrap_or(0).next_multiple_of(128);
        if 2 * most + 1024 > self.device.shared_bytes() {
            return Err(Error::Model("its rows leave too little of a multiprocessor's shared memory"));
        }
        Ok(most)
    }
}
