//! What is wrong with a file or an argument is said, with exit status 2 and nothing on standard output.

use super::world::{call, row};

fn bad(invoice: &[u8], rows: &str, arguments: &str) -> String {
    let files = [("invoice.csv", invoice), ("rows.jsonl", rows.as_bytes())];
    let (code, text, error) = call("bad", &files, arguments, "");
    assert_eq!((code, &*text), (2, ""), "{arguments}: {error}");
    error
}

const BOTH: &str = "invoice.csv --usage rows.jsonl";

#[test]
fn invoices() {
    let usage = "start_time,end_time,num_model_requests,model,input_tokens\n";
    let cost = "start_time,end_time,amount_value,amount_currency,line_item\n";
    for (invoice, expected) in [
        ("", "it is empty"),
        ("date,model,requests\n", "the plain form, but has no lines"),
        ("date,model\n2026-11-03,m\n", "nothing to compare"),
        (
            "date,model,request\n2026-11-03,m,1\n",
            "has a column `request`; the plain form has date, model, requests",
        ),
        ("date,requests,requests\n2026-11-03,1,1\n", "two columns `requests`"),
        ("date,requests\n03.11.2026,1\n", "line 2, date: `03.11.2026` is no day in UTC"),
        ("date,requests\n,1\n", "line 2: there is no day in date"),
        ("date,requests\n2026-11-03,1\n2026-11-04,1.5\n", "line 3, requests: `1.5` is no whole number"),
        ("date,requests\n2026-11-03,-1\n", "`-1` is no whole number"),
        ("date,cost_usd\n2026-11-03,$1\n", "cost_usd: `$1` is no amount of dollars"),
        ("date;cost_usd\n2026-11-03;1,50\n", "`1,50` is no amount of dollars"),
        ("date,cost_usd\n2026-11-03,1,50\n", "line 2: 3 cells where the header has 2"),
        ("date,cost_usd\n2026-11-03,9e9\n", "no amount of dollars"),
        (&format!("{usage}1793664000,1794268800,1,m,5\n"), "a bucket of 604800 seconds; days are compared"),
        (&format!("{usage},,1,m,5\n"), "there is no day in start_time or start_time_iso"),
        (&format!("{cost}1793664000,1793750400,1,eur,m\n"), "amount_currency: `eur` is no currency"),
    ] {
        let error = bad(invoice.as_bytes(), "", BOTH);
        assert!(error.starts_with("error: invoice.csv: "), "{error}");
        assert!(error.contains(expected), "{invoice:?}: {error}");
    }
    // 1.7e8 dollars are the most that there can be.
    let large = "date,cost_usd\n".to_owned() + &"2026-11-03,100000000\n".repeat(2);
    let error = bad(large.as_bytes(), "", BOTH);
    assert!(error.contains("too large to compute with"), "{error}");
}

#[test]
fn headers_that_nobody_knows() {
    let error = bad(b"Date,Slug,Usage\n2026-11-03,m,1\n", "", BOTH);
    // With a column `date` alone it would be the plain form; `Slug` is none of its columns.
    assert!(error.contains("has a column `slug`"), "{error}");
    let error = bad(b"day,spend\n2026-11-03,1\n", "", BOTH);
    for part in [
        "day, spend",
        "OpenAI's usage export: start_time, num_model_requests, input_tokens",
        "OpenAI's cost export: start_time, amount_value, amount_currency",
        "Anthropic's token export: usage_date_utc",
        "Anthropic's cost export: usage_date_utc, cost_usd",
        "the plain form: date",
        "docs/guides/reconcile.md",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn files_that_are_no_csv() {
    assert!(bad(b"\xFF\xFEd\0a\0", "", BOTH).contains("UTF-16"));
    assert!(bad(b"PK\x03\x04\xA0\xFF", "", BOTH).contains("not UTF-8"));
    let error = bad(b"date,requests\n2026-11-03,1\n", "", "missing.csv --usage rows.jsonl");
    assert!(error.contains("cannot read missing.csv"), "{error}");
}

#[test]
fn exports_of_the_ledger() {
    let invoice = b"date,requests\n2026-11-03,1\n";
    for (rows, expected) in [
        ("{\"id\":\"1\"\n".to_owned(), "rows.jsonl, line 1 is no row of the ledger's export"),
        (row("1", "m", "") + "\n\n[]\n", "rows.jsonl, line 4 is no row"),
        ("{\"id\":\"1\"}\n".to_owned(), "missing field `started_ms`"),
        (row("1", "m", "").replace("settled", "sealed"), "unknown variant `sealed`"),
        (row("1", "m", r#","usage":{"prompt":-5}"#), "line 1 is no row"),
        (row("1", "m", "") + &row("1", "m", ""), "line 2: the attempt 1 is there twice"),
        (row("1", "m", r#","cost_nanodollars":100000000000000001"#), "that cannot be"),
        (row("1", "m", "") + "{\"next_cursor\":\"abc\"}\n", "only the beginning of the export"),
        (row("1", "m", "") + "{\"next_cursor\":\"abc\"}\n\n", "with &cursor=abc"),
    ] {
        let error = bad(invoice, &rows, BOTH);
        assert!(error.contains(expected), "{rows}: {error}");
    }
    let error = bad(invoice, &row("1", "m", ""), "invoice.csv --usage rows.jsonl --origin groq");
    assert!(error.contains("no attempt at the origin `groq`; it has openai"), "{error}");
    let error = bad(invoice, "", "invoice.csv --usage missing.jsonl");
    assert!(error.contains("cannot read missing.jsonl"), "{error}");
}

#[test]
fn arguments() {
    for (arguments, expected) in [
        ("", "moegate reconcile INVOICE.csv"),
        ("invoice.csv", "--usage ROWS.jsonl"),
        ("- --usage -", "cannot both come from standard input"),
        ("invoice.csv other.csv --usage rows.jsonl", "unexpected argument \"other.csv\""),
        ("invoice.csv --usage rows.jsonl --tolerance cent", "`cent` is no tolerance"),
        ("invoice.csv --usage rows.jsonl --tolerance -1", "no tolerance"),
        ("invoice.csv --usage rows.jsonl --model m", "invalid option '--model'"),
    ] {
        let error = bad(b"", "", arguments);
        assert!(error.contains(expected) && error.contains("see `moegate help`"), "{arguments}: {error}");
    }
}

#[test]
fn tables_as_spreadsheets_write_them() {
    let rows = row("1", "a, b", r#","usage":{"prompt":10,"completion":5}"#);
    for invoice in [
        "date,model,input_tokens\r\n2026-11-03,\"a, b\",10\r\n,,\r\n",
        "\u{feff}Date;Model;Input_Tokens\n2026-11-03;a, b;10\n",
        "date\tmodel\tinput_tokens\n2026-11-03T08:30:00Z\ta, b\t10.0\n\n",
        "\"date\",\"model\",\"input_tokens\"\n\"2026-11-03\",\"a, b\",\"10\"",
    ] {
        let files = [("invoice.csv", invoice.as_bytes()), ("rows.jsonl", rows.as_bytes())];
        let (code, text, error) = call("spreadsheets", &files, BOTH, "");
        assert_eq!((code, &*error), (0, ""), "{invoice}: {text}");
    }
}
