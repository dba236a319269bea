//! Results token after token, of which several threads write different columns.

use std::marker::PhantomData;

use super::TILE_ROWS;

/// A view of some columns of a matrix that lies row after row (here a row is a token).
#[derive(Debug)]
pub struct Columns<'a> {
    start: *mut f32,
    stride: usize,
    rows: usize,
    columns: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view is the only way to its columns while it lives, as `&mut [f32]` is to its elements.
unsafe impl Send for Columns<'_> {}

impl<'a> Columns<'a> {
    /// The first `columns` of rows that are `stride` apart.
    ///
    /// # Panics
    /// Where `columns` is more than `stride`, or `matrix` no whole number of rows.
    #[must_use]
    pub fn new(matrix: &'a mut [f32], stride: usize, columns: usize) -> Self {
        assert!(columns <= stride && matrix.len().is_multiple_of(stride.max(1)), "rows of {stride}");
        let rows = matrix.len() / stride.max(1);
        Self { start: matrix.as_mut_ptr(), stride, rows, columns, matrix: PhantomData }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The first `at` columns, and the others.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.columns, "column {at} of {}", self.columns);
        let Self { start, stride, rows, columns, matrix } = self;
        // Wrapping: without rows there is no memory to point into.
        let after = start.wrapping_add(at);
        (
            Self { start, stride, rows, columns: at, matrix },
            Self { start: after, stride, rows, columns: columns - at, matrix },
        )
    }

    /// Writes row `row` from column `column` on, as far as the view goes.
    ///
    /// # Panics
    /// Where there is no such row or column.
    #[inline(always)]
    pub(super) fn put(&mut self, row: usize, column: usize, values: &[f32; TILE_ROWS]) {
        assert!(row < self.rows && column < self.columns, "row {row}, column {column}");
        let count = TILE_ROWS.min(self.columns - column);
        // SAFETY: row and columns lie inside the view, which alone may touch them.
        unsafe {
            let to = self.start.add(row * self.stride + column);
            std::ptr::copy_nonoverlapping(values.as_ptr(), to, count);
        }
    }
}
