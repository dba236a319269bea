//! `cargo xtask bench moe`: the MoE server beside llama.cpp, on the same files, threads and tokens.

mod models;

use std::path::PathBuf;

use crate::failure::Result;
use crate::setup::Setup;
use models::{LLAMA4, Mix, QWEN3, QWEN3_SHORT, TEXT};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Only the rows whose name has this in it.
    pub(crate) only: Option<String>,
    /// Make everything ready and measure nothing.
    pub(crate) prepare: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { json: None, rounds: 5, only: None, prepare: false }
    }
}

/// # Errors
/// The peer or a model cannot be made, or a program fails.
pub(crate) fn moe(setup: &Setup, options: &Options) -> Result<()> {
    for (shape, mix) in [
        (LLAMA4, Mix::Q4_K_M),
        (LLAMA4, Mix::Q8_0),
        (QWEN3, Mix::Q4_K_M),
        (QWEN3_SHORT, Mix::Q8_0),
        (TEXT, Mix::Q4_K_M),
        (TEXT, Mix::Q8_0),
    ] {
        eprintln!("{}", shape.file(setup, mix)?.display());
    }
    let peer = setup.peer()?;
    Ok(())
}
