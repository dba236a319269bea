//! What computes.

use moe_kernels::Isa;

use super::{buffers::Buffers, pool::Pool};

/// Threads, working memory, instructions and arithmetic of one engine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine<'a> {
    pub(super) pool: &'a Pool,
    pub(super) buffers: &'a Buffers,
    pub(super) isa: Isa,
    /// Whether quantised weights are multiplied as the `f32` values that they stand for ([`super::Arithmetic::Exact`]).
    pub(super) is_exact: bool,
}
