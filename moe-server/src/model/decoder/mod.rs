//! Llama 4's text model: what its configuration says and where its weights are. The arithmetic is
//! [`crate::engine::cpu`]'s.
//!
//! Every fourth layer attends to all positions, without rope and with a temperature that grows with the position; the
//! others attend within chunks, with rope. Feed-forward layers are dense or mixtures of experts, of which the router
//! picks one; the router's score scales that expert's **input**.

mod error;
mod from_gguf;
mod tensor;

pub use error::ModelError;
pub use tensor::{Layout, Tensor, TensorBytes, Weights};

/// Layers with `(index + 1) % NOPE_INTERVAL == 0` have no rope and see all positions.
pub const NOPE_INTERVAL: usize = 4;

/// More than any model has.
const MOST_LAYERS: usize = 4096;

/// The shape and constants of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub vocab_size: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Divides `heads`.
    pub kv_heads: usize,
    /// Even.
    pub head_dim: usize,
    /// Width of an expert, also of the shared one.
    pub expert_ff: usize,
    /// Width of a dense feed-forward layer.
    pub dense_ff: usize,
    pub experts: usize,
    /// Layers with `(index + 1) % moe_step == 0` are mixtures of experts; 0 where none is.
    pub moe_step: usize,
    /// Whether queries and keys of rope layers are normalised (without weights).
    pub qk_norm: bool,
    /// Tokens of an attention chunk.
    pub chunk: usize,
    /// Temperature of the layers without rope: `1 + scale · ln(1 + ⌊(position + 1) / floor⌋)`
    /// ([Nakanishi 2025](https://arxiv.org/abs/2501.19399)).
    pub temperature_floor: usize,
    pub temperature_scale: f64,
    pub norm_eps: f32,
    pub rope_theta: f64,
    /// What each pair's frequency is divided by, `head_dim / 2` of them.
    pub rope_factors: Option<Vec<f32>>,
    /// The longest sequence the model was made for.
    pub context_length: usize,
}

impl Config {
    /// Whether layer `index` has rope and chunked attention.
    #[must_use]
    pub fn is_chunked(&self, index: usize) -> bool {
        !(index + 1).is_multiple_of(NOPE_INTERVAL)
    }

    /// Whether layer `index` is a mixture of experts.
    #[must_use]
    pub fn is_moe(&self, index: usize) -> bool {
        self.moe_step > 0 && (index + 1).is_multiple_of(self.moe_step)
    }

    /// What queries at `position` are multiplied by in a layer without rope.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn temperature(&self, position: usize) -> f64 {
        let steps = (position + 1) / self.temperature_floor;
        1.0 + self.temperature_scale * (1.0 + steps as f64).ln()
    }

    /// The angle per position of each pair of a head.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rope_frequencies(&self) -> Vec<f64> {
        (0..self.head_dim / 2)
            .map(|i| {
                let plain = self.rope_theta.powf(-((2 * i) as f64) / self.head_dim as f64);
                self.rope_factors.as_ref().map_or(plain, |factors| plain / f64::from(factors[i]))
            })
            .collect()
    }

    /// # Errors
    /// [`ModelError::Config`] where no such model can be.
    pub fn check(&self) -> Result<(), ModelError> {
        let positive = [
            ("vocabulary size", self.vocab_size),
            ("embedding length", self.hidden),
            ("block count", self.layers),
            ("head count", self.heads),
            ("KV head count", self.kv_heads),
            ("head dimension", self.head_dim),
            ("attention chunk", self.chunk),
            ("temperature floor", self.temperature_floor),
            ("context length", self.context_length),
        ];
        for (what, value) in positive {
            if value == 0 || value > u32::MAX as usize {
                return Err(ModelError::Config(format!("the {what} is {value}")));
            }
        }
        if self.layers > MOST_LAYERS {
            return Err(ModelError::Config(format!("the block count is {}", self.layers)));
        }
        let needs_experts = (0..self.layers).any(|i| self.is_moe(i));
        let needs_dense = (0..self.layers).any(|i| !self.is_moe(i));
        let odd = if !self.heads.is_multiple_of(self.kv_heads) {
            format!("{} heads cannot share {} KV heads", self.heads, self.kv_heads)
        } else if !self.head_dim.is_multiple_of(2) {
            format!("the head dimension {} is odd", self.head_dim)
        } else if needs_experts && (self.experts == 0 || self.expert_ff == 0) {
            format!("{} experts of width {}", self.experts, self.expert_ff)
        } else if needs_dense && self.dense_ff == 0 {
            "dense layers of width 0".to_owned()
        } else if self.rope_factors.as_ref().is_some_and(|f| f.len() != self.head_dim / 2) {
            format!("the rope factors do not fit a head dimension of {}", self.head_dim)
        } else if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            format!("the RMS epsilon is {}", self.norm_eps)
        } else if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            format!("the rope base is {}", self.rope_theta)
        } else {
            return Ok(());
        };
        Err(ModelError::Config(odd))
    }
}

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
        shared: Gated,
    },
}

#[derive(Debug, Clone)]
pub struct Layer {
    pub attn_norm: Vec<f32>,
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
    pub output: Tensor,
    pub ffn_norm: Vec<f32>,
    pub feed_forward: FeedForward,
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
                output: loader.take(&name("attn_output"), [1, c.hidden, q])?,
                ffn_norm: loader.vector(&name("ffn_norm"), c.hidden)?,
                feed_forward: if c.is_moe(i) {
                    FeedForward::Moe {
                        router: loader.take(&name("ffn_gate_inp"), [1, c.experts, c.hidden])?,
                        experts: loader.gated(i, "_exps", c.experts, c.expert_ff, c.hidden)?,
                        shared: loader.gated(i, "_shexp", 1, c.expert_ff, c.hidden)?,
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
