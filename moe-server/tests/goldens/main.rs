//! The engine against Hugging Face's model, and against itself.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod failures;
mod generator;
mod gguf;
mod golden;
#[path = "../heldout/mod.rs"]
mod heldout;
mod kept;
mod llama4;
mod packed;
mod prefix;
mod quantised;
mod qwen3moe;
mod reference;
mod schedules;
mod trained;
mod truth;

/// Where the golden files are.
const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/goldens");
