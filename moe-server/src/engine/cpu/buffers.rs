//! Working memory that one layer leaves to the next: pages that come fresh from the system cost a prompt an eighth of its
//! time.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use moe_kernels::padded;

/// What is not in use now: at most as many as ever were at once, each as large as the largest that it was needed for.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<Vec<f32>>>,
}

/// Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer<'a> {
    home: &'a Buffers,
    values: Vec<f32>,
}

impl Buffers {
    /// `count` rows, `padded(columns)` apart. What lies between them is zero; they themselves hold anything, and are to be
    /// written before they are read.
    pub(super) fn rows(&self, count: usize, columns: usize) -> Buffer<'_> {
        let stride = padded(columns);
        let length = count * stride;
        let mut values = self.take(length);
        if values.capacity() < length {
            // Growing would copy what nobody wants.
            values = vec![0.0; length];
        }
        values.resize(length, 0.0);
        for row in values.chunks_exact_mut(stride.max(1)) {
            let (row, between) = row.split_at_mut(columns);
            if cfg!(debug_assertions) {
                row.fill(f32::NAN);
            }
            between.fill(0.0);
        }
        Buffer { home: self, values }
    }

    /// The smallest that is large enough, else the largest.
    fn take(&self, length: usize) -> Vec<f32> {
        let mut free = self.free();
        let sizes = || free.iter().map(Vec::capacity).enumerate();
        let fitting = sizes().filter(|(_, size)| *size >= length).min_by_key(|(_, size)| *size);
        let best = fitting.or_else(|| sizes().max_by_key(|(_, size)| *size)).map(|(index, _)| index);
        best.map_or_else(Vec::new, |index| free.swap_remove(index))
    }

    /// Nothing panics while it is locked.
    fn free(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.home.free().push(mem::take(&mut self.values));
    }
}

#[cfg(test)]
mod tests {
    use super::Buffers;

    #[test]
    fn the_smallest_that_fits_is_taken_and_as_many_are_kept_as_were_used_at_once() {
        let buffers = Buffers::default();
        for _ in 0..3 {
            let (large, small) = (buffers.rows(100, 16), buffers.rows(2, 16));
            assert_eq!((large.len(), small.len()), (1600, 32));
        }
        let sizes = || {
            let mut sizes: Vec<usize> = buffers.free().iter().map(Vec::capacity).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(), [32, 1600]);
        let small = buffers.rows(1, 16);
        assert_eq!(sizes(), [1600]);
        drop(small);
        // None is large enough: the largest makes room.
        drop(buffers.rows(200, 16));
        assert_eq!(sizes(), [32, 3200]);
    }

    #[test]
    fn between_the_rows_is_zero_whatever_was_there() {
        let buffers = Buffers::default();
        buffers.rows(4, 16).fill(7.0);
        let rows = buffers.rows(3, 10);
        assert_eq!(rows.len(), 48);
        for row in rows.chunks_exact(16) {
            assert_eq!(row[10..], [0.0; 6]);
        }
        assert!(buffers.rows(0, 0).is_empty());
    }
}
