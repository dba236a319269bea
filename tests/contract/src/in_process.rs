//! A gateway of any configuration on the fake, and requests to it, for tests that need no other host.

use crate::fixtures::{ADMIN_KEY, APP_KEY, FAR_KEY, OWN_KEY, TENANT_KEY};
use http::{HeaderValue, Request, header};
use moegate::gateway::Gateway;
use moegate::metering::record::Record;
use moegate::platform::fake::{Client, Got, Responder, World, serve, serve_all};
use moegate_wire::sign;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Noon, so that no day changes within a test.
pub const NOW_MS: u64 = 1_795_262_400_000;

/// A gateway and its world.
pub struct InProcess {
    pub world: World,
    pub gateway: Gateway,
}

impl InProcess {
    /// Of a configuration whose secrets are the suites' keys: `APP_KEY_SHA256`, `TENANT_KEY_SHA256`, `ADMIN_KEY_SHA256`,
    /// `FAR_KEY`, `OWN_KEY`.
    #[must_use]
    pub fn of(config: &str) -> Self {
        let hash = |key: &str| sign::to_hex(&Sha256::digest(key));
        let secrets = [
            ("APP_KEY_SHA256", hash(APP_KEY)),
            ("TENANT_KEY_SHA256", hash(TENANT_KEY)),
            ("ADMIN_KEY_SHA256", hash(ADMIN_KEY)),
            ("FAR_KEY", FAR_KEY.to_owned()),
            ("OWN_KEY", OWN_KEY.to_owned()),
        ];
        let secrets = secrets.map(|(name, value)| (name.to_owned(), value));
        let config = moegate_config::authoring::parse(config).unwrap();
        Self { world: World::new(NOW_MS, BTreeMap::from(secrets)), gateway: Gateway::new(config) }
    }

    pub fn ask(&self, responder: &Responder, head: Request<()>, client: Client<'_>) -> Got {
        self.world.answer(responder.clone());
        serve(&self.world, &self.gateway, head, client)
    }

    pub fn ask_all<'a>(
        &self,
        responder: &Responder,
        requests: impl Iterator<Item = (Request<()>, Client<'a>)>,
        seed: u64,
    ) -> Vec<Got> {
        self.world.answer(responder.clone());
        serve_all(&self.world, &self.gateway, requests.collect(), seed)
    }

    /// What the operator reads.
    pub fn read(&self, path: &str) -> Got {
        let head = by(Request::get(path).body(()).unwrap(), ADMIN_KEY);
        serve(&self.world, &self.gateway, head, Client::new(Vec::new()))
    }

    /// The account: what is settled of it.
    pub fn records(&self) -> Vec<Record> {
        let got = self.read("/usage/export");
        assert_eq!((code(&got), got.is_whole), (200, true), "{got:?}");
        let text = String::from_utf8(got.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Generations that have reached an origin since the last answer was set.
    pub fn calls(&self) -> usize {
        self.world.arrived().iter().filter(|arrived| arrived.method == "POST").count()
    }
}

/// A chat completion, by the key `app`.
#[must_use]
pub fn post() -> Request<()> {
    let request = Request::post("/v1/chat/completions").header(header::CONTENT_TYPE, "application/json");
    by(request.body(()).unwrap(), APP_KEY)
}

/// By another key.
#[must_use]
pub fn by(mut request: Request<()>, key: &str) -> Request<()> {
    let value = HeaderValue::try_from(format!("Bearer {key}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

/// With an idempotency key.
#[must_use]
pub fn with_key(key: &str) -> Request<()> {
    let mut request = post();
    request.headers_mut().insert("idempotency-key", HeaderValue::try_from(key).unwrap());
    request
}

/// With a length: a body without one takes all the room that there is.
#[must_use]
pub fn sized(mut request: Request<()>, bytes: usize) -> Request<()> {
    request.headers_mut().insert(header::CONTENT_LENGTH, bytes.into());
    request
}

#[must_use]
pub fn body(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#)
}

#[must_use]
pub fn streamed(model: &str) -> String {
    body(model).replacen('{', r#"{"stream":true,"#, 1)
}

/// The status; 0: no head came.
#[must_use]
pub fn code(got: &Got) -> u16 {
    got.reply.as_ref().map_or(0, |reply| reply.status().as_u16())
}
