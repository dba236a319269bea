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
    /// Blocks of 32: an F16 scale, then 32 `i8`; an element is `scale · i8` in `f32`.
    Q8_0,
}

/// Elements of a Q8_0 block.
const Q8_BLOCK: usize = 32;
/// Bytes of a Q8_0 block.
const Q8_BYTES: usize = 2 + Q8_BLOCK;

impl DType {
    /// Elements that must be together: a row's length is a multiple.
    #[must_use]
    pub const fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 => Q8_BLOCK,
        }
    }

    /// Bytes of such a block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => Q8_BYTES,
        }
    }

    /// Bytes of a row of `columns` elements.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> usize {
        columns / self.block_elements() * self.block_bytes()
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
        let whole = columns.is_multiple_of(dtype.block_elements());
        let fits = dtype.row_bytes(columns).checked_mul(rows) == Some(bytes.len());
        (whole && fits).then_some(Self { dtype, rows, columns, bytes })
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
            DType::Q8_0 => {
                for (o, b) in out.as_chunks_mut::<Q8_BLOCK>().0.iter_mut().zip(row.as_chunks::<Q8_BYTES>().0)
                {
                    let scale = f16_to_f32(u16::from_le_bytes([b[0], b[1]]));
                    for (o, q) in o.iter_mut().zip(&b[2..]) {
                        *o = scale * f32::from(q.cast_signed());
                    }
                }
            }
        }
    }
}

/// Reads sixteen elements of a row at a time.
pub(crate) trait Decode {
    /// Bytes of the unit in which a row is cut into whole vectors, and how many vectors that is.
    const UNIT_BYTES: usize;
    const UNIT_VECTORS: usize;

    /// Vector `index` of a unit.
    ///
    /// # Safety
    /// `UNIT_BYTES` bytes can be read at `unit`, and `index < UNIT_VECTORS`.
    unsafe fn vector<V: Vector>(unit: *const u8, index: usize) -> V;
}

macro_rules! plain {
    ($name:ident, $bytes:literal, $load:ident) => {
        pub(crate) struct $name;

        impl Decode for $name {
            const UNIT_BYTES: usize = $bytes * LANES;
            const UNIT_VECTORS: usize = 1;

            #[inline(always)]
            unsafe fn vector<V: Vector>(unit: *const u8, _: usize) -> V {
                // SAFETY: the unit is this long, by the contract.
                V::$load(unsafe { &*unit.cast() })
            }
        }
    };
}

plain!(F32, 4, load_f32);
plain!(F16, 2, load_f16);
plain!(Bf16, 2, load_bf16);

pub(crate) struct Q8;

impl Decode for Q8 {
    const UNIT_BYTES: usize = Q8_BYTES;
    const UNIT_VECTORS: usize = Q8_BLOCK / LANES;

    #[inline(always)]
    unsafe fn vector<V: Vector>(unit: *const u8, index: usize) -> V {
        // SAFETY: scale and both halves lie inside the unit, by the contract.
        let (scale, values) = unsafe { (&*unit.cast(), &*unit.add(2 + LANES * index).cast()) };
        V::load_i8(values).mul(V::splat(f16_to_f32(u16::from_le_bytes(*scale))))
    }
}
