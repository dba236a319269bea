//! A model's weights, brought to a device, or only the room for them.

use moe_cuda::{
    device::Device,
    model::{self as cuda, HeadNorm, Shape, WeightType},
};
use moe_kernels::weights::DType;

use super::unusable;
use crate::{
    model::decoder::{
        Attention, Config, FeedForward, Gated, Layer, Layout, Model, ModelError, ModelOutline, Outline,
        QkNorm, RopePairs, Score, Tensor,
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
    bring(model, model.is_tied(), &Uploader { device, progress })
}

/// Makes room for all tensors, and leaves it empty.
///
/// # Errors
/// [`ModelError`], where there is none.
pub(super) fn make_room(device: &impl Device, model: &ModelOutline) -> Result<cuda::Model, ModelError> {
    bring(model, model.is_tied(), &RoomMaker { device })
}

/// What becomes of matrices `T` and vectors `V` on a device.
trait Bring<T, V> {
    fn tensor(&self, tensor: &T) -> Result<cuda::Tensor, ModelError>;

    /// Of `f32`.
    fn vector(&self, values: &V) -> Result<u64, ModelError>;
}

fn bring<T, V>(model: &Model<T, V>, is_tied: bool, by: &impl Bring<T, V>) -> Result<cuda::Model, ModelError> {
    let layers = model.layers.iter().enumerate().map(|(index, one)| layer(&model.config, index, one, by));
    let embedding = by.tensor(&model.embedding)?;
    let head = if is_tied { embedding } else { by.tensor(&model.output)? };
    Ok(cuda::Model {
        shape: shape(&model.config),
        layers: layers.collect::<Result<_, _>>()?,
        embedding,
        head,
        final_norm: by.vector(&model.output_norm)?,
    })
}

fn gated<T, V>(gated: &Gated<T>, by: &impl Bring<T, V>) -> Result<cuda::Gated, ModelError> {
    Ok(cuda::Gated {
        gate: by.tensor(&gated.gate)?,
        up: by.tensor(&gated.up)?,
        down: by.tensor(&gated.down)?,
    })
}

fn layer<T, V>(
    config: &Config,
    index: usize,
    layer: &Layer<T, V>,
    by: &impl Bring<T, V>,
) -> Result<cuda::Layer, ModelError> {
    let (common, routed) = match &layer.feed_forward {
        FeedForward::Dense(weights) => (Some(gated(weights, by)?), None),
        FeedForward::Moe { router, experts, shared } => (
            shared.as_ref().map(|shared| gated(shared, by)).transpose()?,
            Some((by.tensor(router)?, gated(experts, by)?)),
        ),
    };
    let head_norms = layer.head_norms.as_ref();
    let head_norms =
        head_norms.map(|norms| Ok::<_, ModelError>((by.vector(&norms.query)?, by.vector(&norms.key)?)));
    Ok(cuda::Layer {
        attn_norm: by.vector(&layer.attn_norm)?,
        query: by.tensor(&layer.query)?,
        key: by.tensor(&layer.key)?,
        value: by.tensor(&layer.value)?,
        output: by.tensor(&layer.output)?,
        head_norms: head_norms.transpose()?,
        ffn_norm: by.vector(&layer.ffn_norm)?,
        common,
        routed,
        has_rope: config.has_rope(index),
        is_chunked: config.is_chunked(index),
    })
}

fn weight_type(layout: Layout) -> WeightType {
    match layout {
        Layout::Packed(packed) => WeightType::Packed(packed),
        Layout::Rows(DType::F16) => WeightType::F16,
        Layout::Rows(DType::BF16) => WeightType::BF16,
        Layout::Rows(DType::F32) => WeightType::F32,
    }
}

struct Uploader<'a, D> {
    device: &'a D,
    progress: &'a Progress,
}

impl<D: Device> Bring<Tensor, Vec<f32>> for Uploader<'_, D> {
    fn tensor(&self, tensor: &Tensor) -> Result<cuda::Tensor, ModelError> {
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
        Ok(cuda::Tensor { weight_type: weight_type(tensor.layout()), rows, columns, count, at })
    }

    fn vector(&self, values: &Vec<f32>) -> Result<u64, ModelError> {
        self.device.place(values).map_err(unusable)
    }
}

struct RoomMaker<'a, D> {
    device: &'a D,
}

impl<D: Device> Bring<Outline, usize> for RoomMaker<'_, D> {
    fn tensor(&self, tensor: &Outline) -> Result<cuda::Tensor, ModelError> {
        let at = self.device.allocate(tensor.bytes).map_err(unusable)?;
        let [count, rows, columns] = tensor.shape;
        Ok(cuda::Tensor { weight_type: weight_type(tensor.layout), rows, columns, count, at })
    }

    fn vector(&self, length: &usize) -> Result<u64, ModelError> {
        self.device.allocate(length * size_of::<f32>()).map_err(unusable)
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
