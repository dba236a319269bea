//! Weights in the layout that the kernels read. [`plan`] says what becomes of a tensor, [`convert`] does it, some rows
//! at a time; [`memory`] at start, where a model was not packed before.

mod convert;
mod memory;
mod plan;

pub use memory::MemoryPlan;
pub(super) use memory::tensor;
