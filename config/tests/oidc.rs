//! Tokens of issuers in the place of keys: what has to be pinned, and what is refused.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

use moegate_config::{Algorithm, Config, authoring, replaceable};

fn with(key: &str) -> Result<Config, Vec<String>> {
    authoring::parse(&format!("[[keys]]\nname = \"web\"\n{key}"))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn oidc(issuer: &str, more: &str) -> Result<Config, Vec<String>> {
    with(&format!("oidc = {{ issuer = \"{issuer}\", audience = \"https://gw.acme.dev\"{more} }}"))
}

const VERCEL: &str = "https://oidc.vercel.com/acme";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const OWN: &str = "https://id.acme.dev";

#[test]
fn good_ones() {
    for (issuer, more, jwks) in [
        (
            VERCEL,
            ", owner_id = \"team_1\", project_id = \"prj_1\", environment = [\"production\"]",
            "https://oidc.vercel.com/.well-known/jwks",
        ),
        (
            "https://oidc.vercel.com",
            ", claims = { owner_id = \"team_1\", project_id = \"prj_1\", environment = [\"a\", \"b\"] }",
            "https://oidc.vercel.com/.well-known/jwks",
        ),
        (
            GITHUB,
            ", claims = { repository = \"acme/app\" }",
            "https://token.actions.githubusercontent.com/.well-known/jwks",
        ),
        (
            "https://accounts.google.com",
            ", claims = { email = \"a@b.iam.gserviceaccount.com\" }",
            "https://www.googleapis.com/oauth2/v3/certs",
        ),
        (OWN, ", jwks = \"https://id.acme.dev/k\", claims = { azp = \"web\" }", "https://id.acme.dev/k"),
        (OWN, ", jwks = \"http://127.0.0.1:9/k\", claims = { azp = \"web\" }", "http://127.0.0.1:9/k"),
    ] {
        let config = oidc(issuer, more).unwrap();
        let key = config.keys[0].oidc.as_ref().unwrap();
        assert_eq!((key.jwks_url(), key.leeway_s), (jwks, 30));
        let json = authoring::to_json(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }
}

#[test]
fn tokens_are_signed_with_rs256_unless_said_otherwise() {
    let given = |more: &str| {
        let more = format!(", jwks = \"https://id.acme.dev/k\", claims = {{ sub = \"x\" }}{more}");
        let config = oidc(OWN, &more).unwrap();
        let json = authoring::to_json(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        config.keys[0].oidc.as_ref().unwrap().algorithms.clone()
    };
    assert_eq!(given(""), [Algorithm::Rs256]);
    let all = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    assert_eq!(given(", algorithms = [\"EdDSA\", \"ES256\", \"RS256\"]"), all);
    for algorithm in all {
        assert_eq!(given(&format!(", algorithms = [\"{}\"]", algorithm.name())), [algorithm]);
    }
}

#[test]
fn each_mistake_is_named() {
    let jwks = ", jwks = \"https://id.acme.dev/k\"";
    let pinned = ", jwks = \"https://id.acme.dev/k\", claims = { sub = \"x\" }";
    let pins = |claims: &str| format!("{jwks}, claims = {{ {claims} }}");
    for (issuer, more, part) in [
        (VERCEL, String::new(), "must pin `owner_id`"),
        (VERCEL, ", owner_id = \"t\", environment = [\"production\"]".into(), "must pin `project_id`"),
        (VERCEL, ", owner_id = \"t\", project_id = \"p\"".into(), "must pin `environment`"),
        (VERCEL, ", claims = { sub = \"x\" }".into(), "must pin `owner_id`"),
        (
            GITHUB,
            ", claims = { ref = \"refs/heads/main\" }".into(),
            "must pin `repository` or `repository_id`",
        ),
        (GITHUB, ", claims = { repository = \"acme/*\" }".into(), "without wildcards"),
        ("https://accounts.google.com", ", claims = { hd = \"acme.dev\" }".into(), "`sub` or `email`"),
        (OWN, jwks.into(), "pins no claim"),
        (OWN, ", claims = { sub = \"x\" }".into(), "https://id.acme.dev/.well-known/openid-configuration"),
        ("https://oidc.vercel.com.evil.example", ", claims = { sub = \"x\" }".into(), "jwks: is missing"),
        ("http://id.acme.dev", pinned.into(), "must be https"),
        (OWN, ", jwks = \"http://id.acme.dev/k\", claims = { sub = \"x\" }".into(), "must be https"),
        ("id.acme.dev", pinned.into(), "is not an absolute URL"),
        (OWN, pins("sub = \"\""), "compared as a whole"),
        (OWN, pins("sub = []"), "no value"),
        (OWN, pins("iss = \"x\""), "is looked at already"),
        (OWN, format!("{pinned}, leeway_s = 301"), "must be 0 to 300"),
        (OWN, format!("{pinned}, algorithm = \"none\""), "unknown field `algorithm`"),
        (OWN, format!("{pinned}, algorithms = [\"none\"]"), "unknown variant `none`"),
        (OWN, format!("{pinned}, algorithms = [\"HS256\"]"), "unknown variant `HS256`"),
        (OWN, format!("{pinned}, algorithms = [\"rs256\"]"), "expected one of `RS256`, `ES256`, `EdDSA`"),
        (OWN, format!("{pinned}, algorithms = []"), "algorithms: has no algorithm"),
    ] {
        let problems = oidc(issuer, &more).unwrap_err().join("\n");
        assert!(problems.contains(part), "{issuer}{more}: {problems}");
    }
    let both = format!("sha256_secret = \"A\"\noidc = {{ issuer = \"{OWN}\", audience = \"a\"{pinned} }}");
    assert!(with(&both).unwrap_err()[0].contains("both a hash and `oidc`"));
    assert!(with("").unwrap_err()[0].contains("or `oidc`"));
    let tokens = |more: &str| authoring::parse(more).unwrap_err()[0].to_string();
    assert!(tokens("[gateway]\ntoken_secret = \"lower\"").contains("cannot name a platform secret"));
    let shared = "[gateway]\ntoken_secret = \"A\"\n[[keys]]\nname = \"k\"\nsha256_secret = \"A\"";
    assert!(tokens(shared).contains("a secret of their own"));
    assert!(
        tokens("[gateway]\ntoken_secret = \"A\"\n[ledger]\nstore = \"key-value\"")
            .contains("needs the ledger")
    );
}

#[test]
fn whom_the_gateway_trusts_only_changes_with_a_deploy() {
    let deployed = oidc(OWN, ", jwks = \"https://id.acme.dev/k\", claims = { azp = \"web\" }").unwrap();
    let narrower = oidc(OWN, ", jwks = \"https://id.acme.dev/k\", claims = { azp = \"site\" }").unwrap();
    let other = oidc(OWN, ", jwks = \"https://evil.example/k\", claims = { azp = \"web\" }").unwrap();
    assert!(replaceable(&deployed, &narrower).is_empty());
    assert_eq!(replaceable(&deployed, &other)[0].path, "keys[0].oidc");
}

#[test]
fn spin_may_reach_the_issuer() {
    let config = oidc(OWN, ", jwks = \"https://keys.acme.dev/k\", claims = { azp = \"web\" }").unwrap();
    assert!(authoring::spin::manifest(&config, "m.wasm").contains("https://keys.acme.dev:443"));
}
