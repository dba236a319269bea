//! The fair text check: how far quantised models are from the model of their weights in F32, ours and llama.cpp's.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bed::Bed;
use super::models::{Mix, TEXT};
use super::talk::Talker;
use crate::bench::rows::{Row, Target};
use crate::cache::Step;
use crate::failure::{At, Failure, Result};
use crate::process::run_tool;

/// Positions.
const TOKENS: usize = 384;
const KL: &str = "forced text: mean KL divergence from F32";
const TOP: &str = "forced text: other first choice where F32's is clear";
/// A choice is clear where the two best logits of the F32 model lie apart by more than so many times the noise.
const CLEAR: f64 = 5.0;

/// # Errors
/// A model cannot be made or a program fails.
pub(super) fn rows(bed: &mut Bed<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (host, mix) in
        [("Llama-4-like, small, Q4_K_M", Mix::Q4_K_M), ("Llama-4-like, small, Q8_0", Mix::Q8_0)]
    {
        if !wanted(host, KL) && !wanted(host, TOP) {
            continue;
        }
        eprintln!("{host}: text");
        let file = TEXT.file(bed.setup, mix)?;
        let exact = dequantised(bed, mix, &file)?;
        let reference = theirs(bed, &exact, "0", "f32")?;
        // Whatever llama.cpp is best at: with or without repacking.
        let mut best = Difference::default();
        for repack in ["0", "1"] {
            let other = Difference::of(&reference, &theirs(bed, &file, repack, "peer")?)?;
            if repack == "0" || other.kl < best.kl {
                best = other;
            }
        }
        let packed = bed.packed(&file)?;
        let own = Difference::of(&reference, &ours(bed, &packed)?)?;
        let wrong = own.wrong_where_clear(best.noise);
        let base = [best.kl * 1e3];
        rows.push(Row::compared(
            (host, KL),
            "moe-server",
            "millinats",
            &[own.kl * 1e3],
            &base,
            Some(Target::AtMost(1.1)),
        ));
        rows.push(Row::compared((host, KL), "llama.cpp", "millinats", &base, &base, None));
        let target = Some(Target::AtMost(0.0));
        rows.push(Row::compared((host, TOP), "moe-server", "positions", &[wrong], &[TOKENS as f64], target));
    }
    Ok(rows)
}

/// The same weights in F32, by the peer's own arithmetic.
fn dequantised(bed: &Bed<'_>, mix: Mix, file: &Path) -> Result<PathBuf> {
    let pins = file.display().to_string();
    let folder = format!("model-{}-{mix:?}-f32", TEXT.name).to_lowercase();
    let step = Step {
        folder: &folder,
        what: &format!("{} in {mix:?} as F32", TEXT.name),
        cost: "1.7 GB on disk",
        pins: &[&pins],
        remedy: "see that the disk has 2 GB free",
    };
    let folder = bed.setup.cache.install(&step, |partial| {
        let mut command = Command::new(bed.peer.program("llama-quantize"));
        command.arg("--allow-requantize").arg(file).arg(partial.join("model.gguf")).arg("F32");
        run_tool("llama-quantize", command)
    })?;
    Ok(folder.join("model.gguf"))
}

fn theirs(bed: &Bed<'_>, file: &Path, repack: &str, name: &str) -> Result<PathBuf> {
    let logits = bed.folder.join(format!("logits-{name}"));
    let mut command = bed.timed(bed.compiled("engine")?);
    command.arg(file).arg(&bed.tokens).arg(bed.threads.to_string()).arg(repack);
    Talker::start("llama.cpp", command)?.ask(&format!("logits 0 {TOKENS} {}", logits.display()))?;
    Ok(logits)
}

fn ours(bed: &Bed<'_>, file: &Path) -> Result<PathBuf> {
    let logits = bed.folder.join("logits-own");
    let mut command = bed.timed(&bed.server);
    command.arg("bench").arg(file).arg("--tokens").arg(&bed.tokens).arg("--stdin");
    command.args(["--repetitions", "1", "--threads", &bed.threads.to_string()]);
    Talker::start("moe-server bench", command)?.ask(&format!("logits {TOKENS} {}", logits.display()))?;
    Ok(logits)
}

/// How far some logits are from those of the F32 model.
#[derive(Debug, Default)]
struct Difference {
    /// Mean over the positions, in nats.
    kl: f64,
    /// Root of the mean square of a logit's difference, the mean of a position's taken off.
    noise: f64,
    positions: Vec<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Position {
    kl: f64,
    /// Mean square of the differences less their mean.
    square: f64,
    /// By how much the F32 model's first choice is ahead of its second.
    margin: f64,
    same_choice: bool,
}

impl Difference {
    fn of(reference: &Path, other: &Path) -> Result<Self> {
        let (mut reference, mut other) = (Rows::open(reference)?, Rows::open(other)?);
        let mut positions = Vec::new();
        for _ in 0..TOKENS {
            positions.push(Position::new(&reference.next()?, &other.next()?));
        }
        let mean = |of: fn(&Position) -> f64| positions.iter().map(of).sum::<f64>() / TOKENS as f64;
        let (kl, noise) = (mean(|position| position.kl), mean(|position| position.square).sqrt());
        Ok(Self { kl, noise, positions })
    }

    /// Positions of another first choice where it was clear, with this noise.
    fn wrong_where_clear(&self, noise: f64) -> f64 {
        let wrong = |position: &&Position| position.margin > CLEAR * noise && !position.same_choice;
        self.positions.iter().filter(wrong).count() as f64
    }
}

impl Position {
    fn new(reference: &[f32], other: &[f32]) -> Self {
        let (p, q) = (log_softmax(reference), log_softmax(other));
        let kl = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        let differences: Vec<f64> =
            reference.iter().zip(other).map(|(a, b)| f64::from(*b) - f64::from(*a)).collect();
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let square = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count;
        let (first, margin) = best(reference);
        Self { kl, square, margin, same_choice: best(other).0 == first }
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    let shift = f64::from(most) + sum.ln();
    logits.iter().map(|logit| f64::from(*logit) - shift).collect()
}

/// The first of the greatest, and by how much it is ahead of all others.
fn best(logits: &[f32]) -> (usize, f64) {
    let (mut index, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (i, logit) in logits.iter().copied().enumerate() {
        if logit > first {
            (index, second, first) = (i, first, logit);
        } else {
            second = second.max(logit);
        }
    }
    (index, f64::from(first) - f64::from(second))
}

/// A file of F32 in rows, as many as there are positions.
struct Rows {
    file: BufReader<File>,
    path: PathBuf,
    row: Vec<u8>,
}

impl Rows {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        let bytes = file.metadata().at("measure", path)?.len() as usize;
        if bytes == 0 || !bytes.is_multiple_of(TOKENS * 4) {
            return Err(Failure::new(format!("{} has {bytes} bytes: no {TOKENS} rows", path.display())));
        }
        Ok(Self { file: BufReader::new(file), path: path.to_owned(), row: vec![0; bytes / TOKENS] })
    }

    fn next(&mut self) -> Result<Vec<f32>> {
        self.file.read_exact(&mut self.row).at("read", &self.path)?;
        Ok(self.row.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_differ_in_nothing_and_a_shift_of_all_does_not_count() {
        let position = Position::new(&[1.0, 3.0, 2.5], &[2.0, 4.0, 3.5]);
        assert!(position.kl.abs() < 1e-12 && position.square < 1e-12, "{position:?}");
        assert!(position.same_choice && position.margin == 0.5);
    }

    #[test]
    fn the_divergence_is_that_of_the_two_distributions() {
        // 3/4 and 1/4 against halves.
        let position = Position::new(&[3f32.ln(), 0.0], &[0.0, 0.0]);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((position.kl - expected).abs() < 1e-7, "{}", position.kl);
        assert!((position.square.sqrt() - 3f64.ln() / 2.0).abs() < 1e-6);
        // Equal logits: the first of them is the choice.
        assert!(position.same_choice);
        assert!(!Position::new(&[0.0, 1.0], &[1.0, 0.0]).same_choice);
    }

    #[test]
    fn only_clear_choices_count() {
        let position = |margin, same_choice| Position { kl: 0.0, square: 0.0, margin, same_choice };
        let positions = vec![position(1.0, false), position(0.4, false), position(1.0, true)];
        let difference = Difference { kl: 0.0, noise: 0.1, positions };
        assert_eq!(difference.wrong_where_clear(0.1), 1.0);
        assert_eq!(difference.wrong_where_clear(0.3), 0.0);
    }
}
