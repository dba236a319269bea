//! A weight: shape, layout, and bytes that may lie in a mapped file.

use std::{fmt, sync::Arc};

use memmap2::MmapMut;

use moe_kernels::{
    packed::{PackedMatrix, PackedType},
    weights::{DType, Matrix},
};

use crate::model::gguf::{Gguf, Place};

/// Where a tensor's bytes are.
#[derive(Debug, Clone)]
pub enum TensorBytes {
    Owned(Arc<[u8]>),
    /// Pages of memory.
    Memory(Arc<MmapMut>),
    /// A part of a model's file ([`Gguf::slice`]).
    Mapped(Arc<Gguf>, Place),
}

impl TensorBytes {
    pub(in crate::model) fn get(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Memory(bytes) => bytes,
            Self::Mapped(file, place) => file.slice(place),
        }
    }
}

/// How the elements of a matrix lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Row after row.
    Rows(DType),
    /// In tiles, as the kernels for quantised weights read them.
    Packed(PackedType),
}

impl Layout {
    /// Bytes of one matrix; `None` where the columns are no whole number of blocks or no machine could hold it.
    #[must_use]
    pub fn matrix_bytes(self, rows: usize, columns: usize) -> Option<usize> {
        match self {
            Self::Rows(dtype) => columns.checked_mul(dtype.element_bytes())?.checked_mul(rows),
            Self::Packed(packed_type) => packed_type.matrix_bytes(rows, columns),
        }
    }
}

/// A matrix in either layout.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    Rows(Matrix<'a>),
    Packed(PackedMatrix<'a>),
}

impl Weights<'_> {
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Rows(matrix) => matrix.rows(),
            Self::Packed(matrix) => matrix.rows(),
        }
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        match self {
            Self::Rows(matrix) => matrix.columns(),
            Self::Packed(matrix) => matrix.columns(),
        }
    }

    /// Row `index` as `f32`: the first `columns` of `out`.
    ///
    /// # Panics
    /// Where there is no such row or `out` is shorter than a row.
    pub fn dequantise_row(&self, index: usize, out: &mut [f32]) {
        match self {
            Self::Rows(matrix) => matrix.dequantise_row(index, out),
            Self::Packed(matrix) => matrix.dequantise_row(index, out),
        }
    }
}

/// A stack of matrices (of one, mostly), one after the other. Packed ones are packed each for itself: no tile holds
/// rows of two.
#[derive(Clone)]
pub struct Tensor {
    layout: Layout,
    shape: [usize; 3],
    bytes: TensorBytes,
    /// Bytes of one matrix.
    stride: usize,
}

impl Tensor {
    /// `shape` is `[matrices, rows, columns]`. `None` where the bytes do not fit it.
    #[must_use]
    pub fn new(dtype: DType, shape: [usize; 3], bytes: TensorBytes) -> Option<Self> {
        Self::with_layout(Layout::Rows(dtype), shape, bytes)
    }

    /// The same in either layout.
    #[must_use]
    pub fn with_layout(layout: Layout, shape: [usize; 3], bytes: TensorBytes) -> Option<Self> {
        let [stack, rows, columns] = shape;
        let stride = layout.matrix_bytes(rows, columns)?;
        let fits = stride.checked_mul(stack)? == bytes.get().len();
        fits.then_some(Self { layout, shape, bytes, stride })
    }

    /// `[matrices, rows, columns]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// All of its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get()
    }

    /// Matrix `index` of the stack.
    ///
    /// # Panics
    /// Where there is no such matrix.
    #[must_use]
    pub fn weights(&self, index: usize) -> Weights<'_> {
        let [stack, rows, columns] = self.shape;
        assert!(index < stack, "matrix {index} of {stack}");
        let bytes = &self.bytes.get()[index * self.stride..(index + 1) * self.stride];
        let weights = match self.layout {
            Layout::Rows(dtype) => Matrix::new(dtype, rows, columns, bytes).map(Weights::Rows),
            Layout::Packed(packed) => PackedMatrix::new(packed, rows, columns, bytes).map(Weights::Packed),
        };
        let Some(weights) = weights else { unreachable!("the sizes were checked when it was made") };
        weights
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout {
            Layout::Rows(dtype) => write!(f, "{dtype:?} {:?}", self.shape),
            Layout::Packed(packed) => write!(f, "packed {packed:?} {:?}", self.shape),
        }
    }
}
