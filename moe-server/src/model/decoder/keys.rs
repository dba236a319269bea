//! The metadata of one architecture, and what all architectures say alike.

use std::fmt;

use super::{
    ModelError,
    config::{Attention, Config, QkNorm, RopePairs, Score},
};
use crate::model::gguf::{FromValue, GgmlType, Gguf, TensorInfo};

/// The keys of one architecture, which stand behind its name.
pub(super) struct Keys<'a> {
    pub(super) file: &'a Gguf,
    pub(super) architecture: &'a str,
}

impl<'a> Keys<'a> {
    pub(super) fn get<T: FromValue<'a>>(&self, key: &str) -> Result<T, ModelError> {
        Ok(self.file.get(&format!("{}.{key}", self.architecture))?)
    }

    pub(super) fn find<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, ModelError> {
        Ok(self.file.find(&format!("{}.{key}", self.architecture))?)
    }

    pub(super) fn size(&self, key: &str) -> Result<usize, ModelError> {
        Ok(self.get::<u32>(key)? as usize)
    }

    pub(super) fn find_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        Ok(self.find::<u32>(key)?.map(|value| value as usize))
    }

    /// Refuses a value that this engine has no arithmetic for.
    pub(super) fn refuse(&self, key: &str, found: impl fmt::Display, remedy: &str) -> ModelError {
        ModelError::Key { key: format!("{}.{key}", self.architecture), why: format!("is {found}; {remedy}") }
    }

    /// What the keys common to all architectures say, as a model of the plainest kind: full attention with rope on
    /// adjacent pairs, dense layers, none of them of any width yet.
    pub(super) fn plain(&self) -> Result<Config, ModelError> {
        self.refuse_rope_scaling()?;
        let hidden = self.size("embedding_length")?;
        let heads = self.size("attention.head_count")?;
        let head_dim = match self.find_size("attention.key_length")? {
            Some(length) => length,
            None => hidden / heads.max(1),
        };
        for key in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = self.find_size(key)?.filter(|other| *other != head_dim) {
                return Err(self.refuse(
                    key,
                    other,
                    &format!("only the key length, {head_dim}, is supported"),
                ));
            }
        }
        let embedding = self.file.tensor("token_embd.weight")?;
        Ok(Config {
            vocab_size: embedding.dims.get(1).copied().unwrap_or(0),
            hidden,
            layers: self.size("block_count")?,
            heads,
            kv_heads: self.find_size("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            attention: Attention::Full,
            qk_norm: QkNorm::Off,
            rope_pairs: RopePairs::Adjacent,
            rope_theta: f64::from(self.get::<f32>("rope.freq_base")?),
            rope_factors: None,
            dense_ff: 0,
            moe_step: 0,
            experts: 0,
            experts_used: 0,
            expert_ff: 0,
            shared_expert: false,
            score: Score::SoftmaxOnOutput,
            norm_eps: self.get("attention.layer_norm_rms_epsilon")?,
            context_length: self.size("context_length")?,
        })
    }

    fn refuse_rope_scaling(&self) -> Result<(), ModelError> {
        let scaling = self.find::<&str>("rope.scaling.type")?.unwrap_or("none");
        let factor = self.find::<f32>("rope.scaling.factor")?.unwrap_or(1.0);
        if scaling == "none" || (scaling == "linear" && factor.to_bits() == 1.0_f32.to_bits()) {
            return Ok(());
        }
        let remedy = "take a file without this key (Llama 4's scaling is the tensor rope_freqs.weight), or convert \
                      the model again without it";
        Err(self.refuse("rope.scaling.type", format_args!("{scaling:?} by {factor}"), remedy))
    }

    /// Refuses another way of making scores of the router's logits than `number`, llama.cpp's for the one that the
    /// architecture has.
    pub(super) fn expect_gating(&self, number: usize, remedy: &str) -> Result<(), ModelError> {
        match self.find_size("expert_gating_func")?.filter(|found| *found != number) {
            Some(function) => Err(self.refuse("expert_gating_func", function, remedy)),
            None => Ok(()),
        }
    }
}

/// An F32 tensor's values. Of other types nothing is allocated: a shape alone says nothing about the bytes behind it.
pub(super) fn tensor_values(info: &TensorInfo<'_>) -> Result<Vec<f32>, ModelError> {
    if info.ggml_type != GgmlType::F32 {
        let found = format!("{} where F32 is wanted", info.ggml_type);
        return Err(ModelError::Quantisation { name: info.name.to_owned(), found });
    }
    Ok(info.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
