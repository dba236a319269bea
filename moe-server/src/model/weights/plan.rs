//! What becomes of each tensor.
//!
//! Matrices whose blocks have kernels are rearranged, exactly. Every other quantised matrix is decoded and becomes Q8_0,
//! which costs memory and hardly any precision. What is small and wanted as floats (vectors, routers) is decoded to F32,
//! and F32, F16 and BF16 stay as they are.

use moe_kernels::{ggml::BlockType, packed::PackedType, weights::DType};

use super::{error::ModelError, tensor::Layout};
use crate::model::gguf::{GgmlType, TensorInfo};

/// Longer rows than any model has would need a tile of more memory than is right.
const MAX_COLUMNS: usize = 1 << 22;

/// How a tensor's bytes become what the engine reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Plan {
    /// They are that already.
    Keep(Layout),
    /// Decoded to F32, row after row.
    Decode(BlockType),
    /// The blocks of 16 rows put into tiles.
    Tile(PackedType),
    /// Decoded, to Q8_0, and that into tiles.
    Requantise(BlockType),
}

impl Plan {
    /// # Errors
    /// [`ModelError::Quantisation`] for what is no type of weights.
    pub(in crate::model) fn of(info: &TensorInfo<'_>) -> Result<Self, ModelError> {
        let rows = [DType::F32, DType::F16, DType::BF16];
        let kept =
            [GgmlType::F32, GgmlType::F16, GgmlType::BF16].iter().position(|kept| *kept == info.ggml_type);
        if let Some(kept) = kept {
            return Ok(Self::Keep(Layout::Rows(rows[kept])));
        }
        if let GgmlType::Packed(packed) = info.ggml_type {
            return Ok(Self::Keep(Layout::Packed(packed)));
        }
        let unusable = |found: String| ModelError::Quantisation { name: info.name.to_owned(), found };
        let block_type = info.ggml_type.block_type().ok_or_else(|| unusable(info.ggml_type.to_string()))?;
        let [_, rows, columns] = shape(info);
        if rows == 1 || info.name.contains("ffn_gate_inp") {
            return Ok(Self::Decode(block_type));
        }
        if columns > MAX_COLUMNS {
            return Err(unusable(format!("{} in rows of {columns} elements", info.ggml_type)));
        }
        Ok(match info.ggml_type {
            GgmlType::Q4_K => Self::Tile(PackedType::Q4_K),
            GgmlType::Q6_K => Self::Tile(PackedType::Q6_K),
            GgmlType::Q8_0 => Self::Tile(PackedType::Q8_0),
            GgmlType::MXFP4 => Self::Tile(PackedType::MXFP4),
            _ => Self::Requantise(block_type),
        })
    }

    pub(super) fn layout(self) -> Layout {
        match self {
            Self::Keep(layout) => layout,
            Self::Decode(_) => Layout::Rows(DType::F32),
            Self::Tile(packed) => Layout::Packed(packed),
            Self::Requantise(_) => Layout::Packed(PackedType::Q8_0),
        }
    }

    /// How a packed file spells the type of what comes of it.
    pub(in crate::model) fn ggml_type(self) -> GgmlType {
        match self.layout() {
            Layout::Rows(DType::F32) => GgmlType::F32,
            Layout::Rows(DType::F16) => GgmlType::F16,
            Layout::Rows(DType::BF16) => GgmlType::BF16,
            Layout::Packed(packed) => GgmlType::Packed(packed),
        }
    }

    /// Bytes that the whole tensor takes; `None` where no machine could hold it.
    pub(in crate::model) fn bytes(self, info: &TensorInfo<'_>) -> Option<usize> {
        let [stack, rows, columns] = shape(info);
        self.layout().matrix_bytes(rows, columns)?.checked_mul(stack)
    }
}

/// `[matrices, rows, columns]`.
pub(super) fn shape(info: &TensorInfo<'_>) -> [usize; 3] {
    let dim = |index: usize| info.dims.get(index).copied().unwrap_or(1);
    [dim(2) * dim(3), dim(1), dim(0)]
}
