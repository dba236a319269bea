//! Packed files: weights in the layout that the kernels read ([`super::weights`]), written once and for all.
//!
//! A packed file is a GGUF file whose tensors have types of our own and whose metadata are the model's and some keys of
//! ours ([`manifest`]). [`contents`] says what will be in it and where, [`writer`] writes it, [`partial`] is the file
//! until it is whole.

mod beside;
mod contents;
mod error;
mod header;
mod manifest;
mod partial;
mod verify;
mod writer;

pub(crate) use beside::{beside, changed_source};
pub use contents::default_output;
pub use error::PackError;
pub(crate) use manifest::Manifest;
pub use verify::verify;
pub use writer::{Event, PackOptions, Packed, pack};
