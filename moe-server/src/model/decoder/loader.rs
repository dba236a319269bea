//! Which tensors make a model: their names, and the shapes that they must have.

use super::{Config, FeedForward, Gated, HeadNorms, Layer, Model, ModelError, QkNorm, Tensor};

/// Where weights come from.
pub(super) trait Source {
    type Matrix: Clone;
    type Vector;

    /// The matrices of this name, in a shape that is checked elsewhere; none where there are none.
    fn find(&mut self, name: &str) -> Result<Option<Self::Matrix>, ModelError>;

    /// `[matrices, rows, columns]`.
    fn shape(matrix: &Self::Matrix) -> [usize; 3];

    /// A matrix of one row, as numbers.
    fn vector(matrix: &Self::Matrix) -> Self::Vector;
}

/// Tensors with their bytes.
pub(super) struct Tensors<'a>(pub(super) &'a mut dyn FnMut(&str) -> Result<Option<Tensor>, ModelError>);

impl Source for Tensors<'_> {
    type Matrix = Tensor;
    type Vector = Vec<f32>;

    fn find(&mut self, name: &str) -> Result<Option<Tensor>, ModelError> {
        (self.0)(name)
    }

    fn shape(matrix: &Tensor) -> [usize; 3] {
        matrix.shape()
    }

    fn vector(matrix: &Tensor) -> Vec<f32> {
        let mut values = vec![0.0; matrix.shape()[2]];
        matrix.weights(0).dequantise_row(0, &mut values);
        values
    }
}

/// Takes every tensor from `source` by its GGUF name and checks its shape.
pub(super) fn load<S: Source>(
    config: Config,
    source: &mut S,
) -> Result<Model<S::Matrix, S::Vector>, ModelError> {
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
    Ok(Model { embedding, layers, output_norm, output, config })
}

struct Loader<'a, S> {
    source: &'a mut S,
}

impl<S: Source> Loader<'_, S> {
    fn find(&mut self, name: &str, shape: [usize; 3]) -> Result<Option<S::Matrix>, ModelError> {
        let Some(tensor) = self.source.find(name)? else { return Ok(None) };
        let found = S::shape(&tensor);
        if found != shape {
            return Err(ModelError::Shape { name: name.to_owned(), expected: shape, found });
        }
        Ok(Some(tensor))
    }

    fn take(&mut self, name: &str, shape: [usize; 3]) -> Result<S::Matrix, ModelError> {
        self.find(name, shape)?.ok_or_else(|| ModelError::MissingTensor(name.to_owned()))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<S::Vector, ModelError> {
        Ok(S::vector(&self.take(name, [1, 1, length])?))
    }

    fn gated(
        &mut self,
        layer: usize,
        suffix: &str,
        stack: usize,
        width: usize,
        hidden: usize,
    ) -> Result<Gated<S::Matrix>, ModelError> {
        let name = |part: &str| format!("blk.{layer}.ffn_{part}{suffix}.weight");
        Ok(Gated {
            gate: self.take(&name("gate"), [stack, width, hidden])?,
            up: self.take(&name("up"), [stack, width, hidden])?,
            down: self.take(&name("down"), [stack, hidden, width])?,
        })
    }
}
