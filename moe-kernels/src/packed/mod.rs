//! Quantised weights in the layout that the kernels read: tiles of [`TILE_ROWS`] rows, interleaved so that a vector holds
//! the same columns of all of them.
//!
//! A packed matrix is tile after tile, and a tile block after block (of 256 or 32 columns, with its scales: one stream is what
//! memory delivers fastest; two were seen to take about twice as long). It takes as many bytes as
//! ggml's rows do, but for the rows that fill up the last tile: those are zero.

mod activations;
mod kernels;
mod output;
mod pack;
mod product;

pub use activations::{Grain, PANEL, PanelMut, Panels, Row, quantise};
pub use output::Columns;
pub use pack::pack;
pub use product::{gated, product};

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;

/// The formats that have kernels, by ggml's names. Every other one is converted when packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "ggml's own names")]
pub enum PackedType {
    Q4_K,
    Q6_K,
    Q8_0,
    MXFP4,
}

impl PackedType {
    pub const ALL: [Self; 4] = [Self::Q4_K, Self::Q6_K, Self::Q8_0, Self::MXFP4];

    /// Columns of a block; a row is a whole number of blocks.
    #[must_use]
    pub const fn block_columns(self) -> usize {
        match self {
            Self::Q4_K | Self::Q6_K => 256,
            Self::Q8_0 | Self::MXFP4 => 32,
        }
    }

    /// Bytes of one row's block, in ggml's layout.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_K => 144,
            Self::Q6_K => 210,
            Self::Q8_0 => 34,
            Self::MXFP4 => 17,
        }
    }

    /// Bytes of a row in ggml's layout.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> usize {
        columns / self.block_columns() * self.block_bytes()
    }

    /// Bytes of a tile.
    #[must_use]
    pub const fn tile_bytes(self, columns: usize) -> usize {
        self.row_bytes(columns) * TILE_ROWS
    }

    /// Bytes of a packed matrix; `None` where the columns are no whole number of blocks or no machine could hold it.
    #[must_use]
    pub const fn matrix_bytes(self, rows: usize, columns: usize) -> Option<usize> {
        if !columns.is_multiple_of(self.block_columns()) {
            return None;
        }
        match (columns / self.block_columns()).checked_mul(self.block_bytes() * TILE_ROWS) {
            Some(tile) => rows.div_ceil(TILE_ROWS).checked_mul(tile),
            None => None,
        }
    }
}

/// A matrix of `rows × columns` in packed layout.
#[derive(Debug, Clone, Copy)]
pub struct PackedMatrix<'a> {
    packed_type: PackedType,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
}

impl<'a> PackedMatrix<'a> {
    /// `None` where the bytes do not fit the shape.
    #[must_use]
    pub fn new(packed_type: PackedType, rows: usize, columns: usize, bytes: &'a [u8]) -> Option<Self> {
        let fits = packed_type.matrix_bytes(rows, columns)? == bytes.len();
        fits.then_some(Self { packed_type, rows, columns, bytes })
    }

    #[must_use]
    pub fn packed_type(&self) -> PackedType {
        self.packed_type
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Tiles, the last of which may be part empty.
    #[must_use]
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    pub(crate) fn tile(&self, index: usize) -> &'a [u8] {
        let size = self.packed_type.tile_bytes(self.columns);
        &self.bytes[index * size..(index + 1) * size]
    }
}
