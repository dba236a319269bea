use super::*;
use crate::config::{Failure, authoring};
use crate::resilience::health::{AttemptResult, Health};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;

const T: u64 = 1_800_000_000_000;

/// Four origins with the model `m`, of which `d` also has `big`.
fn config(rule: &str) -> Config {
    let origin = |(name, input, output, more): (&str, &str, &str, &str)| {
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"https://{name}.example/v1\"\n\
             [[origins.models]]\nname = \"m\"\ninput = \"{input}\"\noutput = \"{output}\"\n{more}"
        )
    };
    let big = "[[origins.models]]\nname = \"big\"\ninput = \"9\"\noutput = \"9\"\n";
    let origins =
        [("a", "4", "4", ""), ("b", "1", "10", ""), ("c", "2", "2", ""), ("d", "3", "1", big)].map(origin);
    let hash = |digit: &str| digit.repeat(64);
    let rest = format!(
        "[[routes]]\nmodel = \"m\"\naliases = [\"other\"]\nrule = {rule}\n\
         [[keys]]\nname = \"app\"\nsha256 = \"{}\"\n\
         [[keys]]\nname = \"gold\"\ntenant = \"premium\"\nsha256 = \"{}\"\n",
        hash("a"),
        hash("b")
    );
    authoring::parse(&(origins.concat() + &rest)).unwrap()
}

#[derive(Clone)]
struct Ask<'a> {
    model: &'a str,
    key: usize,
    stream: bool,
    body_bytes: usize,
    max_tokens: Option<u64>,
    conversation: &'a str,
    headers: &'a [(&'a str, &'a str)],
    seed: u8,
}

const ASK: Ask<'_> = Ask {
    model: "m",
    key: 0,
    stream: false,
    body_bytes: 400,
    max_tokens: None,
    conversation: "[]",
    headers: &[],
    seed: 0,
};

impl Ask<'_> {
    fn plan<'c>(&self, config: &'c Config, health: &Health, explain: Option<&mut String>) -> Plan<'c> {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        let headers = self.headers.iter().map(header).collect();
        let context = RouteContext {
            now_ms: 0,
            model: self.model,
            key: &config.keys[self.key],
            stream: self.stream,
            size: RequestSize {
                body_bytes: self.body_bytes,
                max_tokens: self.max_tokens,
                choices: 1,
                ..Default::default()
            },
            conversation: self.conversation.as_bytes(),
            headers: &headers,
        };
        let mut rng = Rng::new([self.seed, 1, 2, 3, 4, 5, 6, 7]);
        let is_open = |index| health.is_open(index, T);
        plan(config, &config.routes[0], &context, &is_open, &mut rng, explain)
    }

    /// The origins in their order, such as `a b`; with the model where it is not `m`.
    fn order(&self, config: &Config) -> String {
        shown(&self.plan(config, &Health::default(), None))
    }
}

fn shown(plan: &Plan<'_>) -> String {
    let name = |target: &Target<'_>| match target.model.name.as_str() {
        "m" => target.origin.name.clone(),
        other => format!("{}/{other}", target.origin.name),
    };
    plan.targets.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn rules_that_draw_nothing() {
    for (rule, expected) in [
        ("{ origin = \"c\" }", "c"),
        ("{ origin = \"d\", model = \"big\" }", "d/big"),
        ("{ order = [{ origin = \"b\" }, { origin = \"a\" }] }", "b a"),
        // Each index once; another model at the same origin is another index.
        ("{ order = [{ origin = \"b\" }, { origin = \"b\" }, { origin = \"a\" }] }", "b a"),
        ("{ order = [{ origin = \"d\" }, { origin = \"d\", model = \"big\" }] }", "d d/big"),
        (
            "{ order = [{ order = [{ origin = \"c\" }, { origin = \"a\" }] }, { origin = \"c\" }, { origin = \"b\" }] }",
            "c a b",
        ),
        // Weight 0 is off: not even a fallback.
        ("{ split = [{ origin = \"a\", weight = 0 }, { origin = \"b\" }] }", "b"),
        ("{ split = [{ order = [{ origin = \"b\" }, { origin = \"c\" }] }] }", "b c"),
        (
            "{ cheapest = [{ origin = \"a\" }, { origin = \"b\" }, { origin = \"c\" }, { origin = \"d\" }] }",
            "d c a b",
        ),
        (
            "{ cheapest = [{ origin = \"c\" }, { order = [{ origin = \"a\" }, { origin = \"d\" }] }] }",
            "d c a",
        ),
        ("{ when = { stream = true }, then = { origin = \"a\" } }", ""),
        ("{ order = [{ when = { stream = true }, then = { origin = \"a\" } }, { origin = \"b\" }] }", "b"),
        (
            "{ when = { stream = false }, then = { cheapest = [{ origin = \"a\" }, { origin = \"c\" }] } }",
            "c a",
        ),
    ] {
        assert_eq!(ASK.order(&config(rule)), expected, "{rule}");
    }
}

#[test]
fn conditions() {
    let rule = |when: &str| {
        format!("{{ when = {{ {when} }}, then = {{ origin = \"a\" }}, otherwise = {{ origin = \"b\" }} }}")
    };
    let ask = || ASK.clone();
    for (when, ask, holds) in [
        ("model = [\"m\"]", ask(), true),
        ("model = [\"other\"]", ask(), false),
        ("model = [\"m\", \"other\"]", Ask { model: "other", ..ask() }, true),
        ("key = [\"app\"]", ask(), true),
        ("key = [\"app\"]", Ask { key: 1, ..ask() }, false),
        ("tenant = [\"premium\"]", Ask { key: 1, ..ask() }, true),
        ("tenant = [\"premium\"]", ask(), false),
        ("header = { x-tier = [\"a\", \"b\"] }", Ask { headers: &[("x-tier", "b")], ..ask() }, true),
        ("header = { X-Tier = [\"b\"] }", Ask { headers: &[("x-tier", "b")], ..ask() }, true),
        ("header = { x-tier = [\"b\"] }", Ask { headers: &[("x-tier", "B")], ..ask() }, false),
        ("header = { x-tier = [\"b\"] }", ask(), false),
        ("header = { x-tier = [\"\"] }", Ask { headers: &[("x-tier", "")], ..ask() }, false),
        ("header = { x-a = [\"1\"], x-b = [\"2\"] }", Ask { headers: &[("x-a", "1")], ..ask() }, false),
        ("prompt_at_least = 100", Ask { body_bytes: 400, ..ask() }, true),
        ("prompt_at_least = 100", Ask { body_bytes: 399, ..ask() }, false),
        ("prompt_below = 100", Ask { body_bytes: 399, ..ask() }, true),
        ("prompt_below = 100", Ask { body_bytes: 400, ..ask() }, false),
        ("prompt_at_least = 50, prompt_below = 100", Ask { body_bytes: 300, ..ask() }, true),
        ("stream = true", Ask { stream: true, ..ask() }, true),
        ("stream = true", ask(), false),
        // All of it must hold.
        ("stream = true, tenant = [\"premium\"]", Ask { stream: true, ..ask() }, false),
        ("stream = true, tenant = [\"premium\"]", Ask { stream: true, key: 1, ..ask() }, true),
    ] {
        assert_eq!(ask.order(&config(&rule(when))), if holds { "a" } else { "b" }, "{when}");
    }
}

#[test]
fn the_cheapest_depends_on_the_request_and_an_open_breaker_is_last() {
    let config = config("{ cheapest = [{ origin = \"a\" }, { origin = \"b\" }, { origin = \"c\" }] }");
    // Long prompts make b's input price count, long answers its output price.
    for (body_bytes, max_tokens, expected) in
        [(400_000, Some(10), "b c a"), (400, Some(10_000), "c a b"), (400, None, "c a b")]
    {
        assert_eq!(
            Ask { body_bytes, max_tokens, ..ASK }.order(&config),
            expected,
            "{body_bytes} {max_tokens:?}"
        );
    }
    let mut health = Health::default();
    let mut rng = Rng::new([3; 8]);
    let cheapest = ASK.plan(&config, &health, None).targets[0];
    for _ in 0..cheapest.origin.breaker.failures {
        health.begin(&cheapest, false, T);
        health.end(&cheapest, AttemptResult::of(Failure::ServerError, None), T, T, &mut rng);
    }
    assert_eq!(shown(&ASK.plan(&config, &health, None)), "a b c");
}

/// How often each origin comes first, over many requests.
fn firsts(config: &Config, asks: impl Iterator<Item = Ask<'static>>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for ask in asks {
        let first = ask.order(config).split(' ').next().unwrap_or("").to_owned();
        *counts.entry(first).or_default() += 1;
    }
    counts
}

#[test]
fn a_split_follows_its_weights_and_the_others_follow_the_drawn_part() {
    let config = config(
        "{ split = [{ origin = \"a\", weight = 1 }, { origin = \"b\", weight = 7 }, { origin = \"c\", weight = 2 }] }",
    );
    let counts = firsts(&config, (0..=255).map(|seed| Ask { seed, ..ASK }));
    for (origin, share) in [("a", 25.6), ("b", 179.2), ("c", 51.2)] {
        let count = f64::from(counts[origin]);
        assert!((count - share).abs() < 25.0, "{counts:?}");
    }
    for seed in 0..=255 {
        let order = Ask { seed, ..ASK }.order(&config);
        assert!(["a b c", "b c a", "c b a"].contains(&order.as_str()), "{order}");
    }
}

fn users(count: usize) -> impl Iterator<Item = Ask<'static>> {
    (0..count).map(|number| {
        let name: &'static str = format!("user-{number}").leak();
        let headers: &'static [_] = vec![("x-user-id", name)].leak();
        Ask { headers, seed: number as u8, ..ASK }
    })
}

#[test]
fn a_sticky_split_draws_the_same_for_the_same_user() {
    let split = |sticky: &str| {
        config(&format!(
            "{{ split = [{{ origin = \"a\", weight = 9 }}, {{ origin = \"b\" }}], sticky = \"{sticky}\" }}"
        ))
    };
    let by_header = split("X-User-Id");
    for ask in users(100) {
        for model in ["m", "other"] {
            let again = Ask { seed: ask.seed ^ 0x55, model, body_bytes: 9_999, ..ask.clone() };
            assert_eq!(ask.order(&by_header), again.order(&by_header), "{:?}", ask.headers);
        }
    }
    let counts = firsts(&by_header, users(1000));
    assert!((70..130).contains(&counts["b"]), "{counts:?}");
    // Without the header each request is drawn anew.
    let counts = firsts(&by_header, (0..=255).map(|seed| Ask { seed, ..ASK }));
    assert!((10..45).contains(&counts["b"]), "{counts:?}");
    let by_key = split("key");
    for key in [0, 1] {
        assert_eq!(firsts(&by_key, (0..=255).map(|seed| Ask { seed, key, ..ASK })).len(), 1, "{key}");
    }
}

#[test]
fn a_sticky_split_within_another_is_drawn_apart() {
    let half = |one: &str, other: &str| {
        format!(
            "{{ split = [{{ origin = \"{one}\" }}, {{ origin = \"{other}\" }}], sticky = \"x-user-id\" }}"
        )
    };
    let nested =
        config(&format!("{{ split = [{}, {}], sticky = \"x-user-id\" }}", half("a", "b"), half("c", "d")));
    let counts = firsts(&nested, users(1000));
    assert!(["a", "b", "c", "d"].iter().all(|origin| (200..300).contains(&counts[*origin])), "{counts:?}");
}

fn replicas(origins: &[&str]) -> Config {
    let rules: Vec<_> = origins.iter().map(|origin| format!("{{ origin = \"{origin}\" }}")).collect();
    config(&format!("{{ replicas = [{}], prefix_bytes = 16 }}", rules.join(", ")))
}

fn conversations(count: usize) -> impl Iterator<Item = Ask<'static>> {
    (0..count).map(|number| Ask { conversation: format!("[{number:015}, and more]").leak(), ..ASK })
}

#[test]
fn replicas_go_by_the_beginning_of_the_conversation() {
    let four = replicas(&["a", "b", "c", "d"]);
    let other_order = replicas(&["d", "b", "a", "c"]);
    for ask in conversations(100) {
        let order = ask.order(&four);
        assert_eq!(ask.order(&other_order), order, "by name, not by index");
        let longer: &'static str = format!("{} and much more", &ask.conversation[..16]).leak();
        assert_eq!(Ask { conversation: longer, seed: 9, ..ask }.order(&four), order, "{longer}");
        assert_eq!(order.len(), "a b c d".len(), "the others follow");
    }
    let counts = firsts(&four, conversations(1000));
    assert!(["a", "b", "c", "d"].iter().all(|origin| (200..300).contains(&counts[*origin])), "{counts:?}");
    assert_eq!(Ask { conversation: "", ..ASK }.order(&four).len(), 7, "shorter than the beginning");
}

#[test]
fn only_the_conversations_of_a_replica_that_goes_move() {
    let (four, three) = (replicas(&["a", "b", "c", "d"]), replicas(&["a", "b", "d"]));
    for ask in conversations(200) {
        let (before, after) = (ask.order(&four), ask.order(&three));
        let without: Vec<_> = before.split(' ').filter(|origin| *origin != "c").collect();
        assert_eq!(after, without.join(" "), "its conversations go to the next, the others stay");
    }
}

#[test]
fn two_models_of_one_origin_may_be_replicas() {
    let config = config("{ replicas = [{ origin = \"d\" }, { origin = \"d\", model = \"big\" }] }");
    let counts = firsts(&config, conversations(1000));
    assert!((400..600).contains(&counts["d"]), "{counts:?}");
}

#[test]
fn decisions_are_explained() {
    let config = config(
        "{ order = [
            { when = { tenant = [\"premium\"] }, then = { origin = \"a\" } },
            { split = [{ origin = \"b\", weight = 2 }, { origin = \"c\" }], sticky = \"key\" },
            { cheapest = [{ origin = \"d\" }, { origin = \"a\" }] },
            { replicas = [{ origin = \"b\" }] } ] }",
    );
    let mut text = String::new();
    ASK.plan(&config, &Health::default(), Some(&mut text));
    for line in [
        "order: one after the other",
        "  when: the tenant is \"\", so nothing",
        "  split: part 1 of 2, 66.7 % (always for \"app\")",
        "    1. b, model m",
        "    2. c, model m",
        "  cheapest: by price for this request, those with an open breaker last",
        "    d: about 0.0008 dollars",
        "    3. d, model m",
        "    4. a, model m",
        "  replicas: by the conversation's first 2 bytes",
        "    b, model m: is in the plan already",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
}

#[test]
fn shares_in_percent() {
    for (share, of, expected) in
        [(1, 2, "50"), (1, 3, "33.3"), (9, 10, "90"), (1, 1000, "0.1"), (1, 1, "100"), (0, 0, "0")]
    {
        assert_eq!(percent(share, of), expected);
    }
}
