//! The kernels on the processor, beside `moe-kernels`: `cargo xtask test gpu`.
#![expect(clippy::unwrap_used, reason = "this is a test suite")]

mod kernels;
mod kv;
mod many;
mod prompts;
