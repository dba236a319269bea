//! How weights are stored, and what they mean.

use crate::{
    LANES,
    simd::{Vector, f16_to_f32},
};

/// The element types the kernels read (ggml's formats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    F32,
    F16,
    BF16,
}

impl DType {
    /// Bytes of an element.
    #[must_use]
    pub const fn element_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// Bytes of a row of `columns` elements.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> usize {
        columns * self.element_bytes()
    }
}

/// A matrix of `rows × columns`, row after row.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    dtype: DType,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// `None` where the bytes do not fit the shape.
    #[must_use]
    pub fn new(dtype: DType, rows: usize, columns: usize, bytes: &'a [u8]) -> Option<Self> {
        let row = columns.checked_mul(dtype.element_bytes())?;
        let fits = row.checked_mul(rows) == Some(bytes.len());
        fits.then_some(Self { dtype, rows, columns, bytes })
    }

    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The bytes of row `index`.
    ///
    /// # Panics
    /// Where there is no such row.
    #[must_use]
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [u8] {
        let bytes = self.dtype.row_bytes(self.columns);
        &self.bytes[index * bytes..(index + 1) * bytes]
    }

    /// The bytes from row `index` on.
    pub(crate) fn rows_from(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.dtype.row_bytes(self.columns)..]
    }

    /// Row `index` as `f32`: the first `columns` of `out`.
    ///
    /// # Panics
    /// Where there is no such row or `out` is shorter than a row.
    #[inline(always)]
    pub fn dequantise_row(&self, index: usize, out: &mut [f32]) {
        let row = self.row(index);
        let out = &mut out[..self.columns];
        match self.dtype {
            DType::F32 => {
                for (o, b) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                    *o = f32::from_le_bytes(*b);
                }
            }
            DType::F16 => {
                for (o, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                    *o = f16_to_f32(u16::from_le_bytes(*b));
                }
            }
            DType::BF16 => {
                for (o, b) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                    *o = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                }
            }
        }
    }
}

/// Reads sixteen elements of a row at a time.
pub(crate) trait Decode {
    /// Bytes of so many elements.
    const UNIT_BYTES: usize;

    /// # Safety
    /// `UNIT_BYTES` bytes can be read at `unit`.
    unsafe fn vector<V: Vector>(unit: *const u8) -> V;
}

macro_rules! plain {
    ($name:ident, $bytes:literal, $load:ident) => {
        pub(crate) struct $name;

        impl Decode for $name {
            const UNIT_BYTES: usize = $bytes * LANES;

            #[inline(always)]
            unsafe fn vector<V: Vector>(unit: *const u8) -> V {
                // SAFETY: the unit is this long, by the contract.
                V::$load(unsafe { &*unit.cast() })
            }
        }
    };
}

plain!(F32, 4, load_f32);
plain!(F16, 2, load_f16);
plain!(Bf16, 2, load_bf16);
