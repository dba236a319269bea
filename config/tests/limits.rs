//! Limits, tenants and the ledger in `moegate.toml`.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use moegate_config::authoring::parse;
use moegate_config::{LedgerStore, ReserveOrder, Window};

/// A configuration with these limits of its key, and more behind it.
fn with(limits: &str, more: &str) -> String {
    format!(
        r#"
[[origins]]
name = "o"
kind = "openai"
url = "https://o.example/v1"
models = [{{ name = "m", input = "1", output = "1" }}]

[[routes]]
model = "m"
origin = "o"

[[keys]]
name = "app"
tenant = "acme"
sha256_secret = "APP"
limits = {limits}
{more}"#
    )
}

#[test]
fn good_ones() {
    let limits = r#"[{ per = "minute", requests = 60, tokens = 100000 }, { per = "month", dollars = "500", soft_percent = 80 }, { concurrent = 8 }]"#;
    let tenants = "[[tenants]]\nname = \"acme\"\nlimits = [{ per = \"day\", dollars = \"20\" }]\n[ledger]\nkeep_days = 30\n";
    let config = parse(&with(limits, tenants)).unwrap();
    let [minute, month, at_once] = &config.keys[0].limits[..] else { panic!("three limits") };
    assert_eq!((minute.per, minute.requests, minute.tokens), (Some(Window::Minute), Some(60), Some(100_000)));
    assert_eq!(month.dollars.map(moegate_config::Dollars::nanodollars), Some(500_000_000_000));
    assert_eq!((at_once.per, at_once.concurrent), (None, Some(8)));
    assert_eq!((config.ledger.store, config.ledger.reserve), (LedgerStore::Database, ReserveOrder::First));
    assert_eq!(config.ledger.keep_days, 30);
}

#[test]
fn bad_ones_are_named() {
    for (limits, more, path, part) in [
        ("[{}]", "", "keys[0].limits[0]", "limits nothing"),
        ("[{ requests = 5 }]", "", "keys[0].limits[0]", "limits nothing"),
        (r#"[{ per = "day" }]"#, "", "keys[0].limits[0]", "none of `requests`"),
        (r#"[{ per = "day", concurrent = 2 }]"#, "", "keys[0].limits[0]", "two limits"),
        ("[{ concurrent = 2, tokens = 5 }]", "", "keys[0].limits[0]", "no `per`"),
        (r#"[{ per = "day", requests = 0 }]"#, "", "keys[0].limits[0].requests", "is nothing"),
        (r#"[{ per = "day", dollars = "0" }]"#, "", "keys[0].limits[0].dollars", "is nothing"),
        (
            r#"[{ per = "day", requests = 5, soft_percent = 50 }]"#,
            "",
            "keys[0].limits[0].soft_percent",
            "a part of",
        ),
        (
            r#"[{ per = "day", dollars = "5", soft_percent = 100 }]"#,
            "",
            "keys[0].limits[0].soft_percent",
            "1 to 99",
        ),
        (
            r#"[{ per = "day", requests = 5 }, { per = "day", tokens = 5 }]"#,
            "",
            "keys[0].limits[1]",
            "write them as one",
        ),
        ("[{ concurrent = 2 }, { concurrent = 3 }]", "", "keys[0].limits[1]", "write them as one"),
        ("[]", "[[tenants]]\nname = \"a b\"\n", "tenants[0].name", "cannot be a name"),
        ("[]", "[ledger]\nkeep_days = 0\n", "ledger.keep_days", "1 to 3650"),
        (
            "[{ concurrent = 2 }]",
            "[ledger]\nstore = \"key-value\"\n",
            "keys[0].limits[0]",
            "needs the ledger's database",
        ),
    ] {
        let problems = parse(&with(limits, more)).unwrap_err();
        let found = problems.iter().find(|problem| problem.path == path);
        let Some(found) = found else { panic!("{limits} {more}: {problems:?}") };
        assert!(found.message.contains(part), "{limits} {more}: {found}");
    }
}
