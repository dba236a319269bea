//! What a weight would be, told from its file's table: nothing of it is read.

use super::{
    error::ModelError,
    plan::{Plan, shape},
    tensor::Layout,
};
use crate::model::gguf::{GgmlType, TensorInfo};

/// A [`super::Tensor`] without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub name: String,
    /// As the engine reads it.
    pub layout: Layout,
    /// `[matrices, rows, columns]`.
    pub shape: [usize; 3],
    /// In that layout.
    pub bytes: usize,
    /// The file's type, where it has no kernels and becomes another one.
    pub converted: Option<GgmlType>,
}

impl Outline {
    /// # Errors
    /// [`ModelError`], as for the tensor itself.
    pub(in crate::model) fn of(info: &TensorInfo<'_>) -> Result<Self, ModelError> {
        let plan = Plan::of(info)?;
        let bytes = plan.bytes(info).ok_or_else(|| {
            ModelError::Config(format!("the tensor {:?} has not the bytes of its shape", info.name))
        })?;
        Ok(Self {
            name: info.name.to_owned(),
            layout: plan.layout(),
            shape: shape(info),
            bytes,
            converted: matches!(plan, Plan::Requantise(_)).then_some(info.ggml_type),
        })
    }

    /// Weights in it.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}
