//! `moegate check --explain` as a person calls it.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CONFIG: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "https://own.example/v1"
secret = "OWN_KEY"
first_byte_timeout_s = 30
[[origins.models]]
name = "m"
input = "1"
output = "2"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
spare_secrets = ["FAR_SPARE"]
[[origins.models]]
name = "big"
input = "10"
output = "20"

[[routes]]
model = "m"
aliases = ["small"]
timeouts = { idle_s = 15 }
budget = { attempts = 4, seconds = 120, dollars = "0.5", longest_wait_s = 5 }
on = { server_error = "retry", timeout = "stop" }
[[routes.rule.order]]
when = { tenant = ["acme"] }
then = { origin = "far", model = "big" }
[[routes.rule.order]]
split = [{ origin = "own", weight = 90 }, { origin = "far", model = "big", weight = 10 }]
sticky = "x-user-id"

[[routes]]
model = "gone"
rule = { when = { stream = true }, then = { cheapest = [{ origin = "own", model = "m" }] } }
continue = true

[[keys]]
name = "narrow"
sha256_secret = "NARROW_SHA256"
models = ["gone"]
[[keys]]
name = "app"
sha256_secret = "APP_SHA256"
[[keys]]
name = "gold"
tenant = "acme"
sha256_secret = "GOLD_SHA256"
"#;

const REQUEST: &str =
    r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hello, who are you?"}]}"#;

/// A folder of its own per test, with these files.
fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("explain").join(test);
    let _absent_the_first_time = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// The exit code, and what it says.
fn explain(folder: &PathBuf, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn the_whole_page() {
    let stream = REQUEST.replace("{\"model\"", "{\"stream\":true,\"model\"");
    let folder = folder("page", &[("moegate.toml", CONFIG), ("request.json", &stream)]);
    let (code, text) = explain(&folder, &["--explain", "request.json", "--header", "X-User-Id=ann"]);
    let expected = "\
Request: model `m`, key `app`, streamed, about 26 tokens of prompt, at most 100 tokens of answer.

The rule of the route `m`:
  order: one after the other
    when: the tenant is \"\", so nothing
    split: part 1 of 2, 90 % (always for \"ann\")
      1. own, model m
      2. far, model big

The plan:
  1. own (moegate), model `m`
     price: about 0.000226 dollars
     time: 30 s to the first content
     stream: relayed unread once it has begun
  2. far (openai), model `big`
     price: about 0.00226 dollars
     time: 120 s to the first content, 15 s between chunks
     stream: pumped, every event looked at
     keys: 2, the next one where one is refused or limited

Budget: attempts: 4; time: 120 s; money: 0.5 dollars; longest wait: 5 s.
After a failure:
  next   connect, broken, rate_limited, waking, context_length, bad_key, model_not_found, unsupported, bad_answer
  retry  request_timeout, conflict, too_early, server_error
  stop   timeout, content_filter, refused
A stream that breaks off once it has begun: the client gets an error event.
";
    assert_eq!((code, text.as_str()), (Some(0), expected));
}

#[test]
fn what_depends_on_the_request() {
    let dear = REQUEST.replace(":100", ":30000");
    let files = [("moegate.toml", CONFIG), ("request.json", REQUEST), ("dear.json", &dear)];
    let gone = REQUEST.replace("\"m\"", "\"gone\"");
    let stream = gone.replace("{\"model\"", "{\"stream\":true,\"model\"");
    let more = [("gone.json", gone.as_str()), ("stream.json", &stream)];
    let folder = folder("depends", &[&files[..], &more].concat());
    for (arguments, lines) in [
        (
            &["--explain", "request.json", "--key", "gold"][..],
            &[
                "key `gold` of the tenant `acme`, not streamed",
                "    when: holds, so `then`\n      1. far, model big",
                "      far, model big: is in the plan already",
                "     time: 30 s for the whole answer",
            ][..],
        ),
        // Without the header it is drawn, which no page can foresee.
        (
            &["--explain", "request.json"],
            &[
                "(drawn for each request)",
                "Draws are made with a fixed seed here; each request makes its own.",
            ],
        ),
        (
            &["moegate.toml", "--explain", "request.json", "--header", "x-other=1"],
            &["No rule looks at the header `x-other`."],
        ),
        (&["--explain", "dear.json"], &["about 0.60023 dollars, more than the budget: it is left out"]),
        (
            &["--explain", "gone.json"],
            &["key `narrow`", "when: the request is not streamed, so nothing", "503 `no_origin`"],
        ),
        (
            &["--explain", "stream.json"],
            &["All breakers are taken to be closed.", "another origin that can goes on with it", "pumped"],
        ),
    ] {
        let (code, text) = explain(&folder, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        for line in lines {
            assert!(text.contains(line), "{arguments:?}: {line}\n{text}");
        }
    }
}

#[test]
fn a_budget_that_ends_before_the_plan() {
    let config = CONFIG.replace("attempts = 4", "attempts = 1");
    let folder = folder("short", &[("moegate.toml", &config), ("request.json", REQUEST)]);
    let (_, text) = explain(&folder, &["--explain", "request.json"]);
    assert!(text.contains("attempts (1) end before the last of them"), "{text}");
}

#[test]
fn mistakes() {
    let keyless = CONFIG.split("[[keys]]").next().unwrap().replace("tenant = [\"acme\"]", "stream = true");
    let files = [
        ("moegate.toml", CONFIG),
        ("keyless.toml", &keyless),
        ("bad.toml", "[[origins]]"),
        ("request.json", REQUEST),
        ("other.json", "{\"model\":\"x\"}"),
        ("text.json", "hello"),
        ("half.json", "{\"model\":\"m\""),
        ("nameless.json", "{\"messages\":[]}"),
    ];
    let folder = folder("mistakes", &files);
    for (code, arguments, message) in [
        (1, &["--explain", "absent.json"][..], "cannot read absent.json"),
        (1, &["--explain", "text.json"], "text.json: the request body must be a JSON object"),
        (1, &["--explain", "half.json"], "half.json: the request body is not valid JSON"),
        (1, &["--explain", "nameless.json"], "`model` is missing"),
        (1, &["--explain", "other.json"], "there is no model \"x\"; this key may use: m, small, gone"),
        (
            1,
            &["--explain", "request.json", "--key", "nobody"],
            "there is no key `nobody`; there are: narrow, app, gold",
        ),
        (1, &["--explain", "request.json", "--key", "narrow"], "may not use the model `m`"),
        (1, &["keyless.toml", "--explain", "request.json"], "answered 401"),
        (1, &["bad.toml", "--explain", "request.json"], "bad.toml cannot be used"),
        (2, &["--explain", "request.json", "--header", "x-tier"], "--header NAME=VALUE"),
        (2, &["--key", "app"], "belong to --explain"),
        (2, &["--header", "a=b"], "belong to --explain"),
        (2, &["--explain"], "missing argument"),
    ] {
        let (got, text) = explain(&folder, arguments);
        assert!(got == Some(code) && text.contains(message), "{arguments:?}: {got:?} {text}");
    }
}
