//! Callers with tokens: of issuers, and pages with those that a server's key has made.

use super::Gateway;
use crate::config::authoring;
use crate::platform::fake::{Arrived, Client, Got, Responder, Script, Scripted, World, serve};
use crate::signing::test_issuer::{jwk, signed};
use http::{Request, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW_MS: u64 = 1_795_262_400_000;
const PAGE: &str = "https://app.example";
const KEY: &str = "mg-app";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

const CONFIG: &str = r#"
[gateway]
token_secret = "TOKEN_SECRET"
cors = { origins = ["https://app.example"] }
[[origins]]
name = "far"
kind = "openai"
url = "https://far.example/v1"
models = [{ name = "far", input = "1", output = "2", max_output_tokens = 100, context_tokens = 1000 }]
[[routes]]
model = "far"
origin = "far"
budget = { attempts = 2 }
[[routes]]
model = "other"
origin = "far"
origin_model = "far"
[[keys]]
name = "app"
tenant = "acme"
sha256_secret = "APP"
limits = [{ per = "hour", requests = 20 }]
[[keys]]
name = "web"
tenant = "acme"
oidc = { issuer = "https://issuer.example", jwks = "https://issuer.example/jwks", audience = "https://gw.example", claims = { project = "web" }, environment = ["production"], user = "sub", tag = "environment" }
[[keys]]
name = "preview"
models = ["other"]
oidc = { issuer = "https://issuer.example", jwks = "https://issuer.example/jwks", audience = "https://gw.example", claims = { project = "web" }, environment = ["preview"] }
"#;

struct Setting {
    world: World,
    gateway: Gateway,
}

impl Setting {
    fn new() -> Self {
        let hash = moegate_wire::sign::to_hex(&crate::auth::digest(KEY));
        let secrets = [("APP", hash), ("TOKEN_SECRET", SECRET.to_owned())];
        let secrets = secrets.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let setting = Self { world: World::new(NOW_MS, secrets), gateway: gateway(CONFIG) };
        setting.issuer("k1", true);
        setting
    }

    /// The issuer has that key, or does not answer.
    fn issuer(&self, id: &str, answers: bool) {
        let keys = format!("{{\"keys\":[{}]}}", jwk(id));
        let chat = json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}});
        let responder: Responder = Arc::new(move |arrived: &Arrived| match &*arrived.authority {
            "issuer.example:443" | "issuer.example" if !answers => {
                Scripted::new(503, "text/plain", "down").into()
            }
            "issuer.example:443" | "issuer.example" => {
                Scripted::new(200, "application/json", keys.clone()).into()
            }
            _ => Scripted::new(200, "application/json", chat.to_string()).into(),
        });
        self.world.answer(responder);
    }

    fn asks_of_issuer(&self) -> usize {
        self.world.arrived().iter().filter(|arrived| arrived.path == "/jwks").count()
    }

    fn send(&self, method: &str, path: &str, key: &str, page: Option<&str>, body: &str) -> Got {
        // So that records are in their order.
        self.world.pass_ms(1);
        let mut head = Request::builder().method(method).uri(path);
        head = head.header(header::AUTHORIZATION, format!("Bearer {key}"));
        head = head.header(header::CONTENT_LENGTH, body.len());
        if let Some(page) = page {
            head = head.header(header::ORIGIN, page);
        }
        serve(&self.world, &self.gateway, head.body(()).unwrap(), Client::new(body.as_bytes().to_vec()))
    }

    fn chat(&self, key: &str, model: &str, page: Option<&str>) -> (u16, String) {
        let body = json!({"model": model, "user": "said", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        shown(&self.send("POST", "/v1/chat/completions", key, page, &body.to_string()))
    }

    fn token(&self, key: &str, wanted: &Value) -> String {
        let (status, body) = shown(&self.send("POST", "/v1/tokens", key, None, &wanted.to_string()));
        assert_eq!(status, 200, "{body}");
        let made: Value = serde_json::from_str(&body).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    fn last_record(&self) -> Value {
        let rows = self.world.ledger_query("SELECT record FROM attempt ORDER BY id DESC LIMIT 1");
        match &rows[0][0] {
            crate::ledger::Value::Text(text) => serde_json::from_str(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn gateway(config: &str) -> Gateway {
    Gateway::new(authoring::parse(config).unwrap())
}

/// Status, and code and message of an error or the body.
fn shown(got: &Got) -> (u16, String) {
    let reply = got.reply.as_ref().unwrap();
    assert!(reply.status() == 200 || reply.headers().contains_key("x-moegate-request-id"));
    (reply.status().as_u16(), String::from_utf8_lossy(&got.body).into_owned())
}

fn issued(id: &str, environment: &str, now_ms: u64) -> String {
    let claims = json!({
        "iss": "https://issuer.example", "aud": "https://gw.example", "exp": now_ms / 1000 + 2700,
        "project": "web", "environment": environment, "sub": "u-7",
    });
    signed(&format!(r#"{{"alg":"RS256","kid":"{id}"}}"#), &claims.to_string())
}

#[test]
fn an_issuers_token_is_the_key_that_its_claims_say() {
    let setting = Setting::new();
    let (web, preview) = (issued("k1", "production", NOW_MS), issued("k1", "preview", NOW_MS));
    assert_eq!(setting.chat(&web, "far", None).0, 200);
    let record = setting.last_record();
    assert_eq!(
        (&record["key"], &record["tenant"], &record["user"], &record["tag"]),
        (&json!("web"), &json!("acme"), &json!("u-7"), &json!("production"))
    );
    assert_eq!((setting.chat(&preview, "far", None).0, setting.chat(&preview, "other", None).0), (403, 200));
    assert_eq!(setting.last_record()["user"], "said");
    assert_eq!(setting.asks_of_issuer(), 1, "one set for all");
    let (status, text) = setting.chat(&issued("k1", "development", NOW_MS), "far", None);
    assert!(status == 401 && text.contains("`environment` is `development`"), "{text}");
    let (status, text) = setting.chat("eyJhbGciOiJub25lIn0.e30.", "far", None);
    assert!(status == 401 && text.contains("`iss`"), "{text}");
    // It is no operator.
    for path in ["/usage", "/keys", "/config"] {
        let status = shown(&setting.send("GET", path, &web, None, "")).0;
        assert!(matches!(status, 401 | 403), "{path}: {status}");
    }
}

#[test]
fn an_issuers_keys_change_and_it_may_be_down() {
    let setting = Setting::new();
    assert_eq!(setting.chat(&issued("k1", "production", NOW_MS), "far", None).0, 200);
    // A rotation: the new key is asked for, once in half a minute.
    setting.issuer("k2", true);
    let at = |setting: &Setting, id: &str| issued(id, "production", setting.world.now_ms());
    let (status, text) = setting.chat(&at(&setting, "k2"), "far", None);
    assert!(status == 401 && text.contains("`kid`"), "too soon: {text}");
    setting.world.pass_ms(31_000);
    assert_eq!(setting.chat(&at(&setting, "k2"), "far", None).0, 200);
    assert_eq!(setting.chat(&at(&setting, "k1"), "far", None).0, 401, "that key is gone");
    assert_eq!(setting.asks_of_issuer(), 1);
    // Down for hours: what is known holds for a day.
    setting.issuer("k2", false);
    setting.world.pass_ms(20 * 3_600_000);
    assert_eq!(setting.chat(&at(&setting, "k2"), "far", None).0, 200);
    assert_eq!(setting.asks_of_issuer(), 1);
    assert_eq!(setting.chat(&at(&setting, "k2"), "far", None).0, 200);
    assert_eq!(setting.asks_of_issuer(), 1, "not asked again at once");
    setting.world.pass_ms(5 * 3_600_000);
    let (status, text) = setting.chat(&at(&setting, "k2"), "far", None);
    assert!(status == 503 && text.contains("issuer_unavailable"), "{text}");
    setting.issuer("k2", true);
    setting.world.pass_ms(31_000);
    assert_eq!(setting.chat(&at(&setting, "k2"), "far", None).0, 200);
}

#[test]
fn a_page_may_use_what_its_token_says() {
    let setting = Setting::new();
    let wanted =
        json!({"models": ["far"], "origin": PAGE, "user": "u1", "requests": 2, "ttl": 60, "dollars": "1"});
    let token = setting.token(KEY, &wanted);
    assert!(token.starts_with("mgt-"), "{token}");
    let (status, text) = setting.chat(&token, "other", Some(PAGE));
    assert!(status == 403 && text.contains("token_not_allowed"), "{text}");
    for page in [None, Some("https://evil.example")] {
        assert_eq!(setting.chat(&token, "far", page).0, 403, "{page:?}");
    }
    assert_eq!(setting.chat(&token, "far", Some(PAGE)).0, 200);
    let record = setting.last_record();
    assert_eq!(
        (&record["key"], &record["tenant"], &record["user"]),
        (&json!("app"), &json!("acme"), &json!("u1"))
    );
    let got = setting.send("GET", "/v1/models", &token, Some(PAGE), "");
    let models: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(models["data"].as_array().unwrap().len(), 1, "{models}");
    assert_eq!(setting.chat(&token, "far", Some(PAGE)).0, 200);
    let (status, text) = setting.chat(&token, "far", Some(PAGE));
    assert!(status == 402 && text.contains("was for 2 requests"), "{text}");
    // Another one of the same key has a count of its own; it makes no tokens and keys, and reads no account.
    let other = setting.token(KEY, &wanted);
    assert_eq!(setting.chat(&other, "far", Some(PAGE)).0, 200);
    assert_eq!(shown(&setting.send("POST", "/v1/tokens", &other, Some(PAGE), &wanted.to_string())).0, 403);
    for path in ["/keys", "/usage", "/config", "/origins"] {
        let status = shown(&setting.send("GET", path, &other, Some(PAGE), "")).0;
        assert!(matches!(status, 401 | 403), "{path}: {status}");
    }
    // A page reads the error too.
    setting.world.pass_ms(61_000);
    let got = setting.send("POST", "/v1/chat/completions", &other, Some(PAGE), "{}");
    let reply = got.reply.as_ref().unwrap();
    assert_eq!(reply.headers()["access-control-allow-origin"], PAGE);
    assert!(shown(&got).1.contains("has expired"));
}

#[test]
fn a_token_is_never_more_than_its_key() {
    let setting = Setting::new();
    let wanted = json!({"models": ["far"], "origin": PAGE, "requests": 100});
    for (change, part) in [
        (json!({"models": []}), "models"),
        (json!({"models": ["none"]}), "none"),
        (json!({"origin": "https://evil.example"}), "gateway.cors.origins"),
        (json!({"origin": "*"}), "gateway.cors.origins"),
        (json!({"ttl": 3601}), "must be 1 to 3600"),
        (json!({"ttl": 0}), "must be 1 to 3600"),
        (json!({"requests": 0}), "must be 1"),
        (json!({"user": ""}), "1 to 256"),
        (json!({"tenant": "other"}), "unknown field"),
    ] {
        let mut wanted = wanted.clone();
        wanted.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, text) = shown(&setting.send("POST", "/v1/tokens", KEY, None, &wanted.to_string()));
        assert!((400..405).contains(&status) && text.contains(part), "{wanted}: {text}");
    }
    // Made with an issuer's token, whose user it keeps and whose models it may use.
    let web = issued("k1", "production", NOW_MS);
    let token = setting.token(&web, &json!({"models": ["far"], "origin": PAGE, "user": "somebody"}));
    assert_eq!(setting.chat(&token, "far", Some(PAGE)).0, 200);
    assert_eq!(setting.last_record()["user"], "u-7");
    let preview = issued("k1", "preview", NOW_MS);
    assert_eq!(shown(&setting.send("POST", "/v1/tokens", &preview, None, &wanted.to_string())).0, 403);
    // The key's own limit holds for all of its tokens.
    let tokens: Vec<_> = (0..5).map(|_| setting.token(KEY, &wanted)).collect();
    let statuses: Vec<_> = (0..25).map(|at| setting.chat(&tokens[at % 5], "far", Some(PAGE)).0).collect();
    assert_eq!((statuses[19], statuses[20]), (200, 429), "{statuses:?}");
}

#[test]
fn tokens_die_with_their_key() {
    let mut setting = Setting::new();
    let token = setting.token(KEY, &json!({"models": ["far"], "origin": PAGE}));
    assert_eq!(setting.chat(&token, "far", Some(PAGE)).0, 200);
    let other_hash = format!("sha256 = \"{}\"", moegate_wire::sign::to_hex(&crate::auth::digest("mg-new")));
    for (config, status) in [
        (CONFIG.replace("sha256_secret = \"APP\"", &other_hash), 401),
        (CONFIG.replace("name = \"app\"", "name = \"renamed\""), 401),
        // It may not use the model any more.
        (CONFIG.replace("tenant = \"acme\"\nsha256", "models = [\"other\"]\ntenant = \"acme\"\nsha256"), 403),
        (CONFIG.to_owned(), 200),
    ] {
        setting.gateway = gateway(&config);
        assert_eq!(setting.chat(&token, "far", Some(PAGE)).0, status, "{config}");
    }
    setting.gateway = gateway(&CONFIG.replace("token_secret = \"TOKEN_SECRET\"\n", ""));
    let (status, text) = setting.chat(&token, "far", Some(PAGE));
    assert!(status == 400 && text.contains("no_tokens"), "{text}");
    let world = |secret: Option<&str>| {
        let hash = moegate_wire::sign::to_hex(&crate::auth::digest(KEY));
        let mut secrets = BTreeMap::from([("APP".to_owned(), hash)]);
        secrets.extend(secret.map(|secret| ("TOKEN_SECRET".to_owned(), secret.to_owned())));
        World::new(NOW_MS, secrets)
    };
    for (secret, code) in [
        (None, "secret_missing"),
        (Some("short"), "secret_invalid"),
        (Some(&*"x".repeat(40)), "invalid_token"),
    ] {
        let setting = Setting { world: world(secret), gateway: gateway(CONFIG) };
        let (status, text) = setting.chat(&token, "far", Some(PAGE));
        assert!(matches!(status, 401 | 424) && text.contains(code), "{text}");
    }
}

/// One request whose prompt an only origin cannot stand does not take it away from the others.
#[test]
fn the_only_origin_stays_while_it_answers() {
    let setting = Setting::new();
    let failing: Responder = Arc::new(|_: &Arrived| Scripted::new(500, "application/json", "{}").into());
    setting.world.answer(failing);
    for _ in 0..12 {
        assert_eq!(setting.chat(KEY, "far", None).0, 500);
    }
    setting.issuer("k1", true);
    assert_eq!(setting.chat(KEY, "far", None).0, 200);
    let unreachable: Responder = Arc::new(|_: &Arrived| Script::Refuse);
    setting.world.answer(unreachable);
    let statuses: Vec<_> = (0..6).map(|_| setting.chat(KEY, "far", None).0).collect();
    assert_eq!(statuses.last(), Some(&503), "{statuses:?}");
}

#[test]
fn errors_at_paths_that_there_are_not_are_said_as_the_client_reads_them() {
    let setting = Setting::new();
    let ask = |path: &str, name: &'static str| {
        let head = Request::get(path).header(name, "x").body(()).unwrap();
        let got = serve(&setting.world, &setting.gateway, head, Client::new(Vec::new()));
        let (status, text) = shown(&got);
        assert_eq!(status, 404, "{path}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(ask("/v1/files", "anthropic-version")["type"], "error");
    assert_eq!(ask("/v1/messages/batches", "x-other")["type"], "error");
    assert_eq!(ask("/v1beta/files", "x-other")["error"]["status"], "NOT_FOUND");
    assert_eq!(ask("/upload", "x-goog-api-key")["error"]["status"], "NOT_FOUND");
    assert_eq!(ask("/v1/files", "x-other")["error"]["type"], "not_found");
}

#[test]
fn health_counts_secrets_that_are_missing() {
    let world = World::new(NOW_MS, BTreeMap::new());
    let config = CONFIG.replace("kind = \"openai\"\n", "kind = \"openai\"\nsecret = \"FAR_KEY\"\n");
    let gateway = gateway(&config);
    let ask = || serve(&world, &gateway, Request::get("/health").body(()).unwrap(), Client::new(Vec::new()));
    for _ in 0..2 {
        assert_eq!(String::from_utf8(ask().body).unwrap(), r#"{"status":"ok","missing_secrets":2}"#);
    }
    assert_eq!(world.log(), ["secrets without a value: FAR_KEY, TOKEN_SECRET"]);
}
