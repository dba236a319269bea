//! The arithmetic of MoE inference, alone: no allocation beyond scratch, no I/O, no threads but those of a [`Team`].
//!
//! [`packed`] multiplies quantised weights with quantised activations, in integers; [`matmul`] weights that lie row after
//! row, as the exact `f32` values that they stand for, with `f32` activations.
//!
//! **Invariant**: every output has one order of reduction, whatever the number of rows or tokens it is computed with. The
//! scalar code keeps it too, so all of [`Isa`]'s levels agree bit for bit as well. In [`matmul`] it is sixteen lanes (lane
//! `i` takes the elements `i`, `i + 16`, … with fused multiply-add), folded as a binary tree at the end; [`packed`] and
//! [`attention`] say theirs.

// Vectors pass through plain loops only: closures and iterator adaptors are compiled without the features of the function
// they stand in, and what is not inlined hands vectors over through memory.
#![allow(clippy::needless_range_loop)]

pub mod attention;
mod dot;
pub mod elementwise;
pub mod ggml;
mod isa;
pub mod matmul;
pub mod packed;
mod simd;
mod team;
pub mod weights;

pub use isa::Isa;
pub use team::Team;

/// Lanes of a vector, on every machine.
pub const LANES: usize = 16;

/// The least multiple of [`LANES`] that holds `n`: the stride of padded rows.
#[must_use]
pub const fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}
