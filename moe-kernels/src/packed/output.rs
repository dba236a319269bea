//! Results token after token, of which several threads write different columns.

use std::{marker::PhantomData, ops::Range};

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

    /// Some of its columns, for a while.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn part(&mut self, columns: Range<usize>) -> Columns<'_> {
        assert!(columns.start <= columns.end && columns.end <= self.columns, "columns {columns:?}");
        let start = self.start.wrapping_add(columns.start);
        Columns { start, stride: self.stride, rows: self.rows, columns: columns.len(), matrix: PhantomData }
    }

    /// One row.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    #[must_use]
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the row's columns lie inside the view, which alone may touch them and is borrowed as long.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns) }
    }
}
