//! `cargo xtask bench moe`: the MoE server beside llama.cpp, on the same files, threads and tokens.
//!
//! Both sides take turns; what counts is the ratio within a round, to the peer's best setting at that point.

mod bed;
mod duel;
mod engines;
mod kernels;
mod models;
mod servers;
mod talk;
mod text;

use std::fs;
use std::path::PathBuf;

use super::rows;
use crate::failure::{At, Failure, Result};
use crate::setup::{Setup, compiler};
use bed::Bed;
use models::{LLAMA4, Mix, QWEN3, QWEN3_SHORT, TEXT};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Compute threads of either side; as many as there are processors.
    pub(crate) threads: Option<usize>,
    /// Only the rows whose name has this in it.
    pub(crate) only: Option<String>,
    /// Make everything ready and measure nothing.
    pub(crate) prepare: bool,
    /// Run what is timed at real-time priority.
    pub(crate) realtime: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { json: None, rounds: 6, threads: None, only: None, prepare: false, realtime: false }
    }
}

/// # Errors
/// The peer or a model cannot be made, or a program fails.
pub(crate) fn moe(setup: &Setup, options: &Options) -> Result<()> {
    let peer = setup.peer()?;
    let mut bed = Bed::new(setup, peer, options)?;
    if options.prepare {
        return prepare(&bed);
    }
    let wanted = |host: &str, what: &str| {
        options.only.as_ref().is_none_or(|only| format!("{host}: {what}").contains(only))
    };
    let mut rows = engines::rows(&mut bed, &wanted)?;
    rows.extend(kernels::rows(&mut bed, &wanted)?);
    rows.extend(servers::rows(&mut bed, &wanted)?);
    rows.extend(text::rows(&mut bed, &wanted)?);
    if rows.is_empty() {
        return Err(Failure::new("there is no such row")
            .remedy("see the last table in bench/README.md for their names"));
    }
    println!("{}{}", rows::DUELS, rows::duels(&rows));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!(
        "{} rounds, {} threads; load average at the end: {}; {}",
        options.rounds,
        bed.threads,
        load.trim(),
        compiler().unwrap_or_default()
    );
    if let Some(file) = &options.json {
        fs::write(file, rows::json(&rows)).at("write", file)?;
    }
    Ok(())
}

/// Builds every program and writes every model, so that a run with `--only` starts at once.
fn prepare(bed: &Bed<'_>) -> Result<()> {
    bed.compiled("engine")?;
    kernels::own_program(bed)?;
    kernels::candle_program(bed)?;
    for (shape, mix) in [
        (LLAMA4, Mix::Q4_K_M),
        (LLAMA4, Mix::Q8_0),
        (QWEN3, Mix::Q4_K_M),
        (QWEN3_SHORT, Mix::Q8_0),
        (TEXT, Mix::Q4_K_M),
        (TEXT, Mix::Q8_0),
    ] {
        let file = shape.file(bed.setup, mix)?;
        eprintln!("{}\n{}", file.display(), bed.packed(&file)?.display());
    }
    Ok(())
}
