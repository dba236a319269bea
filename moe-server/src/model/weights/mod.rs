//! Weights in the layout that the kernels read ([`Tensor`]). `plan` says what becomes of a file's tensor, `convert` does it,
//! some rows at a time: at start into `memory`, or once and for all into a packed file ([`super::packing`]).

mod convert;
mod error;
mod memory;
mod outline;
mod plan;
mod tensor;

pub(super) use convert::{Piece, convert, pieces};
pub use error::ModelError;
pub(super) use memory::tensor;
pub use memory::{MemoryPlan, available_memory};
pub use outline::Outline;
pub(super) use plan::Plan;
pub use tensor::{Layout, Tensor, TensorBytes, Weights};
