//! Models that are stacks of attention and feed-forward layers: what their configuration says ([`Config`]) and where
//! their weights are ([`Model`]). The arithmetic is [`crate::engine::cpu`]'s.
//!
//! Each architecture has one file, which reads its GGUF keys into the one [`Config`]: `llama4.rs`, `qwen3moe.rs`. A
//! further one needs such a file and, where it computes something new, a variant of one of [`Config`]'s enums.

mod config;
mod from_gguf;
mod keys;
mod llama4;
mod loader;
mod outline;
mod qwen3moe;

pub use super::weights::{Layout, ModelError, Outline, Tensor, TensorBytes, Weights};
pub use config::{Attention, Config, NOPE_INTERVAL, QkNorm, RopePairs, Score};
pub(super) use from_gguf::check;
pub use outline::ModelOutline;

/// `down(silu(gate(x)) · up(x))`: one, or a stack of experts.
#[derive(Debug, Clone)]
pub struct Gated<T = Tensor> {
    pub gate: T,
    pub up: T,
    pub down: T,
}

/// What follows attention.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one per layer")]
pub enum FeedForward<T = Tensor> {
    Dense(Gated<T>),
    Moe {
        /// `experts × hidden`.
        router: T,
        experts: Gated<T>,
        /// [`Config::shared_expert`].
        shared: Option<Gated<T>>,
    },
}

/// Weights of the norms of each head's query and key, each `head_dim` long ([`QkNorm::Weighted`]).
#[derive(Debug, Clone)]
pub struct HeadNorms<V = Vec<f32>> {
    pub query: V,
    pub key: V,
}

#[derive(Debug, Clone)]
pub struct Layer<T = Tensor, V = Vec<f32>> {
    pub attn_norm: V,
    pub query: T,
    pub key: T,
    pub value: T,
    pub head_norms: Option<HeadNorms<V>>,
    pub output: T,
    pub ffn_norm: V,
    pub feed_forward: FeedForward<T>,
}

impl Layer {
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let (router, gated) = match &self.feed_forward {
            FeedForward::Dense(weights) => (None, vec![weights]),
            FeedForward::Moe { router, experts, shared } => {
                (Some(router), [experts].into_iter().chain(shared).collect())
            }
        };
        let attention = [&self.query, &self.key, &self.value, &self.output];
        attention.into_iter().chain(router).chain(gated.into_iter().flat_map(|g| [&g.gate, &g.up, &g.down]))
    }
}

/// A model ready to be run; or, with other matrices `T` and vectors `V`, its [outline](ModelOutline).
#[derive(Debug, Clone)]
pub struct Model<T = Tensor, V = Vec<f32>> {
    pub config: Config,
    /// `vocab_size × hidden`.
    pub embedding: T,
    pub layers: Vec<Layer<T, V>>,
    pub output_norm: V,
    /// `vocab_size × hidden`; the embedding again where the model ties them.
    pub output: T,
}

impl Model {
    /// All matrices, in a fixed order; one that is tied comes twice.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [&self.embedding, &self.output].into_iter().chain(self.layers.iter().flat_map(Layer::tensors))
    }

    /// Whether the output is the embedding again.
    pub(crate) fn is_tied(&self) -> bool {
        self.embedding.bytes().as_ptr() == self.output.bytes().as_ptr()
    }

    /// Takes every tensor from `source` by its GGUF name and checks its shape.
    ///
    /// # Errors
    /// [`ModelError`], naming the tensor.
    pub fn load(
        config: Config,
        source: &mut dyn FnMut(&str) -> Result<Option<Tensor>, ModelError>,
    ) -> Result<Self, ModelError> {
        loader::load(config, &mut loader::Tensors(source))
    }
}
