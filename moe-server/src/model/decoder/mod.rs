//! Models that are stacks of attention and feed-forward layers: what their configuration says ([`Config`]) and where
//! their weights are ([`Model`]). The arithmetic is [`crate::engine::cpu`]'s.
//!
//! Each architecture has one file, which reads its GGUF keys into the one [`Config`]: `llama4.rs`, `qwen3moe.rs`. A
//! further one needs such a file and, where it computes something new, a variant of one of [`Config`]'s enums.

mod config;
mod from_gguf;
mod keys;
mod llama4;
mod qwen3moe;

pub use super::weights::{Layout, ModelError, Tensor, TensorBytes, Weights};
pub use config::{Attention, Config, NOPE_INTERVAL, QkNorm, RopePairs, Score};
pub(super) use from_gguf::check;

/// `down(silu(gate(x)) · up(x))`: one, or a stack of experts.
#[derive(Debug, Clone)]
pub struct Gated {
    pub gate: Tensor,
    pub up: Tensor,
    pub down: Tensor,
}

/// What follows attention.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one per layer")]
pub enum FeedForward {
    Dense(Gated),
    Moe {
        /// `experts × hidden`.
        router: Tensor,
        experts: Gated,
        /// [`Config::shared_expert`].
        shared: Option<Gated>,
    },
}

/// Weights of the norms of each head's query and key, each `head_dim` long ([`QkNorm::Weighted`]).
#[derive(Debug, Clone)]
pub struct HeadNorms {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
}

#[derive(Debug, Clone)]
pub struct Layer {
    pub attn_norm: Vec<f32>,
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
    pub head_norms: Option<HeadNorms>,
    pub output: Tensor,
    pub ffn_norm: Vec<f32>,
    pub feed_forward: FeedForward,
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

/// A model ready to be run.
#[derive(Debug, Clone)]
pub struct Model {
    pub config: Config,
    /// `vocab_size × hidden`.
    pub embedding: Tensor,
    pub layers: Vec<Layer>,
    pub output_norm: Vec<f32>,
    /// `vocab_size × hidden`; the embedding again where the model ties them.
    pub output: Tensor,
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
        config.check()?;
        let mut loader = Loader { source };
        let c = &config;
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let embedding = loader.take("token_embd.weight", [1, c.vocab_size, c.hidden])?;
        let output_norm = loader.vector("output_norm.weight", c.hidden)?;
        let output =
            loader.find("output.weight", [1, c.vocab_size, c.hidden])?.unwrap_or_else(|| embedding.clone());
        let mut layers = Vec::with_capacity(c.layers);
        for i in 0..c.layers {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            layers.push(Layer {
                attn_norm: loader.vector(&name("attn_norm"), c.hidden)?,
                query: loader.take(&name("attn_q"), [1, q, c.hidden])?,
                key: loader.take(&name("attn_k"), [1, kv, c.hidden])?,
                value: loader.take(&name("attn_v"), [1, kv, c.hidden])?,
                head_norms: if c.qk_norm == QkNorm::Weighted {
                    Some(HeadNorms {
                        query: loader.vector(&name("attn_q_norm"), c.head_dim)?,
                        key: loader.vector(&name("attn_k_norm"), c.head_dim)?,
                    })
                } else {
                    None
                },
                output: loader.take(&name("attn_output"), [1, c.hidden, q])?,
                ffn_norm: loader.vector(&name("ffn_norm"), c.hidden)?,
                feed_forward: if c.is_moe(i) {
                    FeedForward::Moe {
                        router: loader.take(&name("ffn_gate_inp"), [1, c.experts, c.hidden])?,
                        experts: loader.gated(i, "_exps", c.experts, c.expert_ff, c.hidden)?,
                        shared: if c.shared_expert {
                            Some(loader.gated(i, "_shexp", 1, c.expert_ff, c.hidden)?)
                        } else {
                            None
                        },
                    }
                } else {
                    FeedForward::Dense(loader.gated(i, "", 1, c.dense_ff, c.hidden)?)
                },
            });
        }
        Ok(Self { embedding, layers, output_norm, output, config })
    }
}

struct Loader<'a> {
    source: &'a mut dyn FnMut(&str) -> Result<Option<Tensor>, ModelError>,
}

impl Loader<'_> {
    fn find(&mut self, name: &str, shape: [usize; 3]) -> Result<Option<Tensor>, ModelError> {
        let Some(tensor) = (self.source)(name)? else { return Ok(None) };
        if tensor.shape() != shape {
            return Err(ModelError::Shape { name: name.to_owned(), expected: shape, found: tensor.shape() });
        }
        Ok(Some(tensor))
    }

    fn take(&mut self, name: &str, shape: [usize; 3]) -> Result<Tensor, ModelError> {
        self.find(name, shape)?.ok_or_else(|| ModelError::MissingTensor(name.to_owned()))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self.take(name, [1, 1, length])?;
        let mut values = vec![0.0; length];
        tensor.weights(0).dequantise_row(0, &mut values);
        Ok(values)
    }

    fn gated(
        &mut self,
        layer: usize,
        suffix: &str,
        stack: usize,
        width: usize,
        hidden: usize,
    ) -> Result<Gated, ModelError> {
        let name = |part: &str| format!("blk.{layer}.ffn_{part}{suffix}.weight");
        Ok(Gated {
            gate: self.take(&name("gate"), [stack, width, hidden])?,
            up: self.take(&name("up"), [stack, width, hidden])?,
            down: self.take(&name("down"), [stack, hidden, width])?,
        })
    }
}
