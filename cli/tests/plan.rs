//! `moegate plan` as a person calls it, held to the arithmetic that is public in the field.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plan").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Exit status, standard output, standard error.
fn plan(at: &str, arguments: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("plan")
        .args(words(arguments))
        .current_dir(folder(at))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// As a shell does: what stands between quotes is one word.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in text.split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(ToOwned::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn good(at: &str, arguments: &str) -> Value {
    let (code, text, error) = plan(at, &format!("{arguments} --json"));
    assert_eq!(code, 0, "{arguments}: {error}");
    serde_json::from_str(&text).unwrap()
}

fn bad(at: &str, arguments: &str) -> String {
    let (code, text, error) = plan(at, arguments);
    assert_eq!((code, &*text), (2, ""), "{arguments}: {error}");
    error
}

/// To so many places, as the source prints it; half up.
fn rounded(number: &Value, places: usize) -> String {
    let text = number.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap();
    let digits: u64 = format!("{whole}{fraction}").parse().unwrap();
    let unit = 10u64.pow(u32::try_from(fraction.len() - places).unwrap());
    let digits = ((digits + unit / 2) / unit).to_string();
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

/// Dollars an hour for one, GPUs, tokens a second of all, dollars per million when always busy.
/// Sources: gmicloud.ai "Cost Per Million Tokens Explained" (A to D), and "Comes From One Formula"; dreaming.press
/// "self-hosting-llm-inference-vs-api-cost"; kshirol-dev.github.io "Inference Infrastructure".
const FIELD: &[(&str, &str, &str, &str)] = &[
    // One stream, at an H100's price.
    ("2.49", "1", "118.9", "5.82"),
    ("2.49", "2", "118.9", "11.63"),
    ("2.00", "1", "85", "6.54"),
    ("2.60", "1", "140", "5.16"),
    ("2.00", "1", "120", "4.63"),
    ("2.00", "1", "400", "1.39"),
    ("2.00", "1", "40", "13.89"),
    ("2.00", "1", "800", "0.69"),
    ("2.50", "1", "700", "0.99"),
    ("2.50", "4", "3400", "0.82"),
    ("1.60", "4", "3400", "0.52"),
    // $0.30 to $0.70 at good utilisation, with many streams at once.
    ("2.49", "1", "1000", "0.69"),
    ("2.49", "1", "2300", "0.30"),
];

#[test]
fn a_million_tokens_costs_what_the_field_says() {
    for (gpu_hour, gpus, rate, expected) in FIELD {
        let plan = good(
            "field",
            &format!(
                "--gpu-hour {gpu_hour} --gpus {gpus} --tokens-per-second {rate} --output-tokens-per-day 1000"
            ),
        );
        assert_eq!(rounded(&plan["usd_per_million"]["busy"], 2), *expected, "{gpu_hour} {gpus} {rate}");
        // Busy all the time, a month's idle time adds nothing.
        let full = plan["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(full["utilisation"], "1.000000");
        assert_eq!(full["usd_per_million"], plan["usd_per_million"]["busy"]);
    }
}

#[test]
fn ten_percent_busy_costs_ten_times() {
    // A tenth of 700 tokens a second, for a day.
    let plan = good("tenth", "--gpu-hour 2.50 --tokens-per-second 700 --output-tokens-per-day 6048000");
    assert_eq!(plan["utilisation"], "0.100000");
    assert_eq!(plan["usd_per_million"]["busy"], "0.992063");
    // dreaming.press: 70 tokens a second instead of 700.
    assert_eq!(plan["usd_per_million"]["billed"], "9.920635");
    let step = &plan["steps"][1];
    assert_eq!((&step["utilisation"], &step["usd_per_million"]), (&"0.100000".into(), &"9.920635".into()));
}

#[test]
fn a_month_has_730_hours() {
    // kshirol-dev.github.io: 4 H100s, 12.24 million tokens an hour, 8.9 billion a month; GPT-4o at $10 per million.
    let plan = good(
        "month",
        "--gpu-hour 1.60 --gpus 4 --tokens-per-second 3400 --output-tokens-per-day 100000000 --price-output 10",
    );
    assert_eq!(plan["month"]["capacity_millions"], "8935.200000");
    assert_eq!(plan["month"]["gpus_usd"], "4672.000000");
    let crossover = &plan["elsewhere"]["crossover"];
    // Fixed dollars a month over dollars per million.
    assert_eq!(crossover["output_millions_per_month"], "467.200000");
    assert_eq!(rounded(&crossover["utilisation"], 4), "0.0523");
    assert_eq!(crossover["can_be_reached"], true);
}

/// At the crossover both cost the same.
#[test]
fn the_crossover_is_where_both_cost_the_same() {
    for (ops, hourly) in [("0", "0"), ("10", "85.5")] {
        let flags = format!(
            "--gpu-hour 2.49 --tokens-per-second 1000 --input-tokens-per-day 40000000 --cached-tokens-per-day 10000000 \
             --price-input 0.15 --price-cached 0.075 --price-output 0.60 --ops-hours-per-month {ops} --ops-hourly {hourly}"
        );
        let plan = good("crossover", &format!("{flags} --output-tokens-per-day 20000000"));
        let elsewhere = &plan["elsewhere"];
        // 0.60 + (1.5 × 0.15) + (0.5 × 0.075).
        assert_eq!(elsewhere["usd_per_million"], "0.862500");
        let fixed = if ops == "0" { 1_817_700_000u64 } else { 1_817_700_000 + 855_000_000 };
        // Micro-dollars over 0.8625 micro-dollars a token, in millions of tokens.
        let expected = fixed * 10_000 / 8_625;
        let crossover = &elsewhere["crossover"];
        let shown = crossover["output_millions_per_month"].as_str().unwrap().replace('.', "");
        let shown: u64 = shown.parse().unwrap();
        assert!(shown.abs_diff(expected) <= 1, "{shown} {expected}");
        // 1,000 tokens a second are 2,628 million a month; with ops hours they are not enough.
        assert_eq!(crossover["can_be_reached"], ops == "0");
        let (_, text, _) = self::plan("crossover", &format!("{flags} --output-tokens-per-day 20000000"));
        let verdict = if ops == "0" {
            "Elsewhere is cheaper: own GPUs are from 2107.5"
        } else {
            "These GPUs are never cheaper"
        };
        assert!(text.contains(verdict), "{text}");
    }
    let more =
        "--gpu-hour 2.49 --tokens-per-second 1000 --output-tokens-per-day 80000000 --price-output 0.80";
    let (_, text, _) = plan("crossover", more);
    assert!(text.contains("Own GPUs are cheaper: they are from 2272.1 million"), "{text}");
}

const START: u64 = 1_793_696_400_000;

fn row(id: usize, origin: &str, at_ms: u64, rest: &str) -> String {
    format!(
        r#"{{"id":"{id:08}","state":"settled","origin":"{origin}","started_ms":{},"ended_after_ms":360000{rest}}}"#,
        START + at_ms
    )
}

/// Ten attempts of 42,804 output tokens, six minutes of computing each, over ten hours: 118.9 tokens a second, a tenth busy.
/// Two of a third party's at $0.60 per million output tokens.
fn measured() -> String {
    let mut rows: Vec<_> = (0..10)
        .map(|n| {
            let usage = r#","usage":{"prompt":85608,"cached":42804,"completion":42804},"busy_us":360000000,"cost_nanodollars":249000000"#;
            // The last one ends ten hours after the first began.
            row(n, "gpu", n as u64 * 35_640_000 / 9, usage)
        })
        .collect();
    for n in 10..12 {
        let usage = r#","usage":{"prompt":1000000,"completion":500000},"cost_nanodollars":300000000"#;
        rows.push(row(n, "groq", 1_000, usage));
    }
    rows.join("\n") + "\n"
}

#[test]
fn the_export_says_how_busy_the_gpus_were() {
    let at = folder("measured");
    fs::write(at.join("ROWS.jsonl"), measured()).unwrap();
    let plan = good("measured", "--usage ROWS.jsonl --gpu-hour 2.49");
    assert_eq!(plan["tokens_per_second"], "118.900000");
    assert_eq!(plan["utilisation"], "0.100000");
    assert_eq!(rounded(&plan["usd_per_million"]["busy"], 4), "5.8172");
    assert_eq!(rounded(&plan["usd_per_million"]["billed"], 3), "58.172");
    assert_eq!(
        (&plan["elsewhere"]["usd_per_million"], &plan["elsewhere"]["is_measured"]),
        (&"0.600000".into(), &true.into())
    );
    // Paid for twice as long: half as busy.
    let longer = good("measured", "--usage ROWS.jsonl --gpu-hour 2.49 --billed-hours 20");
    assert_eq!(longer["utilisation"], "0.050000");
    // Two GPUs in the same time: each half as busy, twice the tokens a second while both are.
    let two = good("measured", "--usage ROWS.jsonl --gpu-hour 2.49 --gpus 2");
    assert_eq!((&two["utilisation"], &two["tokens_per_second"]), (&"0.050000".into(), &"237.800000".into()));
    assert_eq!(two["usd_per_million"]["busy"], plan["usd_per_million"]["busy"]);
    // The same attempts at prices: two input tokens for each output token, one of them cached.
    let priced = good(
        "measured",
        "--usage ROWS.jsonl --gpu-hour 2.49 --price-input 0.2 --price-cached 0.1 --price-output 0.6",
    );
    assert_eq!(priced["elsewhere"]["usd_per_million"], "0.900000");
    // What if the server were faster.
    let faster = good("measured", "--usage ROWS.jsonl --gpu-hour 2.49 --tokens-per-second 1189");
    assert_eq!(faster["utilisation"], "0.010000");
    assert_eq!(faster["usd_per_million"]["billed"], plan["usd_per_million"]["billed"]);
}

#[test]
fn without_own_gpus_the_load_has_its_price() {
    let at = folder("elsewhere");
    let rows: Vec<_> = measured().lines().filter(|line| line.contains("groq")).map(str::to_owned).collect();
    let pending = row(20, "groq", 0, r#","bound_nanodollars":5000"#).replace("settled", "pending");
    let estimated = row(21, "groq", 0, r#","usage":{"completion":7},"cost_nanodollars":9000000000"#)
        .replace("settled", "estimated");
    fs::write(at.join("ROWS.jsonl"), format!("{}\n{pending}\n\n{estimated}\n", rows.join("\n"))).unwrap();
    let error = bad("elsewhere", "--usage ROWS.jsonl --gpu-hour 2.49");
    assert!(error.contains("no busy time") && error.contains("--tokens-per-second"), "{error}");
    let plan =
        good("elsewhere", "--usage ROWS.jsonl --gpu-hour 2.49 --tokens-per-second 2300 --billed-hours 24");
    // An estimated attempt's cost is a bound and sets no price.
    assert_eq!(plan["elsewhere"]["usd_per_million"], "0.600000");
    assert_eq!(plan["utilisation"], "0.005032");
    let notes = plan["notes"].to_string();
    assert!(notes.contains("Measured over 3 attempts") && notes.contains("1 pending"), "{notes}");
    assert!(notes.contains("counts of 1 attempts are estimates"), "{notes}");
    // One third party's attempts alone.
    let one = good(
        "elsewhere",
        "--usage ROWS.jsonl --origin groq --gpu-hour 2.49 --tokens-per-second 2300 --billed-hours 24",
    );
    assert_eq!(one["elsewhere"], plan["elsewhere"]);
}

#[test]
fn what_is_missing_or_contradicts_is_said() {
    let at = folder("bad");
    fs::write(at.join("ROWS.jsonl"), measured()).unwrap();
    fs::write(at.join("empty.jsonl"), "").unwrap();
    fs::write(at.join("other.jsonl"), "{\"id\":1}\n").unwrap();
    fs::write(at.join("instant.jsonl"), r#"{"id":"1","started_ms":5,"usage":{"completion":3}}"#).unwrap();
    for (arguments, expected) in [
        ("", "wants a load"),
        ("--output-tokens-per-day 5", "--gpu-hour 2.49"),
        ("--gpu-hour 2.49", "wants a load"),
        ("--gpu-hour 2.49 --output-tokens-per-day 5", "--tokens-per-second N"),
        ("--gpu-hour 0 --output-tokens-per-day 5", "more than 0"),
        ("--gpu-hour -1 --output-tokens-per-day 5", "no number"),
        ("--gpu-hour 2,49 --output-tokens-per-day 5", "no number"),
        ("--gpu-hour 2.49 --gpus 0 --output-tokens-per-day 5", "number of GPUs"),
        ("--gpu-hour 2.49 --output-tokens-per-day 1.5", "no whole number"),
        ("--gpu-hour 2.49 --tokens-per-second 9 --output-tokens-per-day 0", "more than 0"),
        (
            "--gpu-hour 2.49 --tokens-per-second 9 --output-tokens-per-day 9 --cached-tokens-per-day 1",
            "part of --input-tokens-per-day",
        ),
        ("--gpu-hour 2.49 --tokens-per-second 10 --output-tokens-per-day 1000000", "115.7 % busy"),
        (
            "--gpu-hour 2.49 --tokens-per-second 10 --output-tokens-per-day 9 --price-input 1",
            "want --price-output",
        ),
        (
            "--gpu-hour 2.49 --tokens-per-second 10 --output-tokens-per-day 9 --input-tokens-per-day 9 --price-output 1",
            "want --price-input",
        ),
        ("--gpu-hour 2.49 --tokens-per-second 10 --output-tokens-per-day 9 --ops-hourly 90", "go together"),
        (
            "--gpu-hour 2.49 --tokens-per-second 10 --output-tokens-per-day 9 --origin gpu",
            "belong to --usage",
        ),
        ("--gpu-hour 2.49 --usage ROWS.jsonl --output-tokens-per-day 9", "without --usage"),
        ("--gpu-hour 2.49 --usage ROWS.jsonl --origin none", "no attempt at the origin `none`"),
        ("--gpu-hour 2.49 --usage ROWS.jsonl --billed-hours 0.5", "200.0 % busy"),
        ("--gpu-hour 2.49 --usage missing.jsonl", "cannot read missing.jsonl"),
        ("--gpu-hour 2.49 --usage empty.jsonl", "no output tokens"),
        ("--gpu-hour 2.49 --usage other.jsonl", "other.jsonl, line 1 is no row"),
        ("--gpu-hour 2.49 --usage instant.jsonl --tokens-per-second 9", "give --billed-hours"),
        (
            "--gpu-hour 2.49 --tokens-per-second 9 --output-tokens-per-day 9 --sleep-after 9 --wake-seconds 9",
            "wants to know when requests come: --usage",
        ),
        ("--gpu-hour 2.49 --usage ROWS.jsonl --sleep-after 9", "--wake-seconds go together"),
        ("--gpu-hour 2.49 --usage ROWS.jsonl --sleep-after 1.5", "no whole number of seconds"),
        (
            "--gpu-hour 2.49 --usage ROWS.jsonl --keep-warm Mon",
            "--keep-warm `Mon`: give days and hours in UTC",
        ),
        ("--gpu-hour 2.49 --nonsense", "invalid option '--nonsense'"),
        ("--gpu-hour 1e-25 --tokens-per-second 1e25 --output-tokens-per-day 9", "too large"),
    ] {
        let error = bad("bad", arguments);
        assert!(error.contains(expected), "{arguments}: {error}");
    }
}

#[test]
fn help_is_to_be_had() {
    let (code, text, _) = plan("help", "--help");
    assert_eq!(code, 0);
    assert!(text.contains("plan --gpu-hour DOLLARS"), "{text}");
}

/// Two weeks from Monday 2026-11-02: on work days from 09:00 on for eight hours a request every three minutes, at other times
/// one every four hours; each takes 20 s, of which the GPU computes 5.
fn office() -> String {
    const MONDAY_MS: u64 = 1_793_577_600_000;
    let mut rows = Vec::new();
    for minute in 0..14 * 24 * 60_u64 {
        let (day, of_day) = (minute / (24 * 60), minute % (24 * 60));
        let is_office = day % 7 < 5 && (9 * 60..17 * 60).contains(&of_day);
        if minute % 240 == 60 || (is_office && minute % 3 == 0) {
            rows.push(format!(
                r#"{{"id":"{minute}","state":"settled","origin":"gpu","started_ms":{},"ended_after_ms":20000,"busy_us":5000000,"usage":{{"prompt":900,"completion":600}}}}"#,
                MONDAY_MS + minute * 60_000
            ));
        }
    }
    rows.join("\n") + "\n"
}

#[test]
fn sleep_costs_less_and_makes_some_wait() {
    fs::write(folder("sleep").join("OFFICE.jsonl"), office()).unwrap();
    let plan = good(
        "sleep",
        r#"--usage OFFICE.jsonl --gpu-hour 2.49 --sleep-after 300 --wake-seconds 45 --keep-warm "Mon-Fri 08:58-17:00" --keep-warm "Mon-Sun 00:00-24:00""#,
    );
    let choices = plan["sleep"].as_array().unwrap();
    let number = |at: usize, name: &str| choices[at][name].as_str().unwrap().parse::<f64>().unwrap();
    let names: Vec<_> = choices.iter().map(|choice| choice["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["never asleep", "asleep when idle", "warm Mon-Fri 08:58-17:00", "warm Mon-Sun 00:00-24:00"]
    );
    // Some 80 office hours of 332, and 74 single requests with 5 minutes each.
    assert!((0.25..0.30).contains(&(number(1, "hours_per_month") / 730.0)), "{}", choices[1]);
    assert!(number(1, "gpus_usd_per_month") < 0.3 * number(0, "gpus_usd_per_month"));
    assert_eq!(choices[1]["median_wait_ms"], 45_000);
    // Each of the ten mornings' first.
    let spared = number(1, "waiting_per_month") - number(2, "waiting_per_month");
    assert!((spared * 332.0 / 730.0 - 10.0).abs() < 0.5, "{spared}");
    assert_eq!(choices[0]["longest_wait_ms"], Value::Null);
    assert!((number(3, "hours_per_month") - 730.0).abs() < 0.1);
    // What was paid for until now changes no choice.
    let billed = good(
        "sleep",
        "--usage OFFICE.jsonl --gpu-hour 2.49 --sleep-after 300 --wake-seconds 45 --billed-hours 100",
    );
    assert_eq!(billed["sleep"][0], choices[0]);
    assert_eq!(billed["sleep"][1], choices[1]);
}

/// What `docs/guides/plan.md` shows is what the command prints.
#[test]
fn the_examples_on_the_page_are_true() {
    const PAGE: &str = include_str!("../../docs/guides/plan.md");
    fs::write(folder("guide").join("ROWS.jsonl"), measured()).unwrap();
    fs::write(folder("guide").join("OFFICE.jsonl"), office()).unwrap();
    let blocks: Vec<_> =
        PAGE.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3, "{}", blocks.len());
    for block in blocks {
        let (command, expected) = block.split_once('\n').unwrap();
        let arguments = command.strip_prefix("$ moegate plan ").unwrap();
        let (code, text, error) = plan("guide", arguments);
        assert_eq!((code, &*error), (0, ""));
        assert_eq!(text, expected, "{command}");
    }
}
