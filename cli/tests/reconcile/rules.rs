//! What counts as the same, and what is said beside the figures.

use super::world::{call, differences, report, row};

const HEAD: &str = "date,model,requests,input_tokens,output_tokens,cost_usd\n";

fn plain(lines: &[&str]) -> String {
    HEAD.to_owned() + &lines.join("\n") + "\n"
}

/// 10 tokens in, 5 out, 25 nano-dollars.
fn small(id: &str, model: &str) -> String {
    row(id, model, r#","usage":{"prompt":10,"completion":5},"cost_nanodollars":25"#)
}

#[test]
fn an_alias_meets_its_snapshot() {
    let rows = small("1", "gpt-4o") + &small("2", "gpt-4o-2024-08-06") + &small("3", "gpt-4o-mini");
    let invoice = plain(&[
        "2026-11-03,gpt-4o-2024-08-06,2,20,10,0.00000005",
        "2026-11-03,gpt-4o-mini-2024-07-18,1,10,6,0.000000025",
    ]);
    assert_eq!(
        differences(&report("alias", &invoice, &rows, "")),
        ["2026-11-03 gpt-4o-mini-2024-07-18/gpt-4o-mini output_tokens 6 5 1"]
    );
    // Another snapshot is another model.
    let other = plain(&["2026-11-03,gpt-4o-2024-11-20,1,10,5,0.000000025"]);
    let found = differences(&report("alias", &other, &small("1", "gpt-4o-2024-08-06"), ""));
    assert_eq!(found.len(), 8, "{found:?}");
}

#[test]
fn money_has_a_tolerance_and_tokens_have_none() {
    let rows = small("1", "m");
    let invoice = plain(&["2026-11-03,m,1,10,5,0.01"]);
    let found = |options: &str| differences(&report("tolerance", &invoice, &rows, options));
    let cost = "2026-11-03 m/m cost_usd 0.01 0.000000025 0.009999975";
    assert_eq!(found(""), [cost]);
    assert_eq!(found("--tolerance 0.009999974"), [cost]);
    assert!(found("--tolerance 0.009999975").is_empty());
    let token = plain(&["2026-11-03,m,1,11,5,0.000000025"]);
    assert_eq!(
        differences(&report("tolerance", &token, &rows, "--tolerance 100")),
        ["2026-11-03 m/m input_tokens 11 10 1"]
    );
}

#[test]
fn what_is_not_settled_is_called_out() {
    let rows = small("1", "m")
        + &row("2", "m", r#","bound_nanodollars":1000,"cost_nanodollars":1000"#)
            .replace("settled", "pending")
        + &row(
            "3",
            "m",
            r#","usage":{"prompt":10,"completion":3},"cost_nanodollars":19,"bound_nanodollars":500"#,
        )
        .replace("settled", "estimated")
        + &row("4", "m", r#","metered":false"#);
    // The ledger has 25 + 1000 + 19; certain are 25, and at most it is 25 + 1000 + 500.
    for (cost, within) in
        [("0.000000025", true), ("0.000001525", true), ("0.000001526", false), ("0.000000024", false)]
    {
        let invoice = plain(&[&format!("2026-11-03,m,4,20,8,{cost}")]);
        let report = report("unsettled", &invoice, &rows, "");
        let found = &report["differences"];
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_eq!(
            (&found[0]["what"], &found[0]["within_bounds"]),
            (&"cost_usd".into(), &within.into()),
            "{cost}"
        );
        let unsettled = &report["unsettled"];
        assert_eq!(
            (&unsettled["pending"], &unsettled["estimated"], &unsettled["unmetered"]),
            (&1.into(), &1.into(), &1.into())
        );
        assert_eq!(
            (&unsettled["booked_usd"], &unsettled["highest_usd"]),
            (&"0.000001019".into(), &"0.0000015".into())
        );
    }
    let files = [("i.csv", plain(&["2026-11-03,m,4,20,8,0"]).into_bytes()), ("r.jsonl", rows.into_bytes())];
    let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &**bytes)).collect();
    let (code, text, _) = call("unsettled", &files, "i.csv --usage r.jsonl", "");
    assert_eq!(code, 1);
    assert!(text.contains("1 pending, 1 estimated, 1 without counts\n"), "{text}");
    assert!(text.contains("Not settled: 2 of 4 attempts"), "{text}");
    assert!(text.contains("Without counts: 1 of 4 attempts"), "{text}");
}

#[test]
fn what_origins_say_themselves_is_beside_it() {
    let with = |id: &str, theirs: u64| {
        row(
            id,
            "m",
            &format!(
                r#","usage":{{"prompt":10,"completion":5}},"cost_nanodollars":25,"upstream_cost_nanodollars":{theirs}"#
            ),
        )
    };
    let invoice = plain(&["2026-11-03,m,2,20,10,0.00000005"]);
    let notes = |rows: &str| report("upstream", &invoice, rows, "")["notes"].to_string();
    assert_eq!(notes(&(with("1", 25) + &with("2", 25))), "[]");
    let said = notes(&(with("1", 25) + &with("2", 40)));
    assert!(
        said.contains("Of 2 attempts") && said.contains("$0.000000065") && said.contains("$0.00000005:"),
        "{said}"
    );
}

#[test]
fn origins_are_told_apart() {
    let rows = small("1", "m") + &small("2", "m").replace("openai", "groq");
    let invoice = plain(&["2026-11-03,m,1,10,5,0.000000025"]);
    assert!(differences(&report("origin", &invoice, &rows, "--origin groq")).is_empty());
    let both = report("origin", &invoice, &rows, "");
    assert_eq!(differences(&both).len(), 4);
    assert!(both["notes"].to_string().contains("2 origins: groq, openai"), "{both}");
    // An export with nothing at all is compared; one with only others' attempts is a mistake.
    assert_eq!(differences(&report("origin", &invoice, "", "--origin groq")).len(), 4);
}

#[test]
fn refused_attempts_are_no_requests() {
    let answered = row("1", "m", "");
    let refused = row("2", "m", "").replace("\"status\":200", "\"status\":429").replace("complete", "error");
    let cut = row("3", "m", "").replace("complete", "truncated");
    let invoice = plain(&["2026-11-03,m,1,0,0,0"]);
    assert!(differences(&report("refused", &invoice, &(answered + &refused + &cut), "")).is_empty());
}

#[test]
fn without_models_whole_days_are_compared() {
    let rows = small("1", "a") + &small("2", "b");
    let day = "date,requests,cost_usd\n2026-11-03,2,0.00000005\n";
    assert!(differences(&report("days", day, &rows, "")).is_empty());
    let openai = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item\n\
                  1793664000,1793750400,,,0.000000051,usd,\n1793750400,1793836800,,,,,\n";
    let report = report("days", openai, &rows, "");
    assert_eq!(differences(&report), ["2026-11-03 / cost_usd 0.000000051 0.00000005 0.000000001"]);
    assert_eq!((&report["from"], &report["to"]), (&"2026-11-03".into(), &"2026-11-04".into()));
}

#[test]
fn credits_and_tools_are_lines() {
    let invoice = "start_time,end_time,amount_value,amount_currency,quantity,line_item\n\
                   1793664000,1793750400,0.000000025,usd,,\"m, output\"\n\
                   1793664000,1793750400,0.01,usd,1,web search tool calls\n\
                   1793664000,1793750400,-0.005,usd,,credit\n";
    assert_eq!(
        differences(&report("items", invoice, &small("1", "m"), "")),
        [
            "2026-11-03 credit/ cost_usd -0.005 - -0.005",
            "2026-11-03 web search tool calls/ cost_usd 0.01 - 0.01"
        ]
    );
}

#[test]
fn searches_and_other_days_are_mentioned() {
    let invoice = "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write,\
                   usage_input_tokens_cache_read,usage_output_tokens,web_search_count\n\
                   2026-11-03,m,10,0,0,5,3\n";
    let late = small("2", "m").replace("1793707200000", "1793793600000");
    let report = report("notes", invoice, &(small("1", "m") + &late), "");
    assert_eq!(
        differences(&report),
        ["2026-11-04 /m input_tokens - 10 -10", "2026-11-04 /m output_tokens - 5 -5"]
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("3 web searches") && notes.contains("1 of the ledger's days lie outside"),
        "{notes}"
    );
}

/// Parts of an export, appended.
#[test]
fn an_export_in_parts_is_one() {
    let rows = small("1", "m") + "{\"next_cursor\":\"abc\"}\n" + &small("2", "m");
    let invoice = plain(&["2026-11-03,m,2,20,10,0.00000005"]);
    assert!(differences(&report("parts", &invoice, &rows, "")).is_empty());
}

#[test]
fn either_file_may_come_from_standard_input() {
    let (rows, invoice) = (small("1", "m"), plain(&["2026-11-03,m,1,10,5,0.000000025"]));
    let (i, r) = (("i.csv", invoice.as_bytes()), ("r.jsonl", rows.as_bytes()));
    let (code, text, error) = call("stdin", &[i], "i.csv --usage -", &rows);
    assert_eq!((code, &*error), (0, ""), "{text}");
    assert!(text.ends_with("Equal: 1 line compared.\n"), "{text}");
    assert_eq!(call("stdin", &[r], "- --usage r.jsonl", &invoice).0, 0);
}
