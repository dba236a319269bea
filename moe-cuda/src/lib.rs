//! The arithmetic of MoE inference on NVIDIA GPUs, alone.
//!
//! The kernels are CUDA C++ (`kernels/`), compiled by NVRTC on the machine and cached. They read moe-kernels' packed tiles
//! as they lie. Products and what is quantised equal moe-kernels' **to the bit**: a block's products are exact integers, and
//! blocks are added in one order. Norms, attention and the router's logits keep orders of their own, within a bound, and do
//! not depend on the batch either.
//!
//! [`device`] is what the rest needs of a GPU: the driver's library ([`driver`]), or in tests a processor that emulates the
//! kernels, or one that only counts memory ([`tally`]). [`decode`] runs a step of a [`model`]; [`check`] compares it with moe-kernels, [`table`] times it.

pub mod check;
pub mod compile;
pub mod cubins;
pub mod decode;
pub mod device;
pub mod driver;
#[cfg(feature = "emulation")]
pub mod emulation;
pub mod error;
pub mod kv;
pub mod layout;
pub mod model;
pub mod random;
mod reference;
pub mod table;
pub mod tally;

pub use error::Error;
