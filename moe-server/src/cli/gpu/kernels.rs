//! `moe-server gpu kernels`: the kernels, compiled for machines without NVRTC.

use crate::cli::args::UsageError;
use lexopt::{Arg, Parser, ValueExt};
use moe_cuda::compile::{ARCHITECTURES, Compiler, Target};
use moe_cuda::cubins::ship;
use moe_cuda::kv::KvType;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// Heads of the known models: dimensions, and query heads of a KV head.
const HEADS: [[usize; 2]; 3] = [[128, 5], [128, 8], [32, 4]];

/// The options of `gpu kernels`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    folder: PathBuf,
    /// Empty: all.
    architectures: Vec<String>,
    /// Empty: those of the known models.
    heads: Vec<[usize; 2]>,
    /// Empty: both.
    kv_types: Vec<KvType>,
}

/// Reads what follows `kernels`; None where help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(super) fn parse(parser: &mut Parser) -> Result<Option<Options>, UsageError> {
    let mut options = Options {
        folder: PathBuf::new(),
        architectures: Vec::new(),
        heads: Vec::new(),
        kv_types: Vec::new(),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(folder) if options.folder.as_os_str().is_empty() => options.folder = folder.into(),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("architecture") => options.architectures.push(parser.value()?.string()?),
            Arg::Long("heads") => options.heads.push(heads(&parser.value()?.string()?)?),
            Arg::Long("kv-type") => options.kv_types.push(super::kv_type(parser)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.folder.as_os_str().is_empty() {
        return Err(UsageError("`gpu kernels` wants a folder for what it compiles".to_owned()));
    }
    Ok(Some(options))
}

fn heads(text: &str) -> Result<[usize; 2], UsageError> {
    let read = || {
        let (dim, group) = text.split_once('x')?;
        Some([dim.parse().ok().filter(|dim| [32, 64, 128].contains(dim))?, group.parse().ok()?])
    };
    read().ok_or_else(|| {
        UsageError(format!(
            "--heads {text}: give 32, 64 or 128 and the query heads of a KV head, such as 128x5"
        ))
    })
}

/// Compiles them.
///
/// # Errors
/// What NVRTC or the file system says.
pub(super) fn compile(options: &Options) -> Result<(), String> {
    let compiler = Compiler::load().map_err(|error| error.to_string())?;
    let all = ARCHITECTURES.map(str::to_owned);
    let architectures = if options.architectures.is_empty() { &all[..] } else { &options.architectures };
    let heads = if options.heads.is_empty() { &HEADS[..] } else { &options.heads };
    let kv_types = if options.kv_types.is_empty() { &KvType::ALL[..] } else { &options.kv_types };
    let targets = architectures.iter().flat_map(|architecture| {
        heads.iter().flat_map(move |[head_dim, group]| {
            kv_types.iter().map(move |kv_type| Target {
                architecture: architecture.clone(),
                head_dim: *head_dim,
                group: *group,
                kv_type: *kv_type,
            })
        })
    });
    let mut shipped = HashMap::new();
    for target in targets {
        let bytes =
            ship(&compiler, &target, &options.folder, &mut shipped).map_err(|error| error.to_string())?;
        let Target { architecture, head_dim, group, kv_type } = target;
        let text = format!(
            "{architecture}, heads {head_dim}x{group}, keys and values in {kv_type}: {} KiB",
            bytes >> 10
        );
        // Whoever started it may not care for its output.
        let _ = writeln!(io::stdout(), "{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let line = |text: &str| parse(&mut Parser::from_args(text.split_whitespace()));
        let all = Options {
            folder: "k".into(),
            architectures: vec!["sm_90a".into(), "sm_80".into()],
            heads: vec![[128, 5], [32, 4]],
            kv_types: vec![KvType::Q8_0],
        };
        let text = "k --architecture sm_90a --heads 128x5 --architecture sm_80 --heads 32x4 --kv-type q8_0";
        assert_eq!(line(text), Ok(Some(all)));
        assert_eq!(line("--help"), Ok(None));
        for (wrong, part) in
            [("", "a folder"), ("a b", "\"b\""), ("k --heads 128", "128x5"), ("k --heads 96x4", "128x5")]
        {
            let error = line(wrong).unwrap_err();
            assert!(error.0.contains(part), "{wrong}: {error}");
        }
    }
}
