//! `moegate import` as a person calls it. The sources follow the products' public documentation:
//! LiteLLM's proxy configuration, routing and reliability pages; Portkey's config object, cookbook and conditional routing;
//! OpenRouter's provider routing, model routing and presets.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

/// With no variables but these, and that text on standard input.
fn import(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_moegate"))
        .arg("import")
        .args(arguments)
        .current_dir(folder())
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that looks at no input may be gone already.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn texts(output: Output) -> (String, String) {
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What comes out of a good source.
fn good(arguments: &[&str], input: &str) -> (String, String) {
    let output = import(arguments, &[], input);
    let is_good = output.status.success();
    let (toml, notes) = texts(output);
    assert!(is_good, "{arguments:?}: {notes}");
    (toml, notes)
}

/// What is said of a bad source.
fn bad(arguments: &[&str], input: &str) -> String {
    let output = import(arguments, &[], input);
    let code = output.status.code();
    let (toml, error) = texts(output);
    assert_eq!((code, &*toml), (Some(1), ""), "{arguments:?}: {error}");
    error
}

/// The source, what to call it with, and what stands in it that may stand nowhere else.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    ("litellm-balance.yaml", &[], &["sk-proj-abcdef0123456789"]),
    ("litellm-fallbacks.yaml", &[], &[]),
    ("portkey-fallback.json", &[], &["sk-one", "sk-ant-two"]),
    ("portkey-conditional.json", &["--provider", "main-258f4d=openai"], &[]),
    ("portkey-models.json", &["--model", "llama-3.3-70b-versatile"], &["gsk-three"]),
    ("openrouter-request.json", &[], &[]),
    ("openrouter-preset.json", &["--model", "writer"], &[]),
];

/// Each example's configuration stands beside it, with the list as comments at its head.
#[test]
fn examples_give_what_stands_beside_them() {
    for (file, options, secrets) in EXAMPLES {
        let (from, _) = file.split_once('-').unwrap();
        let (toml, notes) = good(&[&[from, file], *options].concat(), "");
        let beside = folder().join(file).with_extension("toml");
        assert_eq!(toml, fs::read_to_string(&beside).unwrap(), "{file}");
        for secret in *secrets {
            assert!(!toml.contains(secret) && !notes.contains(secret), "{file}: {secret}");
        }
        let head = toml.lines().take_while(|line| line.starts_with('#')).skip(2);
        let listed = head.map(|line| line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default());
        let told: Vec<_> = notes.lines().skip(1).collect();
        assert_eq!(told, listed.collect::<Vec<_>>(), "{file}: standard error has the list at the head");
        assert!(notes.starts_with(&format!("{file}: imported from ")), "{notes}");
        let check = Command::new(env!("CARGO_BIN_EXE_moegate"))
            .args(["check", "--no-spin"])
            .arg(&beside)
            .output()
            .unwrap();
        assert!(check.status.success(), "{file}: {}", String::from_utf8_lossy(&check.stderr));
    }
}

#[test]
fn standard_input_and_the_environment() {
    let text = "model_list:\n- model_name: m\n  litellm_params:\n    model: openai/m\n    api_base: os.environ/BASE\n    api_key: os.environ/KEY\n";
    let (toml, notes) = good(&["litellm", "-"], text);
    assert!(toml.contains("url = \"https://fill-in-base.invalid\""), "{toml}");
    assert!(
        notes.starts_with("standard input: imported from LiteLLM (origins: 1, routes: 1, keys: 1).\n"),
        "{notes}"
    );
    let variables = [("BASE", "https://llm.example/v1"), ("KEY", "never-to-be-read")];
    let (toml, notes) = texts(import(&["litellm", "-"], &variables, text));
    assert!(toml.contains("url = \"https://llm.example/v1\"\nsecret = \"KEY\"\n"), "{toml}");
    assert!(!toml.contains("never-to-be-read") && !notes.contains("never-to-be-read"), "{toml}{notes}");
}

#[test]
fn prices_are_exact() {
    let text = "model_list:\n- model_name: m\n  litellm_params: {model: openai/m, input_cost_per_token: 1.1e-07, output_cost_per_token: 0.0000003}\n";
    let (toml, _) = good(&["litellm", "-"], text);
    assert!(toml.contains("input = \"0.11\"\noutput = \"0.3\"\n"), "{toml}");
}

#[test]
fn what_is_wrong_with_a_source_is_said_with_its_place() {
    let entry = |params: &str| format!("model_list:\n- model_name: m\n  litellm_params: {{{params}}}\n");
    let target =
        |more: &str| format!("{{\"provider\": \"openai\", \"override_params\": {{\"model\": \"m\"}}{more}}}");
    let two = "model_list:\n- {model_name: a, litellm_params: {model: openai/a}}\n- {model_name: b, litellm_params: {model: openai/b}}\n";
    for (from, source, expected) in [
        ("litellm", "model_list: [\n".to_owned(), "is not YAML: "),
        ("litellm", "a: 1\na: 2\n".to_owned(), "`a` stands twice in one table at line 2"),
        ("litellm", String::new(), "(top): must be a table of names and values, but is nothing"),
        ("litellm", "router_settings: {}\n".to_owned(), "model_list: is missing"),
        ("litellm", "model_list: 5\n".to_owned(), "model_list: must be a list, but is a number"),
        ("litellm", "model_list: []\n".to_owned(), "model_list: has no entry that can be taken over"),
        ("litellm", "model_list:\n- model_name: m\n".to_owned(), "model_list[0].litellm_params: is missing"),
        ("litellm", entry("api_key: k"), "model_list[0].litellm_params.model: is missing"),
        ("litellm", entry("model: hosted_vllm/x"), "model_list[0].litellm_params.api_base: is missing"),
        (
            "litellm",
            entry("model: azure/x, api_base: <your-azure-endpoint>"),
            "litellm_params.api_base: is no plain URL",
        ),
        (
            "litellm",
            entry("model: openai/x, weight: [1]"),
            "litellm_params.weight: must be a number, but is a list",
        ),
        (
            "litellm",
            entry("model: openai/x, input_cost_per_token: -1"),
            "input_cost_per_token: must be a number that is not negative",
        ),
        (
            "litellm",
            entry("model: openai/x, input_cost_per_token: 1e9"),
            "input_cost_per_token: is more than any price",
        ),
        ("litellm", entry("model: bedrock/x"), "litellm_params.aws_region_name: is missing"),
        ("litellm", entry("model: \"openai/a b\""), "litellm_params.model: must be 1 to 200 visible ASCII"),
        (
            "litellm",
            format!("{two}router_settings: {{fallbacks: [{{a: [a]}}]}}\n"),
            "router_settings.fallbacks[0].a: is a circle of one",
        ),
        (
            "litellm",
            format!("{two}router_settings: {{fallbacks: [{{a: [b]}}, {{a: [b]}}]}}\n"),
            "has fallbacks already, at router_settings.fallbacks[0].a",
        ),
        (
            "litellm",
            format!("{two}router_settings: {{model_group_alias: {{a: b}}}}\n"),
            "model_group_alias.a: is the name of a group too",
        ),
        ("litellm", format!("{two}router_settings: 3\n"), "router_settings: must be a table"),
        ("portkey", "{".to_owned(), "is not JSON: EOF"),
        ("portkey", "[]".to_owned(), "(top): must be a table of names and values, but is a list"),
        ("portkey", "{\"a\": 1, \"a\": 2}".to_owned(), "a: stands there twice"),
        ("portkey", "{}".to_owned(), "provider: is missing"),
        ("portkey", "{\"provider\": \"openai\"}".to_owned(), "names no model"),
        (
            "portkey",
            "{\"provider\": \"acme\", \"override_params\": {\"model\": \"m\"}}".to_owned(),
            "--provider acme=openai",
        ),
        (
            "portkey",
            "{\"strategy\": {\"mode\": \"fallback\"}, \"targets\": []}".to_owned(),
            "targets: is empty",
        ),
        ("portkey", format!("{{\"targets\": [{}]}}", target("")), "strategy: is missing"),
        (
            "portkey",
            format!("{{\"strategy\": {{\"mode\": \"random\"}}, \"targets\": [{}]}}", target("")),
            "strategy.mode: must be single",
        ),
        (
            "portkey",
            format!(
                "{{\"strategy\": {{\"mode\": \"loadbalance\"}}, \"targets\": [{0}, {0}]}}",
                target(", \"weight\": 0")
            ),
            "no target with a `weight` above 0",
        ),
        (
            "portkey",
            format!(
                "{{\"strategy\": {{\"mode\": \"conditional\", \"conditions\": [{{\"query\": {{\"metadata.a\": \"b\"}}, \"then\": \"y\"}}]}}, \"targets\": [{}]}}",
                target(", \"name\": \"x\"")
            ),
            "conditions[0].then: there is no target of the name \"y\"",
        ),
        (
            "portkey",
            format!(
                "{{\"strategy\": {{\"mode\": \"conditional\", \"conditions\": [{{\"query\": {{\"params.n\": {{\"$gt\": 1}}}}, \"then\": \"x\"}}]}}, \"targets\": [{}]}}",
                target(", \"name\": \"x\"")
            ),
            "has no condition that can be taken over",
        ),
        ("portkey", target(", \"request_timeout\": \"soon\""), "request_timeout: must be a number"),
        ("openrouter", "{\"messages\": []}".to_owned(), "--model NAME"),
        ("openrouter", "{\"model\": [\"a\"]}".to_owned(), "model: must be text, but is a list"),
        ("openrouter", "{\"models\": \"a\"}".to_owned(), "models: must be a list, but is text"),
        ("openrouter", "nonsense".to_owned(), "is not JSON"),
    ] {
        let error = bad(&[from, "-"], &source);
        assert!(
            error.starts_with("error: standard input: ") && error.contains(expected),
            "{source}\n{error}{expected}"
        );
    }
}

#[test]
fn no_key_is_told() {
    let text = "model_list:\n- model_name: m\n  litellm_params: {model: openai/m, api_key: [sk-hidden], api_base: \"https://user:sk-hidden@host/v1\"}\n";
    assert!(!bad(&["litellm", "-"], text).contains("sk-hidden"));
    let text = "{\"provider\": \"openai\", \"override_params\": {\"model\": \"m\"}, \"api_key\": {\"a\": \"sk-hidden\"}}";
    let (toml, notes) = good(&["portkey", "-"], text);
    assert!(!toml.contains("sk-hidden") && !notes.contains("sk-hidden"), "{toml}{notes}");
}

/// Too many conditions for one rule, and a query whose parts double what follows.
#[test]
fn conditions_beyond_what_a_rule_holds_are_refused() {
    let conditions: Vec<_> = (0..40)
        .map(|i| format!("{{\"query\": {{\"$and\": [{{\"metadata.a\": \"{i}\"}}, {{\"metadata.a\": {{\"$ne\": \"x\"}}}}]}}, \"then\": \"t\"}}"))
        .collect();
    let text = format!(
        "{{\"strategy\": {{\"mode\": \"conditional\", \"conditions\": [{}], \"default\": \"t\"}}, \"targets\": [{{\"name\": \"t\", \"provider\": \"openai\", \"override_params\": {{\"model\": \"m\"}}}}]}}",
        conditions.join(", ")
    );
    let error = bad(&["portkey", "-"], &text);
    assert!(error.contains("conditions, the most a rule has"), "{error}");
}

#[test]
fn what_cannot_be_called() {
    for (arguments, expected) in [
        (&["kong", "x"][..], "cannot import from `kong`"),
        (&["portkey"], "there is no command"),
        (&["portkey", "x", "--provider", "openai"], "--provider wants SLUG=NAME"),
        (&["portkey", "x", "--platform", "spin"], "there is no command"),
        (&["litellm", "x", "--model", "m"], "--model and --provider are not for litellm"),
        (&["openrouter", "x", "--provider", "a=b"], "--provider is for portkey"),
    ] {
        let output = import(arguments, &[], "");
        let code = output.status.code();
        let (_, error) = texts(output);
        assert!(code == Some(2) && error.contains(expected), "{arguments:?}: {code:?} {error}");
    }
    let error = bad(&["portkey", "there-is-no-such-file"], "");
    assert!(error.contains("cannot read there-is-no-such-file"), "{error}");
}

/// What `docs/guides/import.md` shows is what the command does.
#[test]
fn the_guide_s_example_is_what_comes_out() {
    let page = include_str!("../../docs/guides/import.md");
    let block = |language: &str| {
        let fence = format!("```{language}\n");
        page.split(&*fence).nth(1).unwrap().split("```").next().unwrap()
    };
    let (toml, notes) = good(&["litellm", "-"], block("yaml"));
    assert_eq!(toml, block("toml"));
    let (command, told) = block("console").split_once('\n').unwrap();
    assert!(command.ends_with("import litellm config.yaml > moegate.toml"), "{command}");
    assert_eq!(notes.replace("standard input: ", "config.yaml: "), told);
}
