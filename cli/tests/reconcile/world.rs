//! Calls of the command, rows of the ledger, and a month of them with the invoices that fit.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// 2026-11-03 at noon, in Unix milliseconds.
pub(crate) const NOON: u64 = 1_793_707_200_000;
const DAY: u64 = 86_400_000;
pub(crate) const DAYS: [&str; 3] = ["2026-11-03", "2026-11-04", "2026-11-05"];

/// Exit status, standard output, standard error.
pub(crate) fn call(at: &str, files: &[(&str, &[u8])], arguments: &str, input: &str) -> (i32, String, String) {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reconcile/{at}-{call}"));
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("reconcile")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that looks at no input may be gone already.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The report as JSON; the exit status says the same as it.
pub(crate) fn report(at: &str, invoice: &str, rows: &str, options: &str) -> Value {
    let files = [("invoice.csv", invoice.as_bytes()), ("rows.jsonl", rows.as_bytes())];
    let (code, text, error) =
        call(at, &files, &format!("invoice.csv --usage rows.jsonl --json {options}"), "");
    assert!(code < 2, "{error}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["equal"], code == 0, "{text}");
    report
}

/// `day invoice-models/ledger-models what invoice ledger difference` of each difference.
pub(crate) fn differences(report: &Value) -> Vec<String> {
    let names = |list: &Value| {
        let names = list.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        names.collect::<Vec<_>>().join("+")
    };
    let figure = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            format!(
                "{} {}/{} {} {} {} {}",
                found["day"].as_str().unwrap(),
                names(&found["invoice_models"]),
                names(&found["ledger_models"]),
                found["what"].as_str().unwrap(),
                figure(&found["invoice"]),
                figure(&found["ledger"]),
                figure(&found["difference"]),
            )
        })
        .collect()
}

/// A row at noon of the first day; `rest` goes behind its last member.
pub(crate) fn row(id: &str, model: &str, rest: &str) -> String {
    format!(
        r#"{{"id":"{id}","state":"settled","origin":"openai","served_model":"{model}","status":200,"ending":"complete","started_ms":{NOON}{rest}}}"#
    ) + "\n"
}

/// What both sides have of a day and model.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    pub(crate) requests: u64,
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) output: u64,
    pub(crate) nano: u64,
}

/// Three days of three models: the ledger's rows, and what they add up to.
pub(crate) fn month(models: &[&str; 3]) -> (String, BTreeMap<(usize, String), Sums>) {
    let mut rows = String::new();
    let mut sums: BTreeMap<(usize, String), Sums> = BTreeMap::new();
    let mut seed = 7u64;
    let mut below = |limit: u64| {
        // Knuth's MMIX generator.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % limit
    };
    for n in 0..200 {
        let (day, model) = (usize::try_from(below(3)).unwrap(), models[usize::try_from(below(3)).unwrap()]);
        let input = 100 + below(100_000);
        let (cached, written, output) = (below(input / 2), below(input / 2), 1 + below(4_000));
        let nano = (input - cached) * 2_500 + cached * 1_250 + output * 10_000;
        let at = NOON - DAY / 2 + DAY * day as u64 + below(DAY);
        rows += &format!(
            r#"{{"id":"{n:05}","request":"{n:05}","attempt":1,"last":true,"state":"settled","key":"app","model":"chat","served_model":"{model}","origin":"openai","stream":true,"status":200,"ending":"complete","usage":{{"prompt":{input},"cached":{cached},"cache_write":{written},"completion":{output},"reasoning":0}},"metered":true,"cost_nanodollars":{nano},"price":"2026-11-01","started_ms":{at},"head_after_ms":5,"ended_after_ms":900}}"#
        );
        rows.push('\n');
        let sum = sums.entry((day, model.to_owned())).or_default();
        sum.requests += 1;
        sum.input += input;
        sum.cached += cached;
        sum.written += written;
        sum.output += output;
        sum.nano += nano;
    }
    // Refused attempts are on no invoice, and other origins' are on another one.
    rows += &row("refused", models[0], r#","failure":"rate_limited""#)
        .replace("200,", "429,")
        .replace("complete", "error");
    rows += &row("other", models[0], r#","usage":{"prompt":5,"completion":5}"#).replace("openai", "groq");
    (rows, sums)
}

/// Nano-dollars, with as many zeros as OpenAI's export has.
pub(crate) fn dollars(nano: u64) -> String {
    format!("{}.{:09}000000000000000000000", nano / 1_000_000_000, nano % 1_000_000_000)
}

/// Unix seconds of a day's beginning.
pub(crate) fn seconds(day: usize) -> u64 {
    (NOON - DAY / 2 + DAY * day as u64) / 1_000
}
