//! Matrix products alone: ours, ggml's, and for dense ones candle's.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Command;

use super::bed::Bed;
use super::duel::{Better, Side, Title, duel};
use super::talk::Talker;
use crate::bench::rows::{Row, Target};
use crate::failure::{Failure, Result};
use crate::process::run_attached;

/// A product at several numbers of tokens.
struct Subject {
    host: &'static str,
    op: &'static str,
    kind: &'static str,
    /// Sets of weights that are taken one after the other, for up to 8 tokens and for more: with few tokens the weights
    /// must not lie in a cache, as a model's do not.
    layers: (usize, usize),
    rows: usize,
    columns: usize,
    experts: usize,
    top_k: usize,
    /// What is measured, tokens, the least ratio wanted.
    points: &'static [(&'static str, usize, Option<f64>)],
}

const DENSE: Subject = Subject {
    host: "dense product, Q4_K, 3,328 × 2,048",
    op: "dense",
    kind: "Q4_K",
    layers: (48, 8),
    rows: 3328,
    columns: 2048,
    experts: 1,
    top_k: 1,
    points: &[
        ("1 token", 1, None),
        ("8 tokens", 8, None),
        ("32 tokens", 32, None),
        ("512 tokens", 512, None),
    ],
};

const EXPERTS: Subject = Subject {
    host: "MoE product, Q4_K, 1 of 16 experts",
    op: "experts",
    layers: (6, 2),
    experts: 16,
    points: &[("8 tokens", 8, Some(1.3)), ("32 tokens", 32, Some(1.5)), ("512 tokens", 512, Some(1.4))],
    ..DENSE
};

const UNJUDGED: &[(&str, usize, Option<f64>)] =
    &[("8 tokens", 8, None), ("32 tokens", 32, None), ("512 tokens", 512, None)];

const SUBJECTS: [Subject; 8] = [
    EXPERTS,
    Subject { host: "whole experts, Q4_K, 1 of 16", op: "ffn", layers: (2, 1), points: UNJUDGED, ..EXPERTS },
    Subject {
        host: "MoE product, Q4_K, 8 of 128 experts",
        rows: 768,
        experts: 128,
        top_k: 8,
        points: UNJUDGED,
        ..EXPERTS
    },
    Subject { host: "MoE product, Q8_0, 1 of 16 experts", kind: "Q8_0", points: UNJUDGED, ..EXPERTS },
    DENSE,
    Subject { host: "dense product, Q6_K, 3,328 × 2,048", kind: "Q6_K", ..DENSE },
    Subject { host: "dense product, Q8_0, 3,328 × 2,048", kind: "Q8_0", ..DENSE },
    Subject { host: "dense product, MXFP4, 3,328 × 2,048", kind: "MXFP4", ..DENSE },
];

/// Runs of a product that one value is the best of: they are short.
const REPETITIONS: usize = 5;

impl Subject {
    /// The request for a number of tokens; `repack` is a word that ggml's program wants.
    fn line(&self, repack: Option<&str>, tokens: usize) -> String {
        let Self { op, kind, rows, columns, experts, top_k, .. } = self;
        let layers = if tokens <= 8 { self.layers.0 } else { self.layers.1 };
        let repack = repack.map_or(String::new(), |word| format!(" {word}"));
        let line = format!("{op} {kind}{repack} {layers} {rows} {columns} {tokens} {REPETITIONS}");
        if *op == "dense" { line } else { format!("{line} {experts} {top_k}") }
    }

    /// Multiplications and additions of one set.
    fn operations(&self, tokens: usize) -> f64 {
        let products = if self.op == "ffn" { 3 } else { 1 };
        (2 * products * self.rows * self.columns * tokens * self.top_k) as f64
    }

    fn is_for_candle(&self) -> bool {
        self.op == "dense" && self.kind != "MXFP4"
    }
}

/// # Errors
/// A program cannot be built or fails.
pub(super) fn rows(bed: &mut Bed<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let wanted: Vec<_> = SUBJECTS
        .iter()
        .flat_map(|subject| subject.points.iter().map(move |point| (subject, point)))
        .filter(|(subject, (what, ..))| wanted(subject.host, what))
        .collect();
    if wanted.is_empty() {
        return Ok(rows);
    }
    let threads = bed.threads.to_string();
    let mut own = bed.timed(own_program(bed)?);
    own.arg(&threads);
    let mut own = Talker::start("our kernels", own)?;
    let mut ggml = bed.timed(bed.compiled("kernels")?);
    ggml.arg(&threads);
    let ggml = RefCell::new(Talker::start("ggml's kernels", ggml)?);
    let mut candle = None;
    if wanted.iter().any(|(subject, _)| subject.is_for_candle()) {
        let mut command = bed.timed(candle_program(bed)?);
        command.env("RAYON_NUM_THREADS", &threads);
        candle = Some(RefCell::new(Talker::start("candle's kernels", command)?));
    }
    for (subject, (what, tokens, target)) in wanted {
        let title = Title {
            host: subject.host,
            what,
            unit: "GOPS",
            target: target.map(Target::AtLeast),
            better: Better::More,
        };
        let side = |name, talker, repack| {
            let line = subject.line(repack, *tokens);
            let run = move || gops(subject, *tokens, &mut RefCell::borrow_mut(talker), &line);
            Side { name, run: Box::new(run) }
        };
        let mut peers = vec![side("ggml", &ggml, Some("1")), side("ggml, no repacking", &ggml, Some("0"))];
        if let Some(candle) = candle.as_ref().filter(|_| subject.is_for_candle()) {
            peers.push(side("candle", candle, None));
        }
        let line = subject.line(None, *tokens);
        let ours = Side { name: "moe-kernels", run: Box::new(|| gops(subject, *tokens, &mut own, &line)) };
        rows.extend(duel(bed, title, ours, peers)?);
    }
    Ok(rows)
}

/// 10⁹ operations a second, of the best run.
fn gops(subject: &Subject, tokens: usize, talker: &mut Talker, line: &str) -> Result<f64> {
    let ns = talker.numbers(line, "ns")?;
    Ok(subject.operations(tokens) / ns.into_iter().fold(f64::INFINITY, f64::min))
}

pub(super) fn own_program(bed: &Bed<'_>) -> Result<PathBuf> {
    let mut build = bed.setup.cargo("build");
    build.args(["--release", "--package", "moe-kernels", "--example", "timed"]);
    run_attached("cargo build of our kernels", build)?;
    Ok(bed.release.join("examples/timed"))
}

/// A workspace of its own: candle stays out of the repository's lock file.
pub(super) fn candle_program(bed: &Bed<'_>) -> Result<PathBuf> {
    let target = bed.folder.join("candle");
    let mut build: Command = bed.setup.cargo("build");
    build
        .args(["--release", "--locked", "--manifest-path"])
        .arg(bed.setup.root.join("bench/moe/candle/Cargo.toml"));
    // As llama.cpp is built; ours finds out at run time.
    build.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "-C target-cpu=native");
    run_attached("cargo build of candle's kernels", build)
        .map_err(|failure: Failure| failure.remedy("see that crates.io can be reached by cargo"))?;
    Ok(target.join("release/candle-kernels"))
}
