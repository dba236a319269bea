//! What may be replaced while the gateway runs, and what only changes with a deploy.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use moegate_config::authoring::parse;
use moegate_config::{Config, replaceable};

const DEPLOYED: &str = r#"
[gateway]
idempotency_s = 600

[[origins]]
name = "a"
kind = "openai"
url = "https://a.example/v1"
secret = "A_KEY"
models = [{ name = "m", input = "1", output = "2" }]

[[origins]]
name = "b"
kind = "bedrock"
url = "https://bedrock-runtime.us-east-1.amazonaws.com"
secret = "B_KEY"
aws = { region = "us-east-1", access_key_id = "B_ID" }
models = [{ name = "m", input = "1", output = "2" }]

[[routes]]
model = "m"
rule = { when = { header = { X-Plan = ["pro"] } }, then = { origin = "a" }, otherwise = { origin = "b" } }

[[keys]]
name = "app"
sha256_secret = "APP_HASH"

[ledger]
keep_days = 90

[admin]
sha256_secret = "ADMIN_HASH"
"#;

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn changed(from: &str, to: &str) -> Config {
    assert!(DEPLOYED.contains(from), "{from}");
    parse(&DEPLOYED.replacen(from, to, 1)).unwrap_or_else(|problems| panic!("{to}: {problems:?}"))
}

#[test]
fn what_may_differ() {
    let deployed = parse(DEPLOYED).unwrap();
    let route = "[[routes]]\nmodel = \"m\"";
    let key = "name = \"app\"";
    let admin = "[admin]";
    for (from, to) in [
        (route, "[[routes]]\nmodel = \"new\"\norigin = \"a\"\norigin_model = \"m\"\n\n[[routes]]\nmodel = \"m\"".to_owned()),
        (route, "[[routes]]\naliases = [\"n\"]\nbudget = { attempts = 1 }\nmodel = \"m\"".to_owned()),
        (route, "[[routes]]\nlimits = [{ per = \"day\", dollars = \"5\" }]\non_ledger_failure = \"open\"\nmodel = \"m\"".to_owned()),
        ("rule = { when = { header = { X-Plan = [\"pro\"] } }, then = { origin = \"a\" }, otherwise = { origin = \"b\" } }", "origin = \"b\"".to_owned()),
        // The same header, however it is written and whatever is done with it.
        ("X-Plan = [\"pro\"]", "x-plan = [\"max\"]".to_owned()),
        ("rule = { when", "rule = { split = [{ origin = \"a\" }, { origin = \"b\" }], sticky = \"X-PLAN\" }\n#".to_owned()),
        ("sha256_secret = \"APP_HASH\"", format!("sha256 = \"{HASH}\"")),
        (key, "name = \"renamed\"\ntenant = \"acme\"\nmodels = [\"m\"]\nlimits = [{ concurrent = 5 }]".to_owned()),
        (admin, format!("[[keys]]\nname = \"preview\"\nsha256 = \"{HASH}\"\n\n[admin]")),
        ("[[keys]]\nname = \"app\"\nsha256_secret = \"APP_HASH\"\n", String::new()),
        (admin, "[[tenants]]\nname = \"acme\"\nlimits = [{ per = \"day\", dollars = \"5\" }]\n\n[admin]".to_owned()),
        ("input = \"1\", output = \"2\" }]\n\n[[origins]]", "input = \"3\", output = \"4\", since = \"2026-11-01\", history = [{ since = \"2026-01-01\", input = \"1\", output = \"2\" }] }, { name = \"n\", input = \"1\", output = \"1\" }]\nlimits = [{ concurrent = 3 }]\n\n[[origins]]".to_owned()),
    ] {
        let pushed = changed(from, &to);
        assert_ne!(deployed, pushed, "{to}");
        assert_eq!(replaceable(&deployed, &pushed), [], "{to}");
    }
    assert_eq!(replaceable(&deployed, &deployed), []);
}

#[test]
fn what_must_be_as_it_is_deployed() {
    let deployed = parse(DEPLOYED).unwrap();
    let after_a = "secret = \"A_KEY\"\n";
    let with = |line: &str| format!("{after_a}{line}\n");
    let origin = |name: &str| {
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"https://c.example/v1\"\nmodels = [{{ name = \"m\", input = \"1\", output = \"1\" }}]\n\n[[routes]]"
        )
    };
    for (from, to, path, part) in [
        ("idempotency_s = 600", "idempotency_s = 60".to_owned(), "gateway", "[gateway]"),
        ("keep_days = 90", "keep_days = 9".to_owned(), "ledger", ""),
        ("sha256_secret = \"ADMIN_HASH\"", format!("sha256 = \"{HASH}\""), "admin", ""),
        ("[admin]\nsha256_secret = \"ADMIN_HASH\"", String::new(), "admin", ""),
        ("kind = \"openai\"", "kind = \"vllm\"".to_owned(), "origins[0].kind", ""),
        ("https://a.example/v1", "https://elsewhere.example/v1".to_owned(), "origins[0].url", ""),
        ("A_KEY", "OTHER".to_owned(), "origins[0].secret", ""),
        (after_a, with("spare_secrets = [\"SPARE\"]"), "origins[0].spare_secrets", ""),
        (after_a, with("secret_headers = { x-access = \"ACCESS\" }"), "origins[0].secret_headers", ""),
        (after_a, with("first_byte_timeout_s = 5"), "origins[0].first_byte_timeout_s", ""),
        (after_a, with("breaker = { failures = 0 }"), "origins[0].breaker", ""),
        (after_a, with("retry_percent = 0"), "origins[0].retry_percent", ""),
        (after_a, with("prefill = \"continue_final_message\""), "origins[0].prefill", ""),
        (after_a, with("stream_usage = \"never\""), "origins[0].stream_usage", ""),
        (after_a, with("responses = true"), "origins[0].responses", ""),
        (after_a, with("fields = { allow = [\"store\"] }"), "origins[0].fields", ""),
        (after_a, with("wake = { via = \"request\" }"), "origins[0].wake", ""),
        ("access_key_id = \"B_ID\"", "access_key_id = \"OTHER_ID\"".to_owned(), "origins[1].aws", ""),
        ("[[routes]]", origin("c"), "origins[2]", "`c` is not deployed"),
        ("APP_HASH", "NEW_HASH".to_owned(), "keys[0].sha256_secret", "`NEW_HASH`"),
        ("X-Plan", "X-Team".to_owned(), "routes[0].rule", "`x-team`"),
        (
            "rule = { when",
            "rule = { split = [{ origin = \"a\" }, { origin = \"b\" }], sticky = \"x-user\" }\n#".to_owned(),
            "routes[0].rule",
            "`x-user`",
        ),
    ] {
        let problems = replaceable(&deployed, &changed(from, &to));
        let [problem] = &problems[..] else { panic!("{to}: {problems:?}") };
        assert_eq!(problem.path, path, "{to}");
        assert!(problem.message.contains("deploy"), "{problem}");
        assert!(part == "[gateway]" || problem.message.contains(part), "{problem}");
    }
}

/// Every origin's place is its own: one in another's place is not the same.
#[test]
fn origins_keep_their_places() {
    let deployed = parse(DEPLOYED).unwrap();
    let mut pushed = deployed.clone();
    pushed.origins.reverse();
    let paths = |pushed: &Config| {
        replaceable(&deployed, pushed).into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&pushed), ["origins[0].name", "origins[1].name"]);
    pushed.origins.reverse();
    pushed.origins[1].api_version = Some("2026-01-01".into());
    assert_eq!(paths(&pushed), ["origins[1].api_version"]);
    pushed.origins.pop();
    assert_eq!(paths(&pushed), ["origins[1]"]);
}
