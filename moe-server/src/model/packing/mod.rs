//! Weights in the layout that the kernels read. [`plan`] says what becomes of a tensor, [`convert`] does it, some rows
//! at a time: at start into [`memory`], or once and for all into a packed file.
//!
//! A packed file is a GGUF file whose tensors have types of our own and whose metadata are the model's and some keys of
//! ours ([`manifest`]). [`contents`] says what will be in it and where, [`writer`] writes it, [`partial`] is the file
//! until it is whole.

mod beside;
mod contents;
mod convert;
mod error;
mod header;
mod manifest;
mod memory;
mod partial;
mod plan;
mod verify;
mod writer;

pub(super) use beside::{beside, changed_source};
pub use contents::default_output;
pub use error::PackError;
pub(super) use manifest::{Manifest, SPECIAL_STARTS, TOKEN_TEXTS};
pub use memory::MemoryPlan;
pub(super) use memory::{available_memory, tensor};
pub use verify::verify;
pub use writer::{Event, PackOptions, Packed, pack};
