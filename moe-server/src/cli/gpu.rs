//! `moe-server gpu`: the GPU's kernels against the processor's, and how fast they are; and kernels for other machines.

mod kernels;

use super::args::UsageError;
use super::values::number;
use lexopt::{Arg, Parser, ValueExt};
use moe_cuda::check::{Report, card};
use moe_cuda::decode::{BUCKETS, Options as Layout, PROMPTS};
use moe_cuda::driver::Gpu;
use moe_cuda::kv::KvType;
use moe_cuda::model::Model;
use moe_cuda::random::{Recipe, model, scout};
use moe_cuda::table::{Prompt, Timing, prompt, time};
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Instant;

pub(crate) const HELP: &str = "\
Checks a GPU: every kernel against the processor's, and the speed of steps of Llama 4 Scout's shape.

usage: moe-server gpu check [options]
       moe-server gpu kernels FOLDER [options]

`check` needs NVIDIA's driver and NVRTC, no network and no model: weights are random, made on the GPU. The first run compiles the
kernels (some twenty seconds) and keeps them. A minute in all. The exit status is 0 where all is right.

  --device N        which GPU (0)
  --layers N        layers of the model (48, or as many as fit)
  --kv-type TYPE    what keys and values are rounded to: f16 or q8_0 (f16)
  --small           a small model and no timing: for compute-sanitizer
  --json            one line of JSON on the standard output

`kernels` compiles the kernels into FOLDER, without a GPU, for machines without NVRTC: MOE_KERNELS names it there.

  --architecture NAME   such as sm_90a; may be repeated (all: sm_80, sm_86, sm_89, sm_90a, sm_100, sm_120)
  --kv-type TYPE        f16 or q8_0; may be repeated (both)
  --heads DIMxGROUP     heads of so many dimensions, so many query heads to a KV head; may be repeated (128x5, 128x8, 32x4:
                        Llama 4, Qwen3-MoE, the demo model)
  --help
";

/// Tokens of context that the timed sequences have.
const CONTEXT: usize = 2048;
/// Timed steps of each batch size.
const STEPS: usize = 21;
/// Left free beside weights, for KV, buffers and the driver.
const SPARE: usize = 6 << 30;

/// What to do; see [`HELP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Options {
    Check(CheckOptions),
    Kernels(kernels::Options),
}

/// Does it.
///
/// # Errors
/// What went wrong and what to do.
pub(super) fn run(options: &Options) -> Result<(), String> {
    match options {
        Options::Check(options) => check(options),
        Options::Kernels(options) => kernels::compile(options),
    }
}

/// The options of `gpu check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckOptions {
    device: u16,
    layers: Option<usize>,
    kv_type: KvType,
    small: bool,
    json: bool,
}

/// Reads what follows `gpu`; None where help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Options>, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut options =
        CheckOptions { device: 0, layers: None, kv_type: KvType::F16, small: false, json: false };
    let mut said = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(word) if !said && word == "check" => said = true,
            Arg::Value(word) if !said && word == "kernels" => {
                return Ok(kernels::parse(&mut parser)?.map(Options::Kernels));
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("device") => options.device = number(&mut parser, "device", 0)?,
            Arg::Long("layers") => options.layers = Some(number(&mut parser, "layers", 1)?),
            Arg::Long("kv-type") => options.kv_type = kv_type(&mut parser)?,
            Arg::Long("small") => options.small = true,
            Arg::Long("json") => options.json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if said {
        Ok(Some(Options::Check(options)))
    } else {
        Err(UsageError("say what to do: `moe-server gpu check`, or `gpu kernels FOLDER`".to_owned()))
    }
}

fn kv_type(parser: &mut Parser) -> Result<KvType, UsageError> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|()| UsageError(format!("--kv-type {text}: give f16 or q8_0")))
}

/// All that is said of a card.
#[derive(Debug, Serialize)]
struct Findings {
    device: String,
    /// CUDA's version that the driver speaks.
    driver: String,
    capability: String,
    layers: usize,
    hidden: usize,
    context: usize,
    kv_type: String,
    right: bool,
    checks: Report,
    steps: Vec<Timing>,
    prompts: Vec<Prompt>,
    seconds: f32,
}

/// Why the GPU cannot be used, or that something is wrong, is its error.
fn check(options: &CheckOptions) -> Result<(), String> {
    let mut out = io::stdout();
    let result = find(options);
    let wrong = match &result {
        Ok(result) => {
            let shown = if options.json { json(result) } else { Ok(text(result)) };
            // Whoever reads it may have read enough.
            let _ = writeln!(out, "{}", shown?);
            (!result.right).then(|| {
                "the GPU computes something else than the processor; see what is WRONG above".to_owned()
            })
        }
        Err(error) => {
            if options.json {
                let _ = writeln!(out, "{}", json(&serde_json::json!({ "right": false, "error": error }))?);
            }
            Some(error.clone())
        }
    };
    wrong.map_or(Ok(()), Err)
}

fn json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(said)
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn find(options: &CheckOptions) -> Result<Findings, String> {
    let begun = Instant::now();
    let mut recipe = scout();
    if options.small {
        (recipe.shape.hidden, recipe.ff, recipe.shape.vocab, recipe.layers) = (1024, 1024, 4096, 4);
    }
    let shape = &recipe.shape;
    let group = shape.heads / shape.kv_heads;
    let gpu = Gpu::open(i32::from(options.device), shape.head_dim, group, options.kv_type).map_err(said)?;
    let say = |what: &str| {
        let _ = writeln!(io::stderr(), "{:6.1} s  {what}", begun.elapsed().as_secs_f32());
    };
    say(&format!("{}: compiling the kernels, or taking them from the cache", gpu.name()));
    gpu.prepare().map_err(said)?;
    recipe.layers = layers(&gpu, &recipe, options).map_err(said)?;
    say(&format!("random weights of {} layers, hidden size {}", recipe.layers, recipe.shape.hidden));
    let model: Model = model(&gpu, &recipe, 1).map_err(said)?;
    gpu.wait().map_err(said)?;
    let checks = card(&gpu, &model, 1, say).map_err(said)?;
    let mut steps = Vec::new();
    for sequences in BUCKETS.into_iter().filter(|_| !options.small) {
        say(&format!("steps of {sequences} sequences with {CONTEXT} tokens each"));
        steps.push(time(&gpu, &model, Layout::new(sequences, CONTEXT), sequences, STEPS).map_err(said)?);
    }
    let mut prompts = Vec::new();
    for rows in PROMPTS.into_iter().filter(|_| !options.small) {
        say(&format!("prompts of {rows} tokens"));
        prompts.push(prompt(&gpu, &model, rows).map_err(said)?);
    }
    let (major, minor) = gpu.capability();
    Ok(Findings {
        device: gpu.name().to_owned(),
        driver: format!("{}.{}", gpu.driver() / 1000, gpu.driver() % 1000 / 10),
        capability: format!("{major}.{minor}"),
        layers: recipe.layers,
        hidden: recipe.shape.hidden,
        context: CONTEXT,
        kv_type: options.kv_type.to_string(),
        right: checks.is_right(),
        checks,
        steps,
        prompts,
        seconds: begun.elapsed().as_secs_f32(),
    })
}

/// As many of the model's layers as fit, or as were asked for.
fn layers(gpu: &Gpu, recipe: &Recipe, options: &CheckOptions) -> Result<usize, moe_cuda::Error> {
    let (free, _) = gpu.memory()?;
    let (each, rest) = recipe.bytes();
    let fit = free.saturating_sub(rest + SPARE) / (each + recipe.kv_bytes(32 * CONTEXT, options.kv_type));
    match options.layers {
        Some(layers) => Ok(layers),
        None if fit == 0 => Err(moe_cuda::Error::OutOfMemory { wanted: rest + SPARE + each, free }),
        None => Ok(fit.min(recipe.layers)),
    }
}

fn text(result: &Findings) -> String {
    let mut lines = vec![format!(
        "{} (compute capability {}), driver for CUDA {}; {} layers of hidden size {}, random weights, keys and values in {}",
        result.device, result.capability, result.driver, result.layers, result.hidden, result.kv_type
    )];
    lines.extend(result.checks.verdicts.iter().map(ToString::to_string));
    if result.steps.is_empty() {
        return lines.join("\n");
    }
    lines.push(String::new());
    lines
        .push(format!("steps with {} tokens of context (median, least and most of {STEPS})", result.context));
    lines.push(" sequences        ms  least   most  tokens/s   GB/s".to_owned());
    for step in &result.steps {
        let [median, least, most] = step.step_ms;
        lines.push(format!(
            "{:10} {median:9.3} {least:6.2} {most:6.2} {:9.1} {:6.0}",
            step.sequences, step.tokens_per_second, step.gigabytes_per_second
        ));
    }
    lines.push(String::new());
    lines.push("kernels, µs (GB/s)".to_owned());
    let counts: Vec<String> = result.steps.iter().map(|step| format!("{:>14}", step.sequences)).collect();
    lines.push(format!("{:22}{}", "", counts.concat()));
    for (index, kernel) in
        result.steps.first().map(|step| &step.kernels[..]).unwrap_or_default().iter().enumerate()
    {
        let cells = result.steps.iter().map(|step| &step.kernels[index]);
        let cells: Vec<String> =
            cells.map(|k| format!("{:>8.1} ({:4.0})", k.microseconds, k.gigabytes_per_second)).collect();
        lines.push(format!("{:22}{}", kernel.name, cells.concat()));
    }
    lines.push(String::new());
    lines.push("prompts (median, least and most)".to_owned());
    for of in &result.prompts {
        let (rows, [ms, least, most], speed) = (of.rows, of.step_ms, of.tokens_per_second);
        lines.push(format!(
            "{rows:5} tokens: {ms:.1} ms ({least:.1}, {most:.1}), {speed:.0} tokens/s; µs (10^12 operations/s)"
        ));
        lines.extend(of.kernels.iter().map(|k| {
            format!("  {:22}{:>10.1} ({:4.0})", k.name, k.microseconds, k.tera_operations_per_second)
        }));
    }
    lines.push(String::new());
    let verdict = if result.right { "all is right" } else { "something is WRONG" };
    lines.push(format!("{verdict}; {:.0} s", result.seconds));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Options>, UsageError> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_read() {
        let usual = CheckOptions { device: 0, layers: None, kv_type: KvType::F16, small: false, json: false };
        assert_eq!(line("check"), Ok(Some(Options::Check(usual))));
        let all = CheckOptions { device: 1, layers: Some(4), kv_type: KvType::Q8_0, small: true, json: true };
        assert_eq!(
            line("check --device 1 --json --small --layers 4 --kv-type q8_0"),
            Ok(Some(Options::Check(all)))
        );
        assert_eq!(line("--help"), Ok(None));
        for wrong in
            ["", "chek", "check --device x", "check --layers 0", "check check", "check --kv-type f32"]
        {
            assert!(line(wrong).is_err(), "{wrong}");
        }
    }
}
