//! The command line of `bench`.

use super::Test;
use crate::cli::args::UsageError;
use crate::cli::values::{kv_type, number};
use lexopt::{Arg, Parser, ValueExt};
use moe_server::engine::cpu::KvType;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
usage: moe-server bench MODEL.gguf [options]

Times the engine on random tokens and prints a line of JSON for each test.

  --prefill N           a prompt of N tokens; may be repeated, as the other tests
  --decode P,S,N        S sequences that grow together by N tokens, each after a prompt of P
  --logits N,FILE       the logits of each of N tokens into a file, as F32
                        (with none of the three: --prefill 512 --decode 64,1,32 --decode 64,8,16)
  --stdin               read tests from standard input, one a line: `prefill 512`, `decode 64 8 16`
  --tokens FILE         token ids to take instead of random ones, with white space between them
  --repetitions N       times that each test runs (3)
  --threads N           compute threads (what affinity and cgroup allow)
  --kv-tokens N         tokens of KV cache over all sequences (8192)
  --kv-type TYPE        what keys and values are rounded to: f16, q8_0 or f32 (f16)
  --batch-tokens N      tokens that are computed together at most
";

/// The options; see [`HELP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) model: PathBuf,
    pub(crate) tests: Vec<Test>,
    pub(crate) stdin: bool,
    pub(crate) tokens: Option<PathBuf>,
    pub(crate) repetitions: usize,
    /// 0 takes what there is.
    pub(crate) threads: usize,
    pub(crate) kv_tokens: usize,
    pub(crate) kv_type: KvType,
    pub(crate) batch_tokens: Option<usize>,
}

/// Reads the arguments after `bench`; `None` where help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut options = Options {
        model: PathBuf::new(),
        tests: Vec::new(),
        stdin: false,
        tokens: None,
        repetitions: 3,
        threads: 0,
        kv_tokens: 8192,
        kv_type: KvType::F16,
        batch_tokens: None,
    };
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Arg::Value(word) if options.model.as_os_str().is_empty() => {
                options.model = word.into();
                continue;
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long(name) => name.to_owned(),
            other => return Err(other.unexpected().into()),
        };
        match name.as_str() {
            "prefill" | "decode" | "logits" => {
                let value = parser.value()?.string()?;
                options.tests.push(test(&format!("{name} {}", value.replace(',', " ")))?);
            }
            "stdin" => options.stdin = true,
            "tokens" => options.tokens = Some(parser.value()?.into()),
            "repetitions" => options.repetitions = number(&mut parser, "repetitions", 1)?,
            "threads" => options.threads = number(&mut parser, "threads", 1)?,
            "kv-tokens" => options.kv_tokens = number(&mut parser, "kv-tokens", 2)?,
            "kv-type" => options.kv_type = kv_type(&parser.value()?.string()?)?,
            "batch-tokens" => options.batch_tokens = Some(number(&mut parser, "batch-tokens", 1)?),
            _ => return Err(UsageError(format!("`bench` has no option --{name}"))),
        }
    }
    if options.model.as_os_str().is_empty() {
        return Err(UsageError("`bench` wants a model: a GGUF file".to_owned()));
    }
    if options.tests.is_empty() && !options.stdin {
        options.tests = vec![
            Test::Prefill { tokens: 512 },
            Test::Decode { prompt: 64, sequences: 1, steps: 32 },
            Test::Decode { prompt: 64, sequences: 8, steps: 16 },
        ];
    }
    Ok(Some(options))
}

/// A test from its words, as [`words`] writes them.
///
/// # Errors
/// [`UsageError`].
pub(super) fn test(line: &str) -> Result<Test, UsageError> {
    let count = |word: &str| word.parse().ok().filter(|count| (1..=1 << 24).contains(count));
    let words: Vec<&str> = line.split_whitespace().collect();
    let found = match words[..] {
        ["prefill", tokens] => count(tokens).map(|tokens| Test::Prefill { tokens }),
        ["decode", prompt, sequences, steps] => (|| {
            let (prompt, sequences, steps) = (count(prompt)?, count(sequences)?, count(steps)?);
            Some(Test::Decode { prompt, sequences, steps })
        })(),
        ["logits", tokens, file] => count(tokens).map(|tokens| Test::Logits { tokens, file: file.into() }),
        _ => None,
    };
    found.ok_or_else(|| {
        UsageError(format!(
            "{line:?} is no test: give `prefill TOKENS`, `decode PROMPT SEQUENCES STEPS` or `logits TOKENS FILE`"
        ))
    })
}

pub(super) fn words(test: &Test) -> String {
    match test {
        Test::Prefill { tokens } => format!("prefill {tokens}"),
        Test::Decode { prompt, sequences, steps } => format!("decode {prompt} {sequences} {steps}"),
        Test::Logits { tokens, file } => format!("logits {tokens} {}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Options>, UsageError> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn defaults_and_options() {
        let plain = line("m.gguf").unwrap().unwrap();
        assert_eq!(
            plain.tests.iter().map(words).collect::<Vec<_>>(),
            ["prefill 512", "decode 64 1 32", "decode 64 8 16"]
        );
        let all = "--prefill 7 m.gguf --decode 1,2,3 --logits 4,f --tokens t --repetitions 5 --threads 6 \
                   --kv-tokens 70 --kv-type f32 --batch-tokens 8 --stdin";
        let expected = Options {
            tests: vec![
                Test::Prefill { tokens: 7 },
                Test::Decode { prompt: 1, sequences: 2, steps: 3 },
                Test::Logits { tokens: 4, file: "f".into() },
            ],
            stdin: true,
            tokens: Some("t".into()),
            repetitions: 5,
            threads: 6,
            kv_tokens: 70,
            kv_type: KvType::F32,
            batch_tokens: Some(8),
            ..plain
        };
        assert_eq!(line(all), Ok(Some(expected)));
        assert_eq!(line("--help"), Ok(None));
        assert_eq!(line("m --stdin").unwrap().unwrap().tests, []);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "wants a model"),
            ("m m", "m"),
            ("m --port 1", "--port"),
            ("m --prefill 0", "prefill 0"),
            ("m --prefill 99999999999", "99999999999"),
            ("m --decode 1,2", "decode 1 2"),
            ("m --threads 0", "at least 1"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.0.contains(part), "{text}: {error}");
        }
    }
}
