//! `moe-server plan`: what of a model has room where, before it is loaded.

mod print;

use super::args::UsageError;
use super::values::{device, gibibytes, kv_type, number};
use lexopt::{Arg, Parser, ValueExt};
use moe_server::engine::cpu::KvType;
use moe_server::engine::cuda::{self, Card, CudaOptions};
use moe_server::load::DeviceChoice;
use moe_server::model::decoder::Config;
use moe_server::plan::{CARDS, ModelPlan, Outcome, Place, Wish, available_memory};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Tells whether a model has room on a GPU, or on the processor, from its file's header: nothing is loaded, and no GPU need be here.

usage: moe-server plan MODEL.gguf [options]

Without --device and --memory: a table for cards of 24, 48, 80 and 141 GB. The exit status is 0 where the model has room (in the
table: somewhere), 1 where it has not, 2 where nothing can be told.

  --device WHAT    cuda:N, a GPU of this machine, which is asked for its memory; cpu, the processor; auto, the first GPU where
                   there is one, else the processor
  --memory GIB     plan for a card with so much memory free (with --device cpu: for a machine)
  --context N      longest prompt and answer together, in tokens (as `serve` has it)
  --kv-type TYPE   what keys and values are rounded to, as for `serve` (f16)
  --max-batch N    requests that are computed together (32)
  --json           one line of JSON
  --help
";

/// See [`HELP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    model: PathBuf,
    device: Option<DeviceChoice>,
    /// Bytes.
    memory: Option<usize>,
    wish: Wish,
    json: bool,
}

/// Reads what follows `plan`; None where help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Options>, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut models = Vec::new();
    let wish = Wish { context: None, kv_type: KvType::F16, max_batch: 32 };
    let mut options = Options { model: PathBuf::new(), device: None, memory: None, wish, json: false };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(model) => models.push(model),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("device") => options.device = Some(device(&parser.value()?.string()?)?),
            Arg::Long("memory") => options.memory = Some(gibibytes(&mut parser, "memory")?),
            Arg::Long("context") => options.wish.context = Some(number(&mut parser, "context", 2)?),
            Arg::Long("kv-type") => options.wish.kv_type = kv_type(&parser.value()?.string()?)?,
            Arg::Long("max-batch") => options.wish.max_batch = number(&mut parser, "max-batch", 1)?,
            Arg::Long("json") => options.json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let mut models = models.into_iter();
    match (models.next(), models.next()) {
        (Some(model), None) => options.model = model.into(),
        (None, _) => return Err(UsageError("`plan` wants a model: a GGUF file".to_owned())),
        (_, Some(more)) => {
            return Err(UsageError(format!("`plan` takes one model, and {} is a second", more.display())));
        }
    }
    Ok(Some(options))
}

/// A place and what becomes of the model there.
struct Planned {
    /// What the place is called.
    name: String,
    place: Place,
    outcome: Outcome,
    advice: Vec<String>,
}

impl Planned {
    fn fits(&self) -> bool {
        matches!(self.outcome, Outcome::Fits { .. })
    }
}

/// Plans and prints. Whether there is room.
///
/// # Errors
/// Why nothing can be told, and what to do.
pub(super) fn run(options: &Options) -> Result<bool, String> {
    let model = ModelPlan::open(&options.model).map_err(|error| error.to_string())?;
    let places = places(options, model.config())?;
    let wish = &options.wish;
    let mut planned = Vec::new();
    for (name, place) in places {
        let known = place.kv_types();
        if !known.contains(&wish.kv_type) {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(format!(
                "--kv-type {}: keys and values on a GPU are of type {}; give one of these",
                wish.kv_type,
                known.join(" or ")
            ));
        }
        let outcome = model.outcome(place, wish);
        let advice = model.advice(place, wish, &outcome);
        planned.push(Planned { name, place, outcome, advice });
    }
    let text = if options.json {
        print::json(options, &model, &planned)
    } else {
        print::text(options, &model, &planned)
    };
    // Whoever reads it may have read enough.
    let _ = writeln!(io::stdout(), "{text}");
    Ok(planned.iter().any(Planned::fits))
}

/// What is asked for, each with a name.
fn places(options: &Options, config: &Config) -> Result<Vec<(String, Place)>, String> {
    let card = |ordinal: u16| {
        let asked = cuda::card(ordinal, config).map_err(|error| error.to_string());
        asked.map(|(name, card)| (format!("cuda:{ordinal}, {name}"), Place::Gpu(card)))
    };
    let cpu = || {
        let memory = available_memory();
        let memory = memory.ok_or("this system does not tell how much memory is available: give --memory")?;
        Ok::<_, String>(("cpu".to_owned(), Place::Cpu { memory }))
    };
    let one = match (options.device, options.memory) {
        (None, None) => {
            let cards = CARDS.map(|(name, memory)| (name.to_owned(), Place::Gpu(Card::with_memory(memory))));
            return Ok(cards.into());
        }
        (Some(DeviceChoice::Cpu), Some(memory)) => ("cpu".to_owned(), Place::Cpu { memory }),
        (_, Some(memory)) => ("a GPU".to_owned(), Place::Gpu(Card::with_memory(memory))),
        (Some(DeviceChoice::Cpu), None) => cpu()?,
        (Some(DeviceChoice::Cuda(ordinal)), None) => card(ordinal).map_err(|error| {
            format!("{error}; to plan for a card that is not here, give --memory in the place of --device")
        })?,
        (Some(DeviceChoice::Auto), None) if !CudaOptions::KV_TYPES.contains(&options.wish.kv_type) => cpu()?,
        (Some(DeviceChoice::Auto), None) => card(0).or_else(|_| cpu())?,
    };
    Ok(vec![one])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Options>, UsageError> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_read() {
        let wish = Wish { context: None, kv_type: KvType::F16, max_batch: 32 };
        let usual = Options { model: "m".into(), device: None, memory: None, wish, json: false };
        assert_eq!(line("m"), Ok(Some(usual.clone())));
        let all = Options {
            device: Some(DeviceChoice::Cpu),
            memory: Some(3 << 29),
            wish: Wish { context: Some(9), kv_type: KvType::Q8_0, max_batch: 2 },
            json: true,
            ..usual
        };
        let text = "--device cpu --memory 1.5 m --context 9 --kv-type q8_0 --max-batch 2 --json";
        assert_eq!(line(text), Ok(Some(all)));
        assert_eq!(line("--help"), Ok(None));
        for (text, part) in [
            ("", "wants a model"),
            ("a b", "b is a second"),
            ("m --memory 0", "--memory 0"),
            ("m --memory -1", "--memory -1"),
            ("m --memory inf", "--memory inf"),
            ("m --memory 80GB", "GiB"),
            ("m --device gpu", "cuda:N"),
            ("m --context 1", "at least 2"),
            ("m --max-batch 0", "at least 1"),
            ("m --kv-type q4_0", "q8_0 or f32"),
            ("m --port 1", "--port"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.0.contains(part), "{text}: {error}");
        }
    }
}
