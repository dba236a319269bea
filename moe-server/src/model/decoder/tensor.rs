//! A weight: shape, type, and bytes that may lie in a mapped file.

use std::{fmt, ops::Range, sync::Arc};

use moe_kernels::weights::{DType, Matrix};

use crate::model::gguf::Gguf;

/// Where a tensor's bytes are.
#[derive(Debug, Clone)]
pub enum TensorBytes {
    Owned(Arc<[u8]>),
    /// A part of a file ([`Gguf::slice`]).
    Mapped(Arc<Gguf>, Range<usize>),
}

impl TensorBytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(file, range) => file.slice(range.clone()),
        }
    }
}

/// A stack of matrices (of one, mostly), row after row.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: [usize; 3],
    bytes: TensorBytes,
}

impl Tensor {
    /// `shape` is `[matrices, rows, columns]`. `None` where the bytes do not fit it.
    #[must_use]
    pub fn new(dtype: DType, shape: [usize; 3], bytes: TensorBytes) -> Option<Self> {
        let [stack, rows, columns] = shape;
        Matrix::new(dtype, stack.checked_mul(rows)?, columns, bytes.get())?;
        Some(Self { dtype, shape, bytes })
    }

    /// `[matrices, rows, columns]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
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
    pub fn matrix(&self, index: usize) -> Matrix<'_> {
        let [stack, rows, columns] = self.shape;
        assert!(index < stack, "matrix {index} of {stack}");
        let size = rows * self.dtype.row_bytes(columns);
        let bytes = &self.bytes.get()[index * size..(index + 1) * size];
        let Some(matrix) = Matrix::new(self.dtype, rows, columns, bytes) else {
            unreachable!("the sizes were checked by `new`")
        };
        matrix
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.shape)
    }
}
