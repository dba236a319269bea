//! A model on a device: its shape, and where its weights lie.

use moe_kernels::packed::{Grain, PackedType};

use crate::{
    Error,
    device::Device,
    layout::{self, COARSE, FINE, FLOAT, Matrix},
};

/// What weights can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightType {
    Packed(PackedType),
    F16,
    BF16,
    F32,
}

impl WeightType {
    pub const ALL: [Self; 7] = [
        Self::Packed(PackedType::Q4_K),
        Self::Packed(PackedType::Q6_K),
        Self::Packed(PackedType::Q8_0),
        Self::Packed(PackedType::MXFP4),
        Self::F16,
        Self::BF16,
        Self::F32,
    ];

    /// The number that the kernels know it by.
    #[must_use]
    pub fn kind(self) -> u32 {
        match self {
            Self::Packed(PackedType::Q4_K) => 1,
            Self::Packed(PackedType::Q6_K) => 2,
            Self::Packed(PackedType::Q8_0) => 3,
            Self::Packed(PackedType::MXFP4) => 4,
            Self::F16 => 5,
            Self::BF16 => 6,
            Self::F32 => 7,
        }
    }

    /// The form of activations that it is multiplied with.
    #[must_use]
    pub fn form(self) -> u32 {
        match self {
            Self::Packed(packed) if packed.grain() == Grain::Coarse => COARSE,
            Self::Packed(_) => FINE,
            _ => FLOAT,
        }
    }

    /// Bytes of a matrix; `None` where the columns do not fit the type.
    #[must_use]
    pub fn matrix_bytes(self, rows: usize, columns: usize) -> Option<usize> {
        match self {
            Self::Packed(packed) => packed.matrix_bytes(rows, columns),
            // Eight elements of a row are read at a time.
            Self::F16 | Self::BF16 => columns.is_multiple_of(8).then(|| rows * columns * 2),
            Self::F32 => columns.is_multiple_of(8).then(|| rows * columns * 4),
        }
    }

    /// Bytes of 256 columns of a tile; 0 for plain rows.
    #[must_use]
    pub fn block_bytes(self) -> u32 {
        match self {
            Self::Packed(packed) => (packed.tile_bytes(256)) as u32,
            _ => 0,
        }
    }
}

/// A stack of matrices on the device, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Tensor {
    pub weight_type: WeightType,
    pub rows: usize,
    pub columns: usize,
    /// Matrices in the stack.
    pub count: usize,
    pub at: u64,
}

impl Tensor {
    /// Bytes of one of its matrices.
    #[must_use]
    pub fn matrix_bytes(&self) -> usize {
        self.weight_type.matrix_bytes(self.rows, self.columns).unwrap_or(0)
    }

    /// As the kernels see it.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        Matrix {
            at: self.at,
            expert_bytes: self.matrix_bytes() as u64,
            kind: self.weight_type.kind(),
            rows: self.rows as u32,
            columns: self.columns as u32,
            pad: 0,
        }
    }
}

/// A feed-forward network, or a stack of them.
#[derive(Debug, Clone, Copy)]
pub struct Gated {
    pub gate: Tensor,
    pub up: Tensor,
    pub down: Tensor,
}

/// What a layer does between its norms.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    pub attn_norm: u64,
    pub query: Tensor,
    pub key: Tensor,
    pub value: Tensor,
    pub output: Tensor,
    /// Weights of the heads' norms, for queries and keys.
    pub head_norms: Option<(u64, u64)>,
    pub ffn_norm: u64,
    /// What every token goes through: a shared expert, or a dense layer.
    pub common: Option<Gated>,
    /// Router and experts.
    pub routed: Option<(Tensor, Gated)>,
    pub has_rope: bool,
    /// Whether it sees the tokens of a chunk only.
    pub is_chunked: bool,
}

/// How heads are normed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadNorm {
    Off,
    /// Without weights and after rope, in layers that have rope.
    Plain,
    /// With weights and before rope, in every layer.
    Weighted,
}

/// The shape and constants that all layers share; the words are those of moe-server's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub hidden: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub experts: usize,
    pub used: usize,
    pub vocab: usize,
    /// Tokens of a chunk, where there are chunked layers.
    pub chunk: Option<usize>,
    pub head_norm: HeadNorm,
    /// Whether rope turns `x[i]` with `x[i + head_dim / 2]`, not neighbours.
    pub rope_halves: bool,
    /// Whether the softmax of the chosen logits multiplies experts' outputs, not the sigmoid their inputs.
    pub softmax_on_output: bool,
    pub eps: f32,
    /// Rope's frequencies, `head_dim / 2` of them.
    pub frequencies: Vec<f64>,
    /// Floor and scale of the temperature of layers without rope.
    pub temperature: Option<(usize, f64)>,
}

/// Whether the kernels compute attention with heads of so many dimensions. Those are whole groups of the 32 that share a scale in
/// [`crate::kv::KvType::Q8_0`].
///
/// # Errors
/// [`Error::Model`].
pub fn check_heads(head_dim: usize) -> Result<(), Error> {
    if [32, 64, 128].contains(&head_dim) {
        Ok(())
    } else {
        Err(Error::Model("its heads are not of 32, 64 or 128"))
    }
}

#[derive(Debug, Clone)]
pub struct Model {
    pub shape: Shape,
    pub layers: Vec<Layer>,
    pub embedding: Tensor,
    pub head: Tensor,
    pub final_norm: u64,
}

impl Model {
    /// Whether the kernels compute it.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn check(&self) -> Result<(), Error> {
        let s = &self.shape;
        let fail = |why| Err(Error::Model(why));
        if !s.hidden.is_multiple_of(32) || s.hidden > layout::MOST_HIDDEN {
            return fail("its hidden size is no multiple of 32, or above 8192");
        }
        check_heads(s.head_dim)?;
        if s.kv_heads == 0 || !s.heads.is_multiple_of(s.kv_heads) {
            return fail("its query heads do not divide among the KV heads");
        }
        if s.experts > layout::MOST_EXPERTS || s.used > s.experts {
            return fail("it has more experts than 256");
        }
        for tensor in self.tensors() {
            if tensor.weight_type.matrix_bytes(tensor.rows, tensor.columns).is_none() {
                return fail("a matrix' columns are no whole number of blocks");
            }
        }
        for layer in &self.layers {
            if layer.routed.is_some_and(|(router, _)| router.weight_type.form() != FLOAT) {
                return fail("its router is quantised");
            }
            let networks = [layer.common, layer.routed.map(|(_, gated)| gated)];
            if networks.into_iter().flatten().any(|gated| !gated.gate.rows.is_multiple_of(8)) {
                return fail("an expert's width is no multiple of 8");
            }
        }
        Ok(())
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.layers.iter().flat_map(Layer::tensors).chain([&self.head])
    }

    /// The widest feed-forward network.
    pub(crate) fn inner_columns(&self) -> usize {
        let widths = self.layers.iter().flat_map(|layer| {
            let routed = layer.routed.map(|(_, gated)| gated.gate.rows);
            [layer.common.map(|gated| gated.gate.rows), routed]
        });
        widths.flatten().max().unwrap_or(0)
    }
}

impl Layer {
    /// The matrices of products.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let common = self.common.iter().flat_map(|g| [&g.gate, &g.up, &g.down]);
        let routed = self.routed.iter().flat_map(|(_, g)| [&g.gate, &g.up, &g.down]);
        [&self.query, &self.key, &self.value, &self.output].into_iter().chain(common).chain(routed)
    }
}

/// Room for a stack of matrices.
///
/// # Errors
/// [`Error::Model`] where the columns do not fit, or as [`Device::allocate`].
pub fn tensor(
    device: &impl Device,
    weight_type: WeightType,
    [count, rows, columns]: [usize; 3],
) -> Result<Tensor, Error> {
    let Some(bytes) = weight_type.matrix_bytes(rows, columns) else {
        return Err(Error::Model("a matrix' columns are no whole number of blocks"));
    };
    Ok(Tensor { weight_type, rows, columns, count, at: device.allocate(bytes * count)? })
}
