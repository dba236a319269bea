//! What the compiler says that each kernel takes on each architecture: registers, bytes of stack, of spills and of static shared
//! memory; of keys and values in eight bits the kernels that differ. `resources` prints the table, `resources --check FILE` compares it with a file.
//!
//! It needs NVRTC and no GPU.

use moe_cuda::{
    compile::{ARCHITECTURES, Compiler, Source, Target},
    kv::KvType,
};
use std::{env, fmt::Write, fs, process::ExitCode, thread};

/// The numbers of `text` that stand before each of `words`.
fn numbers(text: &str, words: &[&str]) -> Vec<u32> {
    let before = |word: &&str| -> Option<u32> {
        let at = text.find(*word)?;
        text[..at].split_whitespace().next_back()?.parse().ok()
    };
    words.iter().map(|word| before(word).unwrap_or(0)).collect()
}

/// For what keys and values in eight bits are compiled here: one architecture says whether it goes well, and each takes its time.
const EIGHT_BITS: &str = "sm_90a";

/// A line for each kernel of a compiler's log.
fn rows(architecture: &str, log: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for part in log.split("Compiling entry function '").skip(1) {
        let name = part.split('\'').next().unwrap_or_default();
        let used = part.find("Used ").map_or("", |at| &part[at + 5..]);
        let [registers, shared] = [" registers", " bytes smem"].map(|word| numbers(used, &[word])[0]);
        let n = numbers(part, &[" bytes stack frame", " bytes spill stores", " bytes spill loads"]);
        rows.push(format!("{name}\t{architecture}\t{registers}\t{}\t{}\t{}\t{shared}", n[0], n[1], n[2]));
    }
    rows
}

/// The same line under a name of its own, of a kernel that reads or writes keys and values.
fn in_eight_bits(row: &str) -> Option<String> {
    let (name, rest) = row.split_once('\t')?;
    ["attention", "attention_many", "store"].contains(&name).then(|| format!("{name}, q8_0\t{rest}"))
}

fn table() -> Result<String, String> {
    let compiler = Compiler::load().map_err(|error| error.to_string())?;
    let mut jobs: Vec<(&str, Source, KvType)> =
        ARCHITECTURES.iter().flat_map(|a| Source::ALL.map(|source| (*a, source, KvType::F16))).collect();
    jobs.push((EIGHT_BITS, Source::Step, KvType::Q8_0));
    let compile = |(architecture, source, kv_type): (&str, Source, KvType)| {
        let target = Target { architecture: architecture.to_owned(), head_dim: 128, group: 5, kv_type };
        let compiled = compiler.compile(source, &target).map_err(|error| error.to_string())?;
        let rows = rows(architecture, &compiled.log);
        Ok::<_, String>(match kv_type {
            KvType::F16 => rows,
            KvType::Q8_0 => rows.iter().filter_map(|row| in_eight_bits(row)).collect(),
        })
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<Vec<String>, String>> = thread::scope(|scope| {
        let parts: Vec<_> = (0..workers)
            .map(|worker| {
                let (jobs, compile) = (&jobs, &compile);
                scope.spawn(move || {
                    jobs.iter().skip(worker).step_by(workers).map(|job| compile(*job)).collect::<Vec<_>>()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|_| vec![Err("a thread died".to_owned())]))
            .collect()
    });
    let mut all = Vec::new();
    for result in results {
        all.append(&mut result?);
    }
    all.sort();
    let (major, minor) = compiler.version();
    let mut text = format!("# NVRTC {major}.{minor}; heads of 128, 5 to a KV head\n");
    text.push_str("kernel\tarchitecture\tregisters\tstack\tspill stores\tspill loads\tshared\n");
    for row in all {
        let _ = writeln!(text, "{row}");
    }
    Ok(text)
}

fn main() -> ExitCode {
    let table = match table() {
        Ok(table) => table,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [check, path] = &arguments[..] else {
        print!("{table}");
        return ExitCode::SUCCESS;
    };
    let kept = fs::read_to_string(path).unwrap_or_default();
    if check == "--check" && kept == table {
        return ExitCode::SUCCESS;
    }
    let differing = table.lines().filter(|line| !kept.lines().any(|old| old == *line));
    eprintln!("{path} lags behind; these lines are new:");
    differing.for_each(|line| eprintln!("  {line}"));
    eprintln!("if that is meant, write the table anew: see docs/guides/gpu.md");
    ExitCode::FAILURE
}
