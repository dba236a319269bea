//! Prefill and decode: our engine and llama.cpp's library, both with the model loaded and asked in turn.

use std::cell::RefCell;

use super::bed::Bed;
use super::duel::{Better, Side, Title, duel};
use super::models::{LLAMA4, Mix, QWEN3, QWEN3_SHORT, Shape};
use super::talk::Talker;
use crate::bench::rows::{Row, Target};
use crate::failure::Result;

#[derive(Debug, Clone, Copy)]
enum Load {
    Prefill { tokens: usize },
    Decode { sequences: usize, steps: usize },
}

/// Tokens of each sequence before the steps that are timed.
const PROMPT: usize = 64;

impl Load {
    fn line(self, flash: Option<bool>) -> String {
        let flash = flash.map_or("", |on| if on { " 1" } else { " 0" });
        match self {
            Self::Prefill { tokens } => format!("prefill{flash} {tokens}"),
            Self::Decode { sequences, steps } => format!("decode{flash} {PROMPT} {sequences} {steps}"),
        }
    }

    fn tokens(self) -> f64 {
        match self {
            Self::Prefill { tokens } => tokens as f64,
            Self::Decode { sequences, steps } => (sequences * steps) as f64,
        }
    }
}

type Point = (&'static str, Load, Option<f64>);

/// One file and what is measured on it: name, load, the least ratio wanted.
struct Subject {
    host: &'static str,
    shape: Shape,
    mix: Mix,
    points: &'static [Point],
}

const fn decode(sequences: usize, steps: usize) -> Load {
    Load::Decode { sequences, steps }
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        host: "Llama-4-like Q4_K_M",
        shape: LLAMA4,
        mix: Mix::Q4_K_M,
        points: &[
            ("prefill 512", Load::Prefill { tokens: 512 }, Some(1.15)),
            ("prefill 2,048", Load::Prefill { tokens: 2048 }, Some(1.0)),
            ("decode, 1 sequence", decode(1, 32), Some(0.97)),
            ("decode, 8 sequences", decode(8, 16), Some(1.4)),
            ("decode, 32 sequences", decode(32, 8), Some(1.4)),
        ],
    },
    Subject {
        host: "Qwen3-MoE-like Q4_K_M",
        shape: QWEN3,
        mix: Mix::Q4_K_M,
        points: &[
            ("prefill 512", Load::Prefill { tokens: 512 }, Some(1.3)),
            ("decode, 1 sequence", decode(1, 32), Some(0.97)),
            ("decode, 8 sequences", decode(8, 16), Some(1.4)),
            ("decode, 32 sequences", decode(32, 8), Some(1.4)),
        ],
    },
    Subject {
        host: "Llama-4-like Q8_0",
        shape: LLAMA4,
        mix: Mix::Q8_0,
        points: &[
            ("prefill 512", Load::Prefill { tokens: 512 }, Some(2.5)),
            ("decode, 1 sequence", decode(1, 32), Some(0.97)),
            ("decode, 8 sequences", decode(8, 16), Some(1.4)),
        ],
    },
    Subject {
        host: "Qwen3-MoE-like Q8_0",
        shape: QWEN3_SHORT,
        mix: Mix::Q8_0,
        points: &[
            ("prefill 512", Load::Prefill { tokens: 512 }, Some(2.5)),
            ("decode, 1 sequence", decode(1, 32), Some(0.97)),
        ],
    },
];

/// The peer's settings, by name: repacked weights, flash attention.
const SETTINGS: [(&str, bool, bool); 4] = [
    ("llama.cpp", true, false),
    ("llama.cpp, flash attention", true, true),
    ("llama.cpp, no repacking", false, false),
    ("llama.cpp, no repacking, flash attention", false, true),
];

/// # Errors
/// A model cannot be made or a program fails.
pub(super) fn rows(bed: &mut Bed<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for subject in &SUBJECTS {
        let points: Vec<&Point> =
            subject.points.iter().filter(|(what, ..)| wanted(subject.host, what)).collect();
        if !points.is_empty() {
            rows.extend(subject.rows(bed, &points)?);
        }
    }
    Ok(rows)
}

impl Subject {
    fn rows(&self, bed: &mut Bed<'_>, points: &[&Point]) -> Result<Vec<Row>> {
        let file = self.shape.file(bed.setup, self.mix)?;
        let mut command = bed.timed(&bed.server);
        command.arg("bench").arg(bed.packed(&file)?).arg("--tokens").arg(&bed.tokens);
        command.args(["--stdin", "--repetitions", "1", "--threads", &bed.threads.to_string()]);
        let mut ours = Talker::start("moe-server bench", command)?;
        let program = bed.compiled("engine")?;
        let mut engines = Vec::new();
        for repack in ["0", "1"] {
            let mut command = bed.timed(&program);
            command.arg(&file).arg(&bed.tokens).arg(bed.threads.to_string()).arg(repack);
            engines.push(RefCell::new(Talker::start("llama.cpp", command)?));
        }
        let mut rows = Vec::new();
        for (what, load, target) in points {
            let title = Title {
                host: self.host,
                what,
                unit: "tokens/s",
                target: target.map(Target::AtLeast),
                better: Better::More,
            };
            let own = Side {
                name: "moe-server",
                run: Box::new(|| Ok(load.tokens() / ours.numbers(&load.line(None), "seconds")?[0])),
            };
            let peers = SETTINGS.map(|(name, repack, flash)| {
                let engine = &engines[usize::from(repack)];
                let line = load.line(Some(flash));
                let run = move || Ok(load.tokens() / engine.borrow_mut().numbers(&line, "seconds")?[0]);
                Side { name, run: Box::new(run) }
            });
            rows.extend(duel(bed, title, own, peers.into())?);
        }
        Ok(rows)
    }
}
