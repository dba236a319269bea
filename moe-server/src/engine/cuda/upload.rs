//! A model's weights, brought to a device.

use moe_cuda::{
    device::Device,
    model::{self as cuda, HeadNorm, Shape, WeightType},
};
use moe_kernels::weights::DType;

use super::unusable;
use crate::{
    model::decoder::{
        self, Attention, Config, FeedForward, Layout, Model, ModelError, QkNorm, RopePairs, Score,
    },
    sleep::Progress,
};

/// Brings all tensors to the device as they lie.
///
/// # Errors
/// [`ModelError`], where there is no room or the device fails; `progress` may end it.
pub(super) fn upload(
    device: &impl Device,
    model: &Model,
    progress: &Progress,
) -> Result<cuda::Model, ModelError> {
    let tensors = model.tensors().skip(usize::from(model.is_tied()));
    progress.set(0, tensors.map(|tensor| tensor.bytes().len() as u64).sum());
    let uploader = Uploader { device, progress };
    let layers =
        model.layers.iter().enumerate().map(|(index, layer)| uploader.layer(&model.config, index, layer));
    let embedding = uploader.tensor(&model.embedding)?;
    let head = if model.is_tied() { embedding } else { uploader.tensor(&model.output)? };
    Ok(cuda::Model {
        shape: shape(&model.config),
        layers: layers.collect::<Result<_, _>>()?,
        embedding,
        head,
        final_norm: uploader.vector(&model.output_norm)?,
    })
}

struct Uploader<'a, D> {
    device: &'a D,
    progress: &'a Progress,
}

impl<D: Device> Uploader<'_, D> {
    fn tensor(&self, tensor: &decoder::Tensor) -> Result<cuda::Tensor, ModelError> {
        let weight_type = match tensor.layout() {
            Layout::Packed(packed) => WeightType::Packed(packed),
            Layout::Rows(DType::F16) => WeightType::F16,
            Layout::Rows(DType::BF16) => WeightType::BF16,
            Layout::Rows(DType::F32) => WeightType::F32,
        };
        let bytes = tensor.bytes();
        let at = self.device.allocate(bytes.len()).map_err(unusable)?;
        for (index, part) in bytes.chunks(PART).enumerate() {
            self.device.upload_bytes(at + (index * PART) as u64, part).map_err(unusable)?;
            self.progress.add(part.len() as u64);
            self.progress
                .check()
                .map_err(|_| ModelError::Resources("it is not wanted any more".to_owned()))?;
        }
        let [count, rows, columns] = tensor.shape();
        Ok(cuda::Tensor { weight_type, rows, columns, count, at })
    }

    fn vector(&self, values: &[f32]) -> Result<u64, ModelError> {
        self.device.place(values).map_err(unusable)
    }

    fn gated(&self, gated: &decoder::Gated) -> Result<cuda::Gated, ModelError> {
        Ok(cuda::Gated {
            gate: self.tensor(&gated.gate)?,
            up: self.tensor(&gated.up)?,
            down: self.tensor(&gated.down)?,
        })
    }

    fn layer(
        &self,
        config: &Config,
        index: usize,
        layer: &decoder::Layer,
    ) -> Result<cuda::Layer, ModelError> {
        let (common, routed) = match &layer.feed_forward {
            FeedForward::Dense(weights) => (Some(self.gated(weights)?), None),
            FeedForward::Moe { router, experts, shared } => (
                shared.as_ref().map(|shared| self.gated(shared)).transpose()?,
                Some((self.tensor(router)?, self.gated(experts)?)),
            ),
        };
        let head_norms = layer.head_norms.as_ref();
        let head_norms = head_norms
            .map(|norms| Ok::<_, ModelError>((self.vector(&norms.query)?, self.vector(&norms.key)?)));
        Ok(cuda::Layer {
            attn_norm: self.vector(&layer.attn_norm)?,
            query: self.tensor(&layer.query)?,
            key: self.tensor(&layer.key)?,
            value: self.tensor(&layer.value)?,
            output: self.tensor(&layer.output)?,
            head_norms: head_norms.transpose()?,
            ffn_norm: self.vector(&layer.ffn_norm)?,
            common,
            routed,
            has_rope: config.has_rope(index),
            is_chunked: config.is_chunked(index),
        })
    }
}

/// Bytes between two signs of progress.
const PART: usize = 64 << 20;

fn shape(config: &Config) -> Shape {
    let (chunk, temperature) = match config.attention {
        Attention::Full => (None, None),
        Attention::Chunked { chunk, temperature_floor, temperature_scale } => {
            (Some(chunk), Some((temperature_floor, temperature_scale)))
        }
    };
    let has_experts = (0..config.layers).any(|index| config.is_moe(index));
    Shape {
        hidden: config.hidden,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        experts: if has_experts { config.experts } else { 0 },
        used: if has_experts { config.experts_used } else { 0 },
        vocab: config.vocab_size,
        chunk,
        head_norm: match config.qk_norm {
            QkNorm::Off => HeadNorm::Off,
            QkNorm::Plain => HeadNorm::Plain,
            QkNorm::Weighted => HeadNorm::Weighted,
        },
        rope_halves: config.rope_pairs == RopePairs::Halves,
        softmax_on_output: config.score == Score::SoftmaxOnOutput,
        eps: config.norm_eps,
        frequencies: config.rope_frequencies(),
        temperature,
    }
}
