//! `moe-server bench`: how fast the engine is, without HTTP and without a tokenizer.

mod args;

use moe_server::engine::cpu::{CpuEngine, CpuOptions};
use moe_server::engine::{Engine, SequenceId, Span, TokenId, Wanted};
use moe_server::model::gguf::Gguf;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use args::{HELP, Options, parse};

/// One thing to time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// One prompt of so many tokens, and the last one's logits.
    Prefill { tokens: usize },
    /// Sequences that grow together, each after a prompt of its own: only the steps are timed.
    Decode { prompt: usize, sequences: usize, steps: usize },
    /// Teacher-forced: every position's logits into a file, as little-endian F32, row after row.
    Logits { tokens: usize, file: PathBuf },
}

impl Test {
    /// Tokens that the timed part takes.
    fn tokens(&self) -> usize {
        match self {
            Self::Prefill { tokens } | Self::Logits { tokens, .. } => *tokens,
            Self::Decode { sequences, steps, .. } => sequences * steps,
        }
    }
}

/// Runs the tests and prints a line of JSON for each.
///
/// # Errors
/// What went wrong and what to do.
pub(super) fn bench(options: &Options) -> Result<(), String> {
    let file = Arc::new(Gguf::open(&options.model).map_err(text)?);
    let defaults = CpuOptions::default();
    let cpu = CpuOptions {
        threads: options.threads,
        kv_tokens: options.kv_tokens,
        kv_type: options.kv_type,
        max_batch_tokens: options.batch_tokens.unwrap_or(defaults.max_batch_tokens),
        ..defaults
    };
    let engine = CpuEngine::from_gguf(&file, cpu).map_err(text)?;
    let tokens = match &options.tokens {
        Some(path) => read_tokens(path)?,
        None => random_tokens(engine.capabilities().vocab_size),
    };
    let mut bench = Bench { engine: Box::new(engine), tokens, logits: Vec::new() };
    for test in &options.tests {
        bench.report(test, options.repetitions)?;
    }
    if options.stdin {
        for line in io::stdin().lock().lines() {
            let test = args::test(&line.map_err(text)?).map_err(text)?;
            bench.report(&test, options.repetitions)?;
        }
    }
    Ok(())
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Ids with white space between them.
fn read_tokens(path: &Path) -> Result<Vec<TokenId>, String> {
    let words = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let tokens: Result<Vec<TokenId>, _> = words.split_whitespace().map(str::parse).collect();
    match tokens {
        Ok(tokens) if !tokens.is_empty() => Ok(tokens),
        _ => Err(format!("{}: give token ids with white space between them", path.display())),
    }
}

/// The same ones for every model with as large a vocabulary.
fn random_tokens(vocab_size: usize) -> Vec<TokenId> {
    let mut state = 1u64;
    let next = || {
        // Knuth's MMIX generator; its high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocab_size as u64) as TokenId
    };
    std::iter::repeat_with(next).take(4096).collect()
}

struct Bench {
    engine: Box<dyn Engine>,
    /// Prompts and steps take their tokens from here, over and over.
    tokens: Vec<TokenId>,
    logits: Vec<f32>,
}

impl Bench {
    fn report(&mut self, test: &Test, repetitions: usize) -> Result<(), String> {
        let mut seconds = Vec::new();
        for _ in 0..repetitions {
            seconds.push(self.run(test)?.as_secs_f64());
        }
        let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let line = serde_json::json!({
            "test": args::words(test),
            "seconds": seconds,
            "best_tokens_per_second": test.tokens() as f64 / best,
        });
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(text)
    }

    fn run(&mut self, test: &Test) -> Result<Duration, String> {
        match test {
            Test::Prefill { tokens } => {
                let begun = Instant::now();
                let sequence = self.prompt(0, *tokens)?;
                let took = begun.elapsed();
                self.engine.release(sequence);
                Ok(took)
            }
            Test::Decode { prompt, sequences, steps } => self.decode(*prompt, *sequences, *steps),
            Test::Logits { tokens, file } => self.write_logits(*tokens, file),
        }
    }

    fn some_tokens(&self, from: usize, count: usize) -> Vec<TokenId> {
        self.tokens.iter().cycle().skip(from % self.tokens.len()).take(count).copied().collect()
    }

    /// A sequence with a prompt in it, in as few steps as there can be.
    fn prompt(&mut self, from: usize, count: usize) -> Result<SequenceId, String> {
        let tokens = self.some_tokens(from, count);
        let sequence = self.engine.create().map_err(text)?;
        let most = self.engine.capabilities().max_batch_tokens;
        let mut left = &tokens[..];
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(most));
            let wanted = if later.is_empty() { Wanted::Last } else { Wanted::None };
            self.step(&[Span { sequence, tokens: now, logits: wanted }])?;
            left = later;
        }
        Ok(sequence)
    }

    fn step(&mut self, spans: &[Span<'_>]) -> Result<(), String> {
        self.engine.step_logits(spans, &mut self.logits).map_err(text)
    }

    fn decode(&mut self, prompt: usize, sequences: usize, steps: usize) -> Result<Duration, String> {
        let mut ids = Vec::new();
        for index in 0..sequences {
            ids.push(self.prompt(index * prompt, prompt)?);
        }
        let mut begun = Instant::now();
        // The first step does not count: it may allocate.
        for step in 0..=steps {
            let tokens = self.some_tokens(step * sequences, sequences);
            let span = |(sequence, token)| Span {
                sequence,
                tokens: std::slice::from_ref(token),
                logits: Wanted::Last,
            };
            let spans: Vec<Span<'_>> = ids.iter().copied().zip(&tokens).map(span).collect();
            self.step(&spans)?;
            if step == 0 {
                begun = Instant::now();
            }
        }
        let took = begun.elapsed();
        ids.into_iter().for_each(|sequence| self.engine.release(sequence));
        Ok(took)
    }

    fn write_logits(&mut self, count: usize, path: &Path) -> Result<Duration, String> {
        /// Rows at a time: a row of logits is large.
        const ROWS: usize = 64;
        let at = |error: io::Error| format!("{}: {error}", path.display());
        let mut out = BufWriter::new(File::create(path).map_err(at)?);
        let begun = Instant::now();
        let tokens = self.some_tokens(0, count);
        let sequence = self.engine.create().map_err(text)?;
        for tokens in tokens.chunks(ROWS.min(self.engine.capabilities().max_batch_tokens)) {
            self.step(&[Span { sequence, tokens, logits: Wanted::All }])?;
            for logit in &self.logits {
                out.write_all(&logit.to_le_bytes()).map_err(at)?;
            }
        }
        out.flush().map_err(at)?;
        self.engine.release(sequence);
        Ok(begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_mistakes_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "1 2\n3").unwrap();
        assert_eq!(read_tokens(&path), Ok(vec![1, 2, 3]));
        for wrong in ["", "1 x", "-1"] {
            fs::write(&path, wrong).unwrap();
            assert!(read_tokens(&path).unwrap_err().contains("token ids"), "{wrong:?}");
        }
        assert!(random_tokens(7).iter().all(|token| *token < 7));
        assert_ne!(random_tokens(7)[..50], random_tokens(7)[50..100]);
    }
}
