//! Every format, first as the ledger has it, then with differences planted.

use super::world::{DAYS, Sums, differences, dollars, month, report, seconds};
use std::collections::BTreeMap;

const OPENAI: [&str; 3] = ["gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o3-2025-04-16"];
const CLAUDE: [&str; 3] =
    ["claude-haiku-4-5-20251001", "claude-opus-4-1-20250805", "claude-3-7-sonnet-20250219"];

type Book = BTreeMap<(usize, String), Sums>;

/// An invoice in two lines for each day and model, as exports are split by key or project.
fn halves(book: &Book, mut line: impl FnMut(usize, &str, &Sums) -> String) -> String {
    let mut text = String::new();
    for ((day, model), sums) in book {
        let half = Sums {
            requests: sums.requests / 2,
            input: sums.input / 2,
            cached: sums.cached / 2,
            written: sums.written / 2,
            output: sums.output / 2,
            nano: sums.nano / 2,
        };
        let rest = Sums {
            requests: sums.requests - half.requests,
            input: sums.input - half.input,
            cached: sums.cached - half.cached,
            written: sums.written - half.written,
            output: sums.output - half.output,
            nano: sums.nano - half.nano,
        };
        text += &line(*day, model, &half);
        text += &line(*day, model, &rest);
    }
    text
}

fn openai_usage(book: &Book) -> String {
    let head = "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,\
                service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens,input_cache_write_tokens,\
                input_audio_tokens\n";
    let empty = format!("{},{},,,,,,,,,,,,,,,\n", seconds(3), seconds(4));
    let lines = halves(book, |day, model, sums| {
        format!(
            "{},{},{}T00:00:00+00:00,,proj_1,{}.0,,key_1,{model},FALSE,default,{}.0,{}.0,{}.0,{}.0,{}.0,0.0\n",
            seconds(day),
            seconds(day + 1),
            DAYS[day],
            sums.requests,
            sums.input,
            sums.output,
            sums.cached,
            sums.input - sums.cached,
            sums.written,
        )
    });
    format!("{head}{lines}{empty}")
}

fn openai_cost(book: &Book) -> String {
    let head = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,\
                user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source\n";
    let lines = halves(book, |day, model, sums| {
        // The whole amount stands with the output; how it is divided changes no sum.
        let items = [
            ("input", sums.input - sums.cached - sums.written, 0),
            ("cached input", sums.cached, 0),
            ("cache writes", sums.written, 0),
            ("output", sums.output, sums.nano),
        ];
        let line = |(kind, count, nano): (&str, u64, u64)| {
            format!(
                "{},{},,,{},usd,{count},tokens,\"{model}, {kind}\",,,,org-1,,\"Acme, Inc.\",,\n",
                seconds(day),
                seconds(day + 1),
                dollars(nano)
            )
        };
        items.map(line).concat()
    });
    format!("{head}{lines}{},{},,,,,,,,,,,,,,,\n", seconds(3), seconds(4))
}

fn anthropic_usage(book: &Book) -> String {
    let head = "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
                usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,\
                usage_output_tokens,web_search_count,inference_geo,speed\n";
    let lines = halves(book, |day, model, sums| {
        let long = sums.written / 3;
        format!(
            "{},{model},\"key, one\",Default,standard,≤ 200k,{},{},{long},{},{},0,global,\n",
            DAYS[day],
            sums.input - sums.cached - sums.written,
            sums.written - long,
            sums.cached,
            sums.output
        )
    });
    format!("{head}{lines}")
}

/// By the names that are displayed.
fn anthropic_cost(book: &Book) -> String {
    let head = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,\
                inference_geo,speed\n";
    let lines = halves(book, |day, model, sums| {
        let displayed = match model {
            "claude-haiku-4-5-20251001" => "Claude Haiku 4.5",
            "claude-opus-4-1-20250805" => "Claude Opus 4.1",
            _ => "Claude Sonnet 3.7",
        };
        let line = |kind: &str, nano: u64| {
            format!(
                "{},{displayed},Default,key,message,≤ 200k,{kind},{},9.99,token,global,\n",
                DAYS[day],
                dollars(nano)
            )
        };
        line("input_no_cache", sums.nano / 3) + &line("output", sums.nano - sums.nano / 3)
    });
    format!("{head}{lines}")
}

fn plain(book: &Book) -> String {
    let head = "date,model,requests,input_tokens,cached_tokens,cache_write_tokens,output_tokens,cost_usd\n";
    let lines = halves(book, |day, model, sums| {
        let Sums { requests, input, cached, written, output, nano } = sums;
        format!("{},{model},{requests},{input},{cached},{written},{output},{}\n", DAYS[day], dollars(*nano))
    });
    format!("{head}{lines}")
}

/// The title, the models, the writer, which figures it has: requests, tokens, cost.
type Case = (&'static str, [&'static str; 3], fn(&Book) -> String, [bool; 3]);

const CASES: [Case; 5] = [
    ("OpenAI's usage export", OPENAI, openai_usage, [true, true, false]),
    ("OpenAI's cost export", OPENAI, openai_cost, [false, true, true]),
    ("Anthropic's token export", CLAUDE, anthropic_usage, [false, true, false]),
    ("Anthropic's cost export", CLAUDE, anthropic_cost, [false, false, true]),
    ("the plain form", OPENAI, plain, [true, true, true]),
];

#[test]
fn what_is_equal_is_equal() {
    for (title, models, write, _) in CASES {
        let (rows, book) = month(&models);
        let report = report("equal", &write(&book), &rows, "--origin openai");
        assert_eq!((&report["format"], differences(&report)), (&title.into(), Vec::new()), "{title}");
        assert_eq!((&report["lines"], &report["attempts"]), (&9.into(), &201.into()), "{title}");
        for total in report["totals"].as_array().unwrap() {
            assert_eq!(total["invoice"], total["ledger"], "{title}");
            assert_ne!(total["invoice"], 0, "{title}: {total}");
        }
    }
}

#[test]
fn what_is_planted_is_found_and_nothing_else() {
    for (title, models, write, [has_requests, has_tokens, has_cost]) in CASES {
        let (rows, book) = month(&models);
        let mut planted = book.clone();
        let mut expected = Vec::new();
        let ids = |model: &str| {
            let displayed = match model {
                "claude-haiku-4-5-20251001" => "claude-haiku-4-5",
                "claude-opus-4-1-20250805" => "claude-opus-4-1",
                "claude-3-7-sonnet-20250219" => "claude-sonnet-3-7",
                other => other,
            };
            if title == "Anthropic's cost export" { displayed.to_owned() } else { model.to_owned() }
        };
        // One token more in three ways, one request less, and a nano-dollar too much.
        let mut plant =
            |day: usize, model: &str, what: &str, change: fn(&mut Sums), figures: fn(&Sums) -> u64| {
                let key = (day, model.to_owned());
                let sums = planted.get_mut(&key).unwrap();
                change(sums);
                let (now, before) = (figures(sums), figures(&book[&key]));
                let of = |value: u64| if what == "cost_usd" { trimmed(value) } else { value.to_string() };
                let difference = if what == "cost_usd" {
                    trimmed(now - before)
                } else {
                    (i128::from(now) - i128::from(before)).to_string()
                };
                let name = ids(model);
                expected.push(format!(
                    "{} {name}/{model} {what} {} {} {difference}",
                    DAYS[day],
                    of(now),
                    of(before)
                ));
            };
        if has_requests {
            plant(0, models[0], "requests", |sums| sums.requests -= 1, |sums| sums.requests);
        }
        if has_tokens {
            plant(0, models[1], "input_tokens", |sums| sums.input += 1, |sums| sums.input);
            plant(1, models[0], "cached_tokens", |sums| sums.cached -= 1, |sums| sums.cached);
            plant(1, models[1], "output_tokens", |sums| sums.output += 1, |sums| sums.output);
            plant(2, models[2], "cache_write_tokens", |sums| sums.written -= 1, |sums| sums.written);
        }
        if has_cost {
            plant(2, models[0], "cost_usd", |sums| sums.nano += 1, |sums| sums.nano);
        }
        // A line that the invoice lacks, and one that the ledger lacks.
        let gone = planted.remove(&(2, models[1].to_owned())).unwrap();
        let new = Sums { requests: 4, input: 30, cached: 20, written: 9, output: 7, nano: 1_500_000 };
        planted.insert((1, "brand-new".to_owned()), new);
        let compared = [
            ("requests", has_requests, gone.requests, new.requests),
            ("input_tokens", has_tokens, gone.input, new.input),
            ("cached_tokens", has_tokens, gone.cached, new.cached),
            ("cache_write_tokens", has_tokens, gone.written, new.written),
            ("output_tokens", has_tokens, gone.output, new.output),
        ];
        for (what, _, gone, new) in compared.into_iter().filter(|(_, is_there, ..)| *is_there) {
            expected.push(format!("{} /{} {what} - {gone} -{gone}", DAYS[2], models[1]));
            expected.push(format!("{} brand-new/ {what} {new} - {new}", DAYS[1]));
        }
        if has_cost {
            let gone = trimmed(gone.nano);
            expected.push(format!("{} /{} cost_usd - {gone} -{gone}", DAYS[2], models[1]));
            if title != "Anthropic's cost export" {
                expected.push(format!("{} brand-new/ cost_usd 0.0015 - 0.0015", DAYS[1]));
            }
        }
        if title == "Anthropic's cost export" {
            // The writer displays every other model as this one.
            planted.remove(&(1, "brand-new".to_owned()));
        }
        let report = report("planted", &write(&planted), &rows, "--origin openai");
        let mut found = differences(&report);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{title}");
    }
}

/// As the report prints it.
fn trimmed(nano: u64) -> String {
    let text = dollars(nano);
    let (whole, fraction) = text.split_once('.').unwrap();
    format!("{whole}.{:0<2}", fraction.trim_end_matches('0'))
}
