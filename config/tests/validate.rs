//! Each way to get `moegate.toml` wrong, and what the person is told.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::{Config, DENIED_FIELDS, DeniedAction, ErrorDetail, authoring};

const GOOD: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://127.0.0.1:8788/v1"
secret = "OWN_KEY"
[[origins.models]]
name = "m"
input = "0.10"
output = "0.40"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
spare_secrets = ["FAR_SPARE"]
secret_headers = { "CF-Access-Client-Secret" = "FAR_ACCESS" }
[[origins.models]]
name = "big"
input = "1"
cached_input = "0.5"
output = "2"

[[routes]]
model = "m"
origin = "own"
[[routes]]
model = "large"
origin = "far"
origin_model = "big"

[[keys]]
name = "app"
sha256_secret = "APP_SHA256"
models = ["m"]
[admin]
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"
"#;

#[test]
fn a_good_one_survives_being_compiled_in() {
    let config = authoring::parse(GOOD).unwrap();
    let json = authoring::to_json(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    assert_eq!(config.secret_names(), ["APP_SHA256", "FAR_ACCESS", "FAR_KEY", "FAR_SPARE", "OWN_KEY"]);
    let far = config.origin("far").unwrap();
    let rates = far.price_at(far.model("big").unwrap(), 0).rates;
    assert_eq!((rates.input, rates.cached_input, rates.output), (1_000_000_000, 500_000_000, 2_000_000_000));
}

#[test]
fn an_empty_one_is_valid_and_lets_nobody_in() {
    assert!(authoring::parse("").unwrap().keys.is_empty());
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let table = [
        ("kind = \"moegate\"", "kind = \"vllmm\"", "", "unknown variant `vllmm`"),
        ("url = \"http://127", "uri = \"http://127", "", "unknown field `uri`"),
        ("sha256_secret = \"APP", "sha265_secret = \"APP", "", "unknown field `sha265_secret`"),
        ("input = \"0.10\"", "input = 0.1", "", "invalid type: floating point"),
        ("input = \"0.10\"", "input = \"ten\"", "", "is not a price"),
        ("name = \"own\"", "name = \"o n\"", "origins[0].name", "cannot be a name"),
        ("name = \"far\"", "name = \"own\"", "origins[1].name", "already taken by origins[0].name"),
        ("http://127.0.0.1:8788/v1", "http://10.0.0.1/v1", "origins[0].url", "in the clear"),
        (
            "https://api.example.com/v1",
            "https://a@b.example/v1",
            "origins[1].url",
            "not a plain absolute URL",
        ),
        ("https://api.example.com/v1", "api.example.com/v1", "origins[1].url", "not a plain absolute URL"),
        (
            "https://api.example.com/v1",
            "https://api.example.com/v1/",
            "origins[1].url",
            "must not end in `/`",
        ),
        ("https://api.example.com/v1", "https://api.example.com/v1?k=1", "origins[1].url", "plain path"),
        (
            "https://api.example.com/v1",
            "https://api.example.com:99999/v1",
            "origins[1].url",
            "not a plain absolute URL",
        ),
        ("https://api.example.com/v1", "https://api.example.com/v 1", "origins[1].url", "plain path"),
        ("https://api.example.com/v1", "https://api.example.com/<v1>", "origins[1].url", "plain path"),
        ("https://api.example.com/v1", "https://api.example.com/{v1}", "origins[1].url", "plain path"),
        ("https://api.example.com/v1", "https://api.example.com/`v1`", "origins[1].url", "plain path"),
        ("https://api.example.com/v1", "https://api.example.com/v^1|2", "origins[1].url", "plain path"),
        (
            "\"FAR_ACCESS\" }",
            "\"FAR_ACCESS\", \"cf-access-client-secret\" = \"FAR_KEY\" }",
            "origins[1].secret_headers",
            "twice",
        ),
        ("secret = \"OWN_KEY\"", "", "origins[0].secret", "is missing"),
        ("secret = \"OWN_KEY\"", "secret = \"sk-abc\"", "origins[0].secret", "never stands in this file"),
        ("FAR_SPARE\"]", "sk-abc\"]", "origins[1].spare_secrets[0]", "never stands in this file"),
        ("FAR_SPARE\"]", "FAR_KEY\"]", "origins[1].spare_secrets[0]", "tried twice"),
        ("FAR_SPARE\"]", "FAR_SPARE\", \"FAR_SPARE\"]", "origins[1].spare_secrets[1]", "tried twice"),
        ("FAR_SPARE\"]", "OWN_KEY\"]", "origins[1]", "belongs to origin `own`"),
        ("secret = \"FAR_KEY\"", "", "origins[1].spare_secrets", "which is missing"),
        (
            "secret = \"OWN_KEY\"",
            "secret = \"OWN_KEY\"\nprefill = \"prefix\"",
            "origins[0].prefill",
            "resume handle",
        ),
        (
            "secret = \"OWN_KEY\"",
            "secret = \"OWN_KEY\"\nretry_percent = 101",
            "origins[0].retry_percent",
            "0 to 100",
        ),
        (
            "secret = \"OWN_KEY\"",
            "secret = \"OWN_KEY\"\nbreaker = { percent = 0 }",
            "origins[0].breaker.percent",
            "1 to 100",
        ),
        (
            "secret = \"OWN_KEY\"",
            "secret = \"OWN_KEY\"\nbreaker = { open_s = 61 }",
            "origins[0].breaker.open_s",
            "1 to 60",
        ),
        ("secret = \"FAR_KEY\"", "secret = \"OWN_KEY\"", "origins[1]", "belongs to origin `own`"),
        ("FAR_ACCESS", "OWN_KEY", "origins[1]", "belongs to origin `own`"),
        ("APP_SHA256", "OWN_KEY", "keys", "is the key of origin `own`"),
        (
            "CF-Access-Client-Secret",
            "Authorization",
            "origins[1].secret_headers.Authorization",
            "sets itself",
        ),
        ("CF-Access-Client-Secret", "a b", "origins[1].secret_headers.a b", "not a header name"),
        ("origin = \"far\"", "origin = \"near\"", "routes[1].origin", "there are: own, far"),
        ("origin_model = \"big\"", "", "routes[1].origin_model", "has no model `large`"),
        ("model = \"large\"", "model = \"m\"", "routes[1].model", "already taken by routes[0].model"),
        (
            "origin_model = \"big\"",
            "origin_model = \"big\"\nstream = \"relay\"",
            "routes[1].stream",
            "receipts",
        ),
        ("models = [\"m\"]", "models = [\"n\"]", "keys[0].models[0]", "no route serves `n`"),
        ("sha256 = \"00", "sha256 = \"0", "admin.sha256", "64 hex digits"),
        ("sha256_secret = \"APP_SHA256\"", "", "keys[0]", "`sha256_secret` or `oidc`"),
        (
            "[admin]\nsha256 = \"00000000000000000000000000000000000000000000000000000000000000aa\"",
            "[admin]\nsha256_secret = \"APP_SHA256\"",
            "admin",
            "same hash as another key",
        ),
        ("[admin]", "[gateway]\nidempotency_s = 3601\n[admin]", "gateway.idempotency_s", "0 to 3600"),
        ("[admin]", "[gateway.cors]\n[admin]", "", "missing field `origins`"),
        ("[admin]", "[gateway.cors]\norigins = \"*\"\n[admin]", "", "expected a sequence"),
        ("[admin]", "[gateway.cors]\norigins = []\n[admin]", "gateway.cors.origins", "names no page"),
        (
            "[admin]",
            "[gateway]\ncors = { origins = [\"*\", \"https://a.example\"] }\n[admin]",
            "gateway.cors.origins",
            "leave the others out",
        ),
        (
            "[admin]",
            "[gateway]\ncors = { origins = [\"https://a.example\", \"https://b.example/\"] }\n[admin]",
            "gateway.cors.origins[1]",
            "a slash at its end",
        ),
        (
            "[admin]",
            "[gateway]\ncors = { origins = [\"https://a.example\", \"https://a.example\"] }\n[admin]",
            "gateway.cors.origins[1]",
            "already taken",
        ),
        (
            "[admin]",
            "[gateway]\ncors = { origins = [\"*\"], max_age_s = 100000 }\n[admin]",
            "gateway.cors.max_age_s",
            "0 to 86400",
        ),
        (
            "model = \"large\"",
            "model = \"large\"\naliases = [\"m\"]",
            "routes[1].aliases[0]",
            "already taken",
        ),
        ("models = [\"m\"]", "tenant = \"a b\"", "keys[0].tenant", "cannot be a name"),
        ("models = [\"m\"]", "errors = \"short\"", "", "unknown variant `short`"),
        ("[admin]", "[gateway]\nmax_body_mib = 500\n[admin]", "gateway.max_body_mib", "1 to 32"),
        (
            "[admin]",
            "[gateway]\nmax_inflight_mib = 49\n[admin]",
            "gateway.max_inflight_mib",
            "must be at most 48",
        ),
        (
            "[admin]",
            "[gateway]\nmax_inflight_mib = 31\n[admin]",
            "gateway.max_inflight_mib",
            "less than `max_body_mib` (32)",
        ),
    ];
    for (from, to, path, message) in table {
        assert!(GOOD.contains(from), "{from}");
        let problems = authoring::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(
            problems.iter().any(|p| (path.is_empty() || p.path == path) && p.message.contains(message)),
            "{from} -> {to}: {problems:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = GOOD.replace("name = \"own\"", "name = \"\"").replace("origin = \"far\"", "origin = \"\"");
    assert!(authoring::parse(&text).unwrap_err().len() >= 2);
}

/// Names appear in headers of answers, and header names in requests: none can end a line or say a header more.
#[test]
fn what_goes_into_headers_is_fit_for_it() {
    for bad in ["\\r\\nx-evil: 1", "a\\nb", "\\u0000", "a\\tb", "\\u007f", "caf\u{e9}", "a b", ""] {
        for (from, to, path) in [
            ("name = \"own\"", format!("name = \"{bad}\""), "origins[0].name"),
            ("name = \"m\"", format!("name = \"{bad}\""), "origins[0].models[0].name"),
            ("model = \"m\"", format!("model = \"{bad}\""), "routes[0].model"),
            ("model = \"m\"", format!("model = \"m\"\naliases = [\"{bad}\"]"), "routes[0].aliases[0]"),
            ("name = \"app\"", format!("name = \"{bad}\""), "keys[0].name"),
            ("name = \"app\"", format!("name = \"app\"\ntenant = \"{bad}\""), "keys[0].tenant"),
        ] {
            let problems = authoring::parse(&GOOD.replacen(from, &to, 1)).unwrap_err();
            let problem = problems.iter().find(|problem| problem.path == path);
            let problem = problem.unwrap_or_else(|| panic!("{to}: {problems:?}"));
            // What a terminal would obey is escaped.
            assert!(!problem.message.contains(char::is_control), "{problem:?}");
        }
        let header = GOOD.replace("CF-Access-Client-Secret", bad);
        let problems = authoring::parse(&header).unwrap_err();
        assert!(problems[0].path.starts_with("origins[1].secret_headers."), "{problems:?}");
        assert!(problems[0].message.contains("not a header name"), "{problems:?}");
        assert!(!problems[0].path.contains(char::is_control), "{problems:?}");
    }
    for name in ["Host", "content-length", "Transfer-Encoding", "TE", "Proxy-Connection", "X-Moegate-Origin"]
    {
        let problems = authoring::parse(&GOOD.replace("CF-Access-Client-Secret", name)).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("the gateway sets itself"), "{problems:?}");
    }
}

#[test]
fn a_tenant_s_key_is_told_little_unless_the_file_says_otherwise() {
    for (lines, detail) in [
        ("", ErrorDetail::Full),
        ("errors = \"plain\"", ErrorDetail::Plain),
        ("tenant = \"acme\"", ErrorDetail::Plain),
        ("tenant = \"acme\"\nerrors = \"full\"", ErrorDetail::Full),
        ("tenant = \"acme\"\nerrors = \"plain\"", ErrorDetail::Plain),
    ] {
        let config =
            authoring::parse(&GOOD.replacen("name = \"app\"", &format!("name = \"app\"\n{lines}"), 1));
        let config = compiled_in(&config.unwrap());
        assert_eq!(config.keys[0].error_detail(), detail, "{lines}");
    }
}

/// As the gateway reads it.
fn compiled_in(config: &Config) -> Config {
    serde_json::from_str(&authoring::to_json(config).unwrap()).unwrap()
}

/// With these lines in `[origins.fields]` of the origin `own` (kind `moegate`) or `far` (kind `openai`).
fn with_fields(origin: &str, lines: &str) -> String {
    let url = GOOD.lines().skip_while(|line| *line != format!("name = \"{origin}\"")).nth(2).unwrap();
    GOOD.replacen(url, &format!("{url}\nfields = {{ {lines} }}"), 1)
}

#[test]
fn third_parties_do_not_get_what_chooses_another_model_price_or_store() {
    let good = authoring::parse(GOOD).unwrap();
    let (own, far) = (good.origin("own").unwrap(), good.origin("far").unwrap());
    for field in DENIED_FIELDS {
        assert!(far.denies(field) && far.denies(&field.to_uppercase()) && !own.denies(field), "{field}");
    }
    for field in ["model", "messages", "prompt", "stream", "temperature", "tools", "metadata"] {
        assert!(!far.denies(field) && !own.denies(field), "{field}");
    }
    assert_eq!(far.denied_action(), DeniedAction::Refuse);

    let text = with_fields("far", "allow = [\"service_tier\"], deny = [\"logit_bias\"], denied = \"drop\"");
    let config = compiled_in(&authoring::parse(&text).unwrap());
    let far = config.origin("far").unwrap();
    assert!(!far.denies("service_tier") && !far.denies("Service_Tier"));
    assert!(far.denies("logit_bias") && far.denies("Logit_Bias") && far.denies("store"));
    assert_eq!(far.denied_action(), DeniedAction::Drop);
    assert_eq!(config.origin("own").unwrap().denied_action(), DeniedAction::Refuse);

    let config = authoring::parse(&with_fields("own", "deny = [\"store\"]")).unwrap();
    assert!(config.origin("own").unwrap().denies("store"));
}

#[test]
fn field_policies_that_cannot_be_meant() {
    for (origin, lines, path, message) in [
        ("far", "allow = [\"store\"], deny = [\"Store\"]", "origins[1].fields.allow[0]", "in `deny` too"),
        ("far", "allow = [\"servise_tier\"]", "origins[1].fields.allow[0]", "what is: models, provider"),
        ("own", "allow = [\"store\"]", "origins[0].fields.allow[0]", "gets every field"),
        ("far", "deny = [\"a\", \"user\", \"User\"]", "origins[1].fields.deny[2]", "twice"),
        ("far", "deny = [\"\"]", "origins[1].fields.deny[0]", "cannot be a field's name"),
        ("far", "allow = [\"a\\nb\"]", "origins[1].fields.allow[0]", "cannot be a field's name"),
        ("far", "deny = [\"model\"]", "origins[1].fields.deny[0]", "cannot be denied"),
        ("far", "deny = [\"Messages\"]", "origins[1].fields.deny[0]", "cannot be denied"),
        ("own", "deny = [\"prompt\"]", "origins[0].fields.deny[0]", "cannot be denied"),
        ("own", "deny = [\"stream\"]", "origins[0].fields.deny[0]", "cannot be denied"),
        ("own", "deny = [\"stream_options\"]", "origins[0].fields.deny[0]", "cannot be denied"),
        ("far", "denied = \"warn\"", "moegate.toml", "unknown variant `warn`"),
        ("far", "dney = []", "moegate.toml", "unknown field `dney`"),
    ] {
        let problems = authoring::parse(&with_fields(origin, lines)).unwrap_err();
        let found = problems.iter().any(|p| p.path == path && p.message.contains(message));
        assert!(found, "{lines}: {problems:?}");
    }
}
