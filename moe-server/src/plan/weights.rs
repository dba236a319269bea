//! What the weights are for, and how large they are as the engine holds them.

use moe_kernels::{packed::PackedType, weights::DType};
use serde::Serialize;

use crate::model::decoder::{FeedForward, Gated, Layout, ModelOutline, Outline};

/// Weights of one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    pub name: &'static str,
    pub parameters: usize,
    /// As the engine holds them.
    pub bytes: usize,
    /// Of which types, then.
    pub types: Vec<&'static str>,
    /// Bytes where all that may be quantised is Q4_K, the smallest type that has kernels.
    #[serde(skip)]
    smallest: usize,
}

/// All of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weights {
    pub parameters: usize,
    /// Those that a token is computed with.
    pub active_parameters: usize,
    pub bytes: usize,
    pub groups: Vec<Group>,
    /// The file's types that have no kernels, and the bytes that they become, as Q8_0.
    pub converted_types: Vec<String>,
    pub converted_bytes: usize,
}

impl Group {
    fn new(name: &'static str) -> Self {
        Self { name, parameters: 0, bytes: 0, types: Vec::new(), smallest: 0 }
    }

    fn add(&mut self, parameters: usize, bytes: usize, layout: Layout) {
        self.parameters += parameters;
        self.bytes += bytes;
        let name = type_name(layout);
        if !self.types.contains(&name) {
            self.types.push(name);
        }
    }

    /// Small ones, which stay as they are.
    fn floats(&mut self, count: usize) {
        let bytes = count * size_of::<f32>();
        self.add(count, bytes, Layout::Rows(DType::F32));
        self.smallest += bytes;
    }

    fn matrices<'o>(&mut self, outlines: impl IntoIterator<Item = &'o Outline>) {
        for outline in outlines {
            self.add(outline.elements(), outline.bytes, outline.layout);
            let [count, rows, columns] = outline.shape;
            let smaller = PackedType::Q4_K.matrix_bytes(rows, columns).map(|bytes| bytes * count);
            self.smallest += smaller.map_or(outline.bytes, |bytes| bytes.min(outline.bytes));
        }
    }

    fn router(&mut self, outline: &Outline) {
        self.add(outline.elements(), outline.bytes, outline.layout);
        self.smallest += outline.bytes;
    }
}

fn type_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Packed(PackedType::Q4_K) => "Q4_K",
        Layout::Packed(PackedType::Q6_K) => "Q6_K",
        Layout::Packed(PackedType::Q8_0) => "Q8_0",
        Layout::Packed(PackedType::MXFP4) => "MXFP4",
        Layout::Rows(DType::F16) => "F16",
        Layout::Rows(DType::BF16) => "BF16",
        Layout::Rows(DType::F32) => "F32",
    }
}

fn parts(gated: &Gated<Outline>) -> [&Outline; 3] {
    [&gated.gate, &gated.up, &gated.down]
}

impl Weights {
    pub(super) fn of(model: &ModelOutline) -> Self {
        let mut experts = Group::new("experts");
        let mut common = Group::new("shared experts, dense layers");
        let mut attention = Group::new("attention");
        let mut ends = Group::new("embeddings and head");
        let mut small = Group::new("norms and routers");
        ends.matrices([&model.embedding].into_iter().chain((!model.is_tied()).then_some(&model.output)));
        small.floats(model.output_norm);
        let mut converted: Vec<&Outline> = [&model.embedding, &model.output].into();
        for layer in &model.layers {
            let own = [&layer.query, &layer.key, &layer.value, &layer.output];
            attention.matrices(own);
            converted.extend(own);
            small.floats(layer.attn_norm);
            small.floats(layer.ffn_norm);
            if let Some(norms) = &layer.head_norms {
                small.floats(norms.query);
                small.floats(norms.key);
            }
            match &layer.feed_forward {
                FeedForward::Dense(weights) => {
                    common.matrices(parts(weights));
                    converted.extend(parts(weights));
                }
                FeedForward::Moe { router, experts: routed, shared } => {
                    small.router(router);
                    experts.matrices(parts(routed));
                    converted.extend(parts(routed));
                    if let Some(shared) = shared {
                        common.matrices(parts(shared));
                        converted.extend(parts(shared));
                    }
                }
            }
        }
        converted.retain(|outline| outline.converted.is_some());
        converted.dedup_by_key(|outline| &outline.name);
        let mut converted_types: Vec<String> =
            converted.iter().filter_map(|outline| Some(outline.converted?.to_string())).collect();
        converted_types.sort();
        converted_types.dedup();
        let config = &model.config;
        let unused =
            experts.parameters / config.experts.max(1) * config.experts.saturating_sub(config.experts_used);
        let mut groups = vec![experts, common, attention, ends, small];
        groups.retain(|group| group.parameters > 0);
        let parameters = groups.iter().map(|group| group.parameters).sum();
        Self {
            parameters,
            active_parameters: parameters - unused,
            bytes: groups.iter().map(|group| group.bytes).sum(),
            groups,
            converted_types,
            converted_bytes: converted.iter().map(|outline| outline.bytes).sum(),
        }
    }

    /// Bytes where all that may be quantised is Q4_K, or smaller already.
    #[must_use]
    pub fn smallest(&self) -> usize {
        self.groups.iter().map(|group| group.smallest).sum()
    }
}
