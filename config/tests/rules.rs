//! Rules as people write them: what each becomes, and what is said of one that is nothing.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::{
    Action, Breaker, Budget, Condition, Config, Failure, Leaf, Part, Prefill, Rule, StreamMode, Timeouts,
    authoring,
};

const ORIGINS: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://127.0.0.1:8788/v1"
secret = "OWN_KEY"
[[origins.models]]
name = "m"
input = "1"
output = "2"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
[[origins.models]]
name = "m"
input = "1"
output = "2"
[[origins.models]]
name = "long"
input = "2"
output = "4"

[[keys]]
name = "app"
tenant = "acme"
sha256_secret = "APP_SHA256"
"#;

/// What is told of a route with these lines: `path: message` of each problem.
fn told(route: &str) -> Vec<String> {
    let text = format!("{ORIGINS}\n[[routes]]\nmodel = \"m\"\n{route}\n");
    let problems = authoring::parse(&text).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

fn parsed(route: &str) -> Config {
    authoring::parse(&format!("{ORIGINS}\n[[routes]]\nmodel = \"m\"\n{route}\n")).unwrap()
}

fn to(origin: &str, model: Option<&str>) -> Rule {
    Rule::To(Leaf { origin: origin.to_owned(), model: model.map(str::to_owned) })
}

#[test]
fn each_kind_becomes_what_it_says_and_survives_being_compiled_in() {
    let (own, far) = (to("own", None), to("far", None));
    for (rule, expected) in [
        ("{ origin = \"own\" }", own.clone()),
        ("{ origin = \"far\", model = \"long\" }", to("far", Some("long"))),
        (
            "{ order = [{ origin = \"own\" }, { origin = \"far\" }] }",
            Rule::Order(vec![own.clone(), far.clone()]),
        ),
        ("{ cheapest = [{ origin = \"own\" }] }", Rule::Cheapest(vec![own.clone()])),
        (
            "{ split = [{ origin = \"own\", weight = 90 }, { origin = \"far\" }], sticky = \"x-user-id\" }",
            Rule::Split {
                parts: vec![Part { weight: 90, rule: own.clone() }, Part { weight: 1, rule: far.clone() }],
                sticky: Some("x-user-id".to_owned()),
            },
        ),
        (
            "{ split = [{ order = [{ origin = \"own\" }], weight = 0 }, { origin = \"far\" }] }",
            Rule::Split {
                parts: vec![
                    Part { weight: 0, rule: Rule::Order(vec![own.clone()]) },
                    Part { weight: 1, rule: far.clone() },
                ],
                sticky: None,
            },
        ),
        (
            "{ replicas = [{ origin = \"own\" }, { origin = \"far\" }] }",
            Rule::Replicas { of: vec![own.clone(), far.clone()], prefix_bytes: 1024 },
        ),
        (
            "{ replicas = [{ origin = \"own\" }], prefix_bytes = 16 }",
            Rule::Replicas { of: vec![own.clone()], prefix_bytes: 16 },
        ),
        (
            "{ when = { stream = true }, then = { origin = \"own\" } }",
            Rule::When {
                when: Condition { stream: Some(true), ..Condition::default() },
                then: Box::new(own.clone()),
                otherwise: None,
            },
        ),
        (
            "{ when = { model = [\"m\"], key = [\"app\"], tenant = [\"acme\"], header = { x-tier = [\"a\"] }, prompt_at_least = 1, prompt_below = 9, stream = false }, then = { origin = \"own\" }, otherwise = { order = [{ origin = \"far\" }] } }",
            Rule::When {
                when: Condition {
                    model: vec!["m".to_owned()],
                    key: vec!["app".to_owned()],
                    tenant: vec!["acme".to_owned()],
                    header: [("x-tier".to_owned(), vec!["a".to_owned()])].into(),
                    prompt_at_least: Some(1),
                    prompt_below: Some(9),
                    stream: Some(false),
                },
                then: Box::new(own.clone()),
                otherwise: Some(Box::new(Rule::Order(vec![far.clone()]))),
            },
        ),
    ] {
        let config = parsed(&format!("rule = {rule}"));
        assert_eq!(config.routes[0].rule.as_ref(), Some(&expected), "{rule}");
        // What the gateway reads at its start.
        let json = authoring::to_json(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
    }
}

#[test]
fn tables_of_toml_are_rules_too() {
    let config = parsed(
        "[routes.rule]\nsticky = \"key\"\n[[routes.rule.split]]\norigin = \"own\"\nweight = 9\n\
         [[routes.rule.split]]\n[[routes.rule.split.order]]\norigin = \"far\"\n[[routes.rule.split.order]]\norigin = \"own\"\n",
    );
    let rule = config.routes[0].rule.as_ref().unwrap();
    let origins: Vec<_> = rule.leaves().iter().map(|leaf| leaf.origin.as_str()).collect();
    assert_eq!(origins, ["own", "far", "own"]);
}

#[test]
fn what_is_no_rule_is_told_in_a_sentence() {
    for (rule, sentence) in [
        ("{}", "a rule needs one of `origin`, `order`, `split`, `cheapest`, `replicas`, `when`"),
        ("{ weight = 1 }", "`weight` has a meaning only for the parts of a `split`"),
        ("{ origin = \"own\", weight = 1 }", "`weight` has a meaning only for the parts of a `split`"),
        (
            "{ order = [{ origin = \"own\", weight = 1 }] }",
            "`weight` has a meaning only for the parts of a `split`",
        ),
        ("{ origin = \"own\", order = [] }", "a rule is one thing, but this one has `origin` and `order`"),
        (
            "{ split = [], cheapest = [], replicas = [] }",
            "a rule is one thing, but this one has `split` and `cheapest` and `replicas`",
        ),
        ("{ order = [], model = \"m\" }", "`model` belongs to `origin`, but this rule has `order`"),
        ("{ order = [], sticky = \"key\" }", "`sticky` belongs to `split`, but this rule has `order`"),
        (
            "{ split = [], prefix_bytes = 9 }",
            "`prefix_bytes` belongs to `replicas`, but this rule has `split`",
        ),
        ("{ then = { origin = \"own\" } }", "`then` belongs to `when`, but this rule has none"),
        (
            "{ origin = \"own\", otherwise = { origin = \"far\" } }",
            "`otherwise` belongs to `when`, but this rule has `origin`",
        ),
        ("{ when = { stream = true } }", "`when` needs `then`"),
        ("{ split = [{ weight = 2 }] }", "a rule needs one of"),
        ("{ origin = \"own\", wait = 1 }", "unknown field `wait`"),
        ("{ when = { weather = [\"rain\"] }, then = { origin = \"own\" } }", "unknown field `weather`"),
        ("{ split = [{ origin = \"own\", weight = -1 }] }", "invalid value"),
    ] {
        let problems = told(&format!("rule = {rule}"));
        assert!(problems.len() == 1 && problems[0].contains(sentence), "{rule}: {problems:#?}");
        // With the place in the file.
        assert!(problems[0].contains("TOML parse error at line "), "{rule}: {problems:#?}");
    }
}

#[test]
fn rules_that_cannot_be_meant() {
    let nested =
        |depth| format!("{}{{ origin = \"own\" }}{}", "{ order = [".repeat(depth), "] }".repeat(depth));
    for (route, path, message) in [
        ("rule = { order = [] }", "routes[0].rule.order", "is empty"),
        ("rule = { order = [{ cheapest = [] }] }", "routes[0].rule.order[0].cheapest", "is empty"),
        ("rule = { split = [] }", "routes[0].rule.split", "is empty"),
        ("rule = { split = [{ origin = \"own\", weight = 0 }] }", "routes[0].rule.split", "has no weight"),
        (
            "rule = { split = [{ origin = \"own\" }], sticky = \"Authorization\" }",
            "routes[0].rule.sticky",
            "holds a secret",
        ),
        (
            "rule = { split = [{ origin = \"own\" }], sticky = \"a b\" }",
            "routes[0].rule.sticky",
            "not a header name",
        ),
        (
            "rule = { replicas = [{ origin = \"own\" }], prefix_bytes = 15 }",
            "routes[0].rule.prefix_bytes",
            "must be 16 to 65536",
        ),
        (
            "rule = { order = [{ origin = \"near\" }] }",
            "routes[0].rule.order[0].origin",
            "there are: own, far",
        ),
        (
            "rule = { order = [{ origin = \"own\" }, { origin = \"far\", model = \"x\" }] }",
            "routes[0].rule.order[1].model",
            "it has: m, long",
        ),
        ("rule = { when = {}, then = { origin = \"own\" } }", "routes[0].rule.when", "always holds"),
        (
            "rule = { when = { model = [\"n\"] }, then = { origin = \"own\" } }",
            "routes[0].rule.when.model[0]",
            "`aliases`",
        ),
        (
            "rule = { when = { key = [\"b\"] }, then = { origin = \"own\" } }",
            "routes[0].rule.when.key[0]",
            "no key `b`",
        ),
        (
            "rule = { when = { tenant = [\"b\"] }, then = { origin = \"own\" } }",
            "routes[0].rule.when.tenant[0]",
            "no key is of the tenant `b`",
        ),
        (
            "rule = { when = { header = { x-api-key = [\"b\"] } }, then = { origin = \"own\" } }",
            "routes[0].rule.when.header.x-api-key",
            "holds a secret",
        ),
        (
            "rule = { when = { header = { x-tier = [] } }, then = { origin = \"own\" } }",
            "routes[0].rule.when.header.x-tier",
            "names no value",
        ),
        (
            "rule = { when = { header = { x-tier = [\"a\", \"b\\r\\nc\"] } }, then = { origin = \"own\" } }",
            "routes[0].rule.when.header.x-tier",
            "no header can have the value \"b\\r\\nc\"",
        ),
        (
            "rule = { when = { prompt_at_least = 9, prompt_below = 9 }, then = { origin = \"own\" } }",
            "routes[0].rule.when.prompt_below",
            "no prompt fits",
        ),
        (
            "rule = { when = { prompt_below = 0 }, then = { origin = \"own\" } }",
            "routes[0].rule.when.prompt_below",
            "no prompt fits",
        ),
        (
            "rule = { when = { prompt_at_least = 0 }, then = { origin = \"own\" } }",
            "routes[0].rule.when.prompt_at_least",
            "every prompt has",
        ),
        (
            "rule = { when = { stream = true }, then = { origin = \"own\" }, otherwise = { order = [] } }",
            "routes[0].rule.otherwise.order",
            "is empty",
        ),
        ("origin = \"own\"\nrule = { origin = \"own\" }", "routes[0]", "both `origin` and `rule`"),
        ("", "routes[0]", "has no origin"),
        (
            "stream = \"relay\"\nrule = { order = [{ origin = \"own\" }, { origin = \"far\" }] }",
            "routes[0].stream",
            "`far` is not",
        ),
        ("stream = \"relay\"\ncontinue = true\norigin = \"own\"", "routes[0].stream", "nothing could go on"),
        (
            "continue = true\norigin = \"own\"\nbudget = { attempts = 1 }",
            "routes[0].continue",
            "second attempt",
        ),
        ("origin = \"own\"\nbudget = { attempts = 0 }", "routes[0].budget.attempts", "must be 1 to 10"),
        ("origin = \"own\"\nbudget = { seconds = 3601 }", "routes[0].budget.seconds", "must be 1 to 3600"),
        (
            "origin = \"own\"\nbudget = { longest_wait_s = 61 }",
            "routes[0].budget.longest_wait_s",
            "must be 0 to 60",
        ),
        (
            "origin = \"own\"\nbudget = { dollars = \"0\" }",
            "routes[0].budget.dollars",
            "no request could be sent",
        ),
        ("origin = \"own\"\ntimeouts = { idle_s = 0 }", "routes[0].timeouts.idle_s", "must be 1 to 600"),
        (
            "origin = \"own\"\nbudget = { seconds = 20 }\ntimeouts = { first_byte_s = 21 }",
            "routes[0].timeouts.first_byte_s",
            "20 seconds of the whole budget",
        ),
        ("origin = \"own\"\non = { refused = \"next\" }", "routes[0].on.refused", "at fault itself"),
        ("origin = \"own\"\non = { bad_key = \"retry\" }", "routes[0].on.bad_key", "fail the same way"),
        (
            "origin = \"own\"\non = { context_length = \"retry\" }",
            "routes[0].on.context_length",
            "fail the same way",
        ),
        (
            &format!("rule = {}", nested(16)),
            &format!("routes[0].rule{}", ".order[0]".repeat(16)),
            "more than 16 deep",
        ),
    ] {
        let problems = told(route);
        let expected = format!("{path}: ");
        assert!(
            problems.len() == 1 && problems[0].starts_with(&expected) && problems[0].contains(message),
            "{route}: {problems:#?}"
        );
    }
    assert_eq!(told(&format!("rule = {}", nested(15))), [""; 0]);
    // Not a crash either.
    assert_eq!(told(&format!("rule = {}", nested(10_000))).len(), 1);
}

#[test]
fn what_is_left_out_is_as_the_reference_says() {
    let config = parsed("origin = \"own\"");
    let route = &config.routes[0];
    assert_eq!(route.budget, Budget { attempts: 3, seconds: 600, dollars: None, longest_wait_s: 10 });
    assert_eq!(route.timeouts, Timeouts { first_byte_s: None, idle_s: None });
    assert!(!route.continues && route.on.is_empty() && route.aliases.is_empty());
    assert_eq!(*route.rule(), to("own", None));
    let origin = &config.origins[0];
    assert_eq!(origin.breaker, Breaker { failures: 5, percent: 50, attempts: 20, open_s: 5 });
    assert_eq!((origin.retry_percent, origin.first_byte_timeout_s), (20, 240));
    assert_eq!(origin.prefill(), Prefill::Assistant);
    assert_eq!(config.gateway.idempotency_s, 600);
}

#[test]
fn a_route_with_everything() {
    let config = parsed(
        "aliases = [\"n\"]\norigin_model = \"long\"\nrule = { order = [{ origin = \"far\" }, { origin = \"own\", model = \"m\" }] }\n\
         stream = \"pump\"\ncontinue = true\n\
         budget = { attempts = 2, seconds = 30, dollars = \"0.05\", longest_wait_s = 0 }\n\
         timeouts = { first_byte_s = 10, idle_s = 5 }\non = { content_filter = \"next\", timeout = \"stop\" }\n",
    );
    let route = &config.routes[0];
    assert!(route.has_name("n") && route.has_name("m") && !route.has_name("long"));
    assert_eq!((route.model_at(None), route.model_at(Some("m"))), ("long", "m"));
    assert_eq!(route.budget.dollars.map(moegate_config::Dollars::nanodollars), Some(50_000_000));
    assert_eq!((route.stream, route.continues), (Some(StreamMode::Pump), true));
    for (failure, action) in [
        (Failure::ContentFilter, Action::Next),
        (Failure::Timeout, Action::Stop),
        (Failure::Conflict, Action::Retry),
        (Failure::Connect, Action::Next),
        (Failure::Refused, Action::Stop),
    ] {
        assert_eq!(route.action(failure), action, "{failure:?}");
    }
    let json = authoring::to_json(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
    // A name is `continue` outside, and each name of a failure is the one that answers use.
    assert!(json.contains("\"continue\":true") && json.contains("\"content_filter\":\"next\""), "{json}");
}

#[test]
fn failures_are_named_in_files_as_in_answers() {
    for failure in Failure::ALL {
        assert_eq!(serde_json::to_value(failure).unwrap(), failure.name());
    }
}

#[test]
fn the_headers_that_rules_look_at() {
    let config = parsed(
        "rule = { when = { header = { X-Tier = [\"a\"] } }, then = { split = [{ origin = \"own\" }], sticky = \"X-User-Id\" }, otherwise = { split = [{ origin = \"far\" }, { when = { header = { x-tier = [\"b\"] } }, then = { origin = \"own\" } }], sticky = \"key\" } }",
    );
    assert_eq!(config.rule_headers(), ["x-tier", "x-user-id"]);
}
