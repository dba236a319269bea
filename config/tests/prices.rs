//! What a price list says, and which of its prices holds when.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::{Config, Day, Origin, authoring};
use moegate_wire::{Nanodollars, Price, Rates, Step, Usage};

const GOOD: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://127.0.0.1:8788/v1"
secret = "OWN_KEY"
gpu_hour = "2.49"
[[origins.models]]
name = "timed"
[[origins.models]]
name = "both"
input = "0.1"
output = "0.4"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
[[origins.models]]
name = "plain"
input = "1"
output = "2"
[[origins.models]]
name = "full"
since = "2026-11-01"
source = "https://example.com/pricing"
input = "1"
cached_input = "0.1"
cache_write = "1.25"
cache_write_1h = "2"
audio_input = "7"
output = "4"
reasoning = "5"
audio_output = "9"
image = "0.04"
request = "0.005"
steps = [
  { above = 200000, input = "2", cached_input = "0.2", cache_write = "2.5", cache_write_1h = "4", audio_input = "8", output = "6", reasoning = "7", audio_output = "10", image = "0.08", request = "0.01" },
]
[[origins.models.history]]
since = "2026-06-01"
source = "https://example.com/pricing?june"
input = "3"
output = "8"
steps = [{ above = 100, input = "4", output = "9" }, { above = 1000, input = "5", output = "10" }]
[[origins.models.history]]
since = "2026-01-01"
input = "10"
output = "20"
"#;

fn config() -> Config {
    authoring::parse(GOOD).unwrap()
}

fn price_at(origin: &Origin, model: &str, day: &str) -> Price {
    origin.price_at(origin.model(model).unwrap(), Day::parse(day).unwrap().start_ms())
}

#[test]
fn every_class_and_its_default() {
    let config = config();
    let far = config.origin("far").unwrap();
    let usual = Rates {
        input: 1_000_000_000,
        cached_input: 100_000_000,
        cache_write: 1_250_000_000,
        cache_write_1h: 2_000_000_000,
        audio_input: 7_000_000_000,
        output: 4_000_000_000,
        reasoning: 5_000_000_000,
        audio_output: 9_000_000_000,
        image: 40_000_000,
        request: 5_000_000,
    };
    let price = price_at(far, "full", "2026-11-27");
    assert_eq!(price.rates, usual);
    let rates = Rates {
        input: 2_000_000_000,
        cached_input: 200_000_000,
        cache_write: 2_500_000_000,
        cache_write_1h: 4_000_000_000,
        audio_input: 8_000_000_000,
        output: 6_000_000_000,
        reasoning: 7_000_000_000,
        audio_output: 10_000_000_000,
        image: 80_000_000,
        request: 10_000_000,
    };
    assert_eq!(price.steps, [Step { above: 200_000, rates }]);
    let plain = price_at(far, "plain", "2026-11-27");
    assert_eq!(plain, Rates::of_tokens(1_000_000_000, 2_000_000_000).into());
    let written = GOOD.replacen("input = \"1\"\n", "input = \"1\"\ncache_write = \"3\"\n", 1);
    let written = authoring::parse(&written).unwrap();
    let rates = price_at(written.origin("far").unwrap(), "plain", "2026-11-27").rates;
    assert_eq!((rates.cache_write, rates.cache_write_1h), (3_000_000_000, 3_000_000_000));
}

#[test]
fn an_hour_of_own_gpus() {
    let config = config();
    let own = config.origin("own").unwrap();
    let timed = price_at(own, "timed", "2026-11-27");
    assert_eq!(timed, Price { gpu_hour: 2_490_000_000, ..Price::default() });
    let usage = Usage { prompt: 1_000_000, ..Usage::default() };
    assert_eq!(timed.cost(&usage, 3_600_000_000), Nanodollars(2_490_000_000));
    let both = price_at(own, "both", "2026-11-27");
    assert_eq!(both.cost(&usage, 3_600_000_000), Nanodollars(2_590_000_000));
}

#[test]
fn the_price_of_the_day_holds() {
    let config = config();
    let far = config.origin("far").unwrap();
    for (day, input, steps) in [
        ("1970-01-01", 10, 0),
        ("2025-12-31", 10, 0),
        ("2026-01-01", 10, 0),
        ("2026-05-31", 10, 0),
        ("2026-06-01", 3, 2),
        ("2026-10-31", 3, 2),
        ("2026-11-01", 1, 1),
        ("2030-01-01", 1, 1),
    ] {
        let price = price_at(far, "full", day);
        assert_eq!((price.rates.input, price.steps.len()), (input * 1_000_000_000, steps), "{day}");
    }
    let begin = Day::parse("2026-11-01").unwrap().start_ms();
    let full = far.model("full").unwrap();
    assert_ne!(far.price_at(full, begin - 1), far.price_at(full, begin));
}

#[test]
fn a_version_names_the_price_of_the_day() {
    let config = config();
    let far = config.origin("far").unwrap();
    let version = |model: &str, day: &str| {
        far.price_version(far.model(model).unwrap(), Day::parse(day).unwrap().start_ms())
    };
    // Written down: records hold it.
    assert_eq!(version("plain", "2026-11-27"), "bd089794");
    for (day, since) in
        [("2026-11-27", "2026-11-01-"), ("2026-06-01", "2026-06-01-"), ("2020-01-01", "2026-01-01-")]
    {
        let version = version("full", day);
        assert!(version.starts_with(since) && version.len() == 19, "{version}");
    }
    let json = authoring::to_json(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let full = "origins[1].models[1]";
    let table = [
        (
            "[[origins.models]]\nname = \"plain\"\ninput = \"1\"\n",
            "[[origins.models]]\nname = \"plain\"\n",
            "origins[1].models[0].input",
            "is missing",
        ),
        ("input = \"1\"\noutput = \"2\"\n", "input = \"1\"\n", "origins[1].models[0].output", "is missing"),
        ("input = \"0.1\"\n", "", "origins[0].models[1].input", "is missing"),
        ("input = \"10\"\n", "", &format!("{full}.history[1].input"), "is missing"),
        ("since = \"2026-11-01\"\n", "", &format!("{full}.since"), "is missing: there is a `history`"),
        (
            "since = \"2026-11-01\"",
            "since = \"2026-06-01\"",
            &format!("{full}.history[0].since"),
            "not before the model's own",
        ),
        (
            "since = \"2026-01-01\"",
            "since = \"2026-06-01\"",
            &format!("{full}.history[1].since"),
            "each day once",
        ),
        (
            "since = \"2026-01-01\"",
            "since = \"2026-07-01\"",
            &format!("{full}.history[1].since"),
            "the latest stands first",
        ),
        ("since = \"2026-01-01\"", "since = \"2026-02-30\"", "moegate.toml", "`2026-02-30` is not a day"),
        ("since = \"2026-01-01\"\n", "", "moegate.toml", "missing field `since`"),
        (
            "since = \"2026-01-01\"\n",
            "since = \"2026-01-01\"\nhistory = []\n",
            "moegate.toml",
            "unknown field `history`",
        ),
        ("above = 1000,", "above = 100,", &format!("{full}.history[0].steps[1].above"), "must be more"),
        ("above = 200000, input = \"2\"", "input = \"2\"", "moegate.toml", "missing field `above`"),
        (
            "cached_input = \"0.2\", ",
            "",
            &format!("{full}.steps[0].cached_input"),
            "say `cached_input` again",
        ),
        ("image = \"0.08\", ", "", &format!("{full}.steps[0].image"), "say `image` again"),
        ("image = \"0.04\"", "image = \"4 cents\"", "moegate.toml", "is not a price"),
        ("\"https://example.com/pricing\"", "\"example.com\"", &format!("{full}.source"), "must be the URL"),
        (
            "\"https://example.com/pricing?june\"",
            "\"https://a b\"",
            &format!("{full}.history[0].source"),
            "must be the URL",
        ),
        (
            "secret = \"FAR_KEY\"",
            "secret = \"FAR_KEY\"\ngpu_hour = \"2\"",
            "origins[1].gpu_hour",
            "kind `moegate`",
        ),
        ("gpu_hour = \"2.49\"\n", "", "origins[0].models[0].input", "is missing"),
    ];
    for (from, to, path, text) in table {
        assert!(GOOD.contains(from), "{from}");
        let problems = authoring::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        let told =
            |problem: &&moegate_config::Problem| problem.path == path && problem.message.contains(text);
        assert!(problems.iter().any(|problem| told(&problem)), "{from} → {to}: {problems:?}");
    }
    let steps = |count: usize| {
        let steps: Vec<_> =
            (0..count).map(|at| format!("{{ above = {at}, input = \"1\", output = \"2\" }}")).collect();
        let steps = format!("output = \"20\"\nsteps = [{}]", steps.join(", "));
        authoring::parse(&GOOD.replacen("output = \"20\"", &steps, 1))
    };
    assert!(steps(16).is_ok());
    assert_eq!(steps(17).unwrap_err()[0].path, format!("{full}.history[1].steps"));
}
