//! A model from a GGUF file, by the keys and names that llama.cpp's converter writes for `llama4`.
//!
//! GGUF has no key for the chunk, for the temperature or for the norm of queries and keys: like llama.cpp this takes
//! the released models' constants, and 128 experts to mean no such norm.

use std::{fmt, sync::Arc};

use moe_kernels::weights::DType;

use super::{Config, Layout, Model, ModelError, Tensor, TensorBytes};
use crate::model::gguf::{FromValue, GgmlType, Gguf, TensorInfo};

const ARCHITECTURE: &str = "llama4";
const CHUNK: usize = 8192;
const TEMPERATURE_FLOOR: usize = 8192;
const TEMPERATURE_SCALE: f64 = 0.1;
/// Maverick's.
const EXPERTS_WITHOUT_QK_NORM: usize = 128;

impl Model {
    /// Finds everything in `file` and keeps it mapped.
    ///
    /// # Errors
    /// [`ModelError`], naming the key or tensor and what to do.
    pub fn from_gguf(file: &Arc<Gguf>) -> Result<Self, ModelError> {
        let config = config(file)?;
        Self::load(config, &mut |name| file.find_tensor(name).map(|info| tensor(file, info)).transpose())
    }
}

fn tensor(file: &Arc<Gguf>, info: TensorInfo<'_>) -> Result<Tensor, ModelError> {
    let layout = match info.ggml_type {
        GgmlType::F32 => Layout::Rows(DType::F32),
        GgmlType::F16 => Layout::Rows(DType::F16),
        GgmlType::BF16 => Layout::Rows(DType::BF16),
        GgmlType::Q8_0 => Layout::Rows(DType::Q8_0),
        GgmlType::Packed(packed) => Layout::Packed(packed),
        other => {
            return Err(ModelError::Quantisation { name: info.name.to_owned(), found: other.to_string() });
        }
    };
    let dim = |index: usize| info.dims.get(index).copied().unwrap_or(1);
    let shape = [dim(2) * dim(3), dim(1), dim(0)];
    Tensor::with_layout(layout, shape, TensorBytes::Mapped(Arc::clone(file), info.place())).ok_or_else(|| {
        ModelError::Config(format!("the tensor {:?} has not the bytes of its shape", info.name))
    })
}

/// The keys of one architecture.
struct Keys<'a>(&'a Gguf);

impl<'a> Keys<'a> {
    fn get<T: FromValue<'a>>(&self, key: &str) -> Result<T, ModelError> {
        Ok(self.0.get(&format!("{ARCHITECTURE}.{key}"))?)
    }

    fn find<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, ModelError> {
        Ok(self.0.find(&format!("{ARCHITECTURE}.{key}"))?)
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        Ok(self.get::<u32>(key)? as usize)
    }

    fn find_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.find::<u32>(key)?.map(|value| value as usize))
    }

    /// Refuses a value that this engine has no arithmetic for.
    fn refuse(key: &str, found: impl fmt::Display, remedy: &str) -> ModelError {
        ModelError::Key { key: format!("{ARCHITECTURE}.{key}"), why: format!("is {found}; {remedy}") }
    }
}

fn config(file: &Gguf) -> Result<Config, ModelError> {
    let architecture = file.get::<&str>("general.architecture")?;
    if architecture != ARCHITECTURE {
        return Err(ModelError::Architecture { found: architecture.to_owned() });
    }
    let keys = Keys(file);
    refuse_unsupported(&keys)?;

    let hidden = keys.size("embedding_length")?;
    let heads = keys.size("attention.head_count")?;
    let head_dim = match keys.find_size("attention.key_length")? {
        Some(length) => length,
        None => hidden / heads.max(1),
    };
    for key in ["attention.value_length", "rope.dimension_count"] {
        if let Some(other) = keys.find_size(key)?.filter(|other| *other != head_dim) {
            return Err(Keys::refuse(key, other, &format!("only the key length, {head_dim}, is supported")));
        }
    }
    let experts = keys.size("expert_count")?;
    let embedding = file.tensor("token_embd.weight")?;
    let rope_factors = match file.find_tensor("rope_freqs.weight") {
        Some(info) => {
            if info.dims != [head_dim / 2] {
                return Err(ModelError::Shape {
                    name: info.name.to_owned(),
                    expected: [1, 1, head_dim / 2],
                    found: [1, info.elements() / info.dims[0], info.dims[0]],
                });
            }
            let mut factors = vec![0.0; head_dim / 2];
            tensor_values(&info, &mut factors)?;
            Some(factors)
        }
        None => None,
    };
    let moe_step = keys.size("interleave_moe_layer_step")?;
    let layers = keys.size("block_count")?;
    Ok(Config {
        vocab_size: embedding.dims.get(1).copied().unwrap_or(0),
        hidden,
        layers,
        heads,
        kv_heads: keys.find_size("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        expert_ff: keys.find_size("expert_feed_forward_length")?.unwrap_or(0),
        dense_ff: keys.find_size("feed_forward_length")?.unwrap_or(0),
        experts,
        moe_step,
        qk_norm: experts != EXPERTS_WITHOUT_QK_NORM,
        chunk: CHUNK,
        temperature_floor: TEMPERATURE_FLOOR,
        temperature_scale: TEMPERATURE_SCALE,
        norm_eps: keys.get("attention.layer_norm_rms_epsilon")?,
        rope_theta: f64::from(keys.get::<f32>("rope.freq_base")?),
        rope_factors,
        context_length: keys.size("context_length")?,
    })
}

/// Keys whose value would ask for other arithmetic.
fn refuse_unsupported(keys: &Keys<'_>) -> Result<(), ModelError> {
    if let Some(window) = keys.find_size("attention.sliding_window")?.filter(|window| *window != CHUNK) {
        let remedy = "only chunks of 8192 are supported; convert the model again without this key";
        return Err(Keys::refuse("attention.sliding_window", window, remedy));
    }
    let used = keys.size("expert_used_count")?;
    if used != 1 {
        return Err(Keys::refuse("expert_used_count", used, "Llama 4 picks one expert"));
    }
    // llama.cpp's number for the sigmoid.
    if let Some(function) = keys.find_size("expert_gating_func")?.filter(|function| *function != 2) {
        return Err(Keys::refuse("expert_gating_func", function, "Llama 4's router uses the sigmoid, 2"));
    }
    let scaling = keys.find::<&str>("rope.scaling.type")?.unwrap_or("none");
    let factor = keys.find::<f32>("rope.scaling.factor")?.unwrap_or(1.0);
    if scaling != "none" && !(scaling == "linear" && factor.to_bits() == 1.0_f32.to_bits()) {
        let remedy = "rope scaling is supported as the tensor rope_freqs.weight; convert the model again";
        return Err(Keys::refuse("rope.scaling.type", format_args!("{scaling:?} by {factor}"), remedy));
    }
    Ok(())
}

/// A small F32 tensor's values.
fn tensor_values(info: &TensorInfo<'_>, out: &mut [f32]) -> Result<(), ModelError> {
    if info.ggml_type != GgmlType::F32 {
        let found = format!("{} where F32 is wanted", info.ggml_type);
        return Err(ModelError::Quantisation { name: info.name.to_owned(), found });
    }
    for (value, bytes) in out.iter_mut().zip(info.bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    Ok(())
}
