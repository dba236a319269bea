//! What a decoder is: its sizes, and which of the known ways each layer goes.

use super::ModelError;

/// Of Llama 4's layers, those with `(index + 1) % NOPE_INTERVAL == 0` have no rope and see all positions.
pub const NOPE_INTERVAL: usize = 4;

/// More than any model has.
const MOST_LAYERS: usize = 4096;

/// Which earlier tokens the layers see.
#[derive(Debug, Clone, PartialEq)]
pub enum Attention {
    /// Every layer sees all, with rope.
    Full,
    /// Llama 4's: every fourth layer sees all, without rope; the others see those of their own chunk, with rope.
    Chunked {
        /// Tokens of a chunk.
        chunk: usize,
        /// Temperature of the layers without rope: `1 + scale · ln(1 + ⌊(position + 1) / floor⌋)`
        /// ([Nakanishi 2025](https://arxiv.org/abs/2501.19399)).
        temperature_floor: usize,
        temperature_scale: f64,
    },
}

/// How each head's queries and keys are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNorm {
    Off,
    /// Without weights and after rope, in layers that have rope. (The two commute.)
    Plain,
    /// With weights and before rope, in every layer. (The two do not commute.)
    Weighted,
}

/// Which values of a head rope turns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairs {
    /// `x[2i]` with `x[2i + 1]`.
    Adjacent,
    /// `x[i]` with `x[i + head_dim / 2]`.
    Halves,
}

/// What becomes of the router's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// A chosen expert's **input** is multiplied by its logit's sigmoid.
    SigmoidOnInput,
    /// A chosen expert's **output** is multiplied by the softmax of the chosen experts' logits: that of all logits,
    /// made to sum to 1 over the chosen ones, is the same number.
    SoftmaxOnOutput,
}

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
    pub attention: Attention,
    pub qk_norm: QkNorm,
    pub rope_pairs: RopePairs,
    pub rope_theta: f64,
    /// What each pair's frequency is divided by, `head_dim / 2` of them.
    pub rope_factors: Option<Vec<f32>>,
    /// Width of a dense feed-forward layer.
    pub dense_ff: usize,
    /// Layers with `(index + 1) % moe_step == 0` are mixtures of experts; 0 where none is.
    pub moe_step: usize,
    pub experts: usize,
    /// How many of them each token goes through.
    pub experts_used: usize,
    /// Width of an expert, also of the shared one.
    pub expert_ff: usize,
    /// Whether every token goes through one more expert, whose output is added unscaled.
    pub shared_expert: bool,
    pub score: Score,
    pub norm_eps: f32,
    /// The longest sequence the model was made for.
    pub context_length: usize,
}

impl Config {
    /// Whether layer `index` sees only the tokens of a chunk.
    #[must_use]
    pub fn is_chunked(&self, index: usize) -> bool {
        matches!(self.attention, Attention::Chunked { .. }) && !(index + 1).is_multiple_of(NOPE_INTERVAL)
    }

    /// Whether layer `index` has rope.
    #[must_use]
    pub fn has_rope(&self, index: usize) -> bool {
        self.attention == Attention::Full || self.is_chunked(index)
    }

    /// Tokens of a chunk; where no layer is chunked, more than any sequence has.
    #[must_use]
    pub fn chunk(&self) -> usize {
        match self.attention {
            Attention::Full => 1 << (usize::BITS - 1),
            Attention::Chunked { chunk, .. } => chunk,
        }
    }

    /// Whether layer `index` is a mixture of experts.
    #[must_use]
    pub fn is_moe(&self, index: usize) -> bool {
        self.moe_step > 0 && (index + 1).is_multiple_of(self.moe_step)
    }

    /// What layer `index` multiplies queries at `position` by.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn temperature(&self, index: usize, position: usize) -> f64 {
        match self.attention {
            Attention::Chunked { temperature_floor, temperature_scale, .. } if !self.is_chunked(index) => {
                let steps = (position + 1) / temperature_floor;
                1.0 + temperature_scale * (1.0 + steps as f64).ln()
            }
            _ => 1.0,
        }
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
        let floor = match self.attention {
            Attention::Full => 1,
            Attention::Chunked { temperature_floor, .. } => temperature_floor,
        };
        let positive = [
            ("vocabulary size", self.vocab_size),
            ("embedding length", self.hidden),
            ("block count", self.layers),
            ("head count", self.heads),
            ("KV head count", self.kv_heads),
            ("head dimension", self.head_dim),
            ("temperature floor", floor),
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
        } else if self.chunk() == 0 {
            "the attention chunk is 0".to_owned()
        } else if needs_experts && (self.experts == 0 || self.expert_ff == 0) {
            format!("{} experts of width {}", self.experts, self.expert_ff)
        } else if needs_experts && !(1..=self.experts).contains(&self.experts_used) {
            format!("a token goes through {} of {} experts", self.experts_used, self.experts)
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
