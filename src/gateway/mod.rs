//! The way of a request, top to bottom: authenticate → admit → plan → attempt* → respond → settle.
//!
//! - [`generate`]: that way, step by step. [`authenticate`], [`admit`], [`idempotency`]: before the first attempt.
//! - [`cache`]: answers that are given again without an attempt.
//! - [`overrides`]: what no client may choose.
//! - [`context`]: one request and what has come of it. [`attempts`]: the loop. [`send`]: one exchange with an origin, up to
//!   the commit point. [`judge`]: what a whole answer means. [`outcome`]: what follows from an attempt's end.
//! - [`access_token`]: what origins on Google's cloud want instead of a key.
//! - [`issued`]: callers with a token of an OpenID Connect issuer. [`tokens`]: browser tokens.
//! - [`cors`]: what browsers have to be told.
//! - [`respond`]: the answer's way to the client; [`stream`]: the stream engine. [`reply`]: heads and errors.
//! - [`reserve`]: room in the ledger, before an attempt is sent; [`ledger`]: asking it.
//! - [`settle`]: records; [`receipts`]: asking our own servers. [`breaker_sync`]: what instances tell each other.
//! - [`wake`]: origins that sleep.
//! - [`telemetry`]: a request's trace, and the gateway's spans.
//! - [`upkeep`]: what the ledger needs beside the requests.
//! - [`pushed`]: the configuration that was changed without a deploy.
//! - [`publish_keys`]: keys made at run time, from the ledger to the store.
//! - [`pages`]: what the gateway answers by itself; [`account`]: what a client reads of its own. [`admin`]: what the operator reads and does.

mod access_token;
mod account;
mod admin;
mod admit;
mod attempt;
mod attempts;
mod authenticate;
mod breaker_sync;
mod cache;
mod context;
mod cors;
mod generate;
mod idempotency;
mod issued;
mod judge;
mod ledger;
mod outcome;
mod overrides;
mod pages;
mod publish_keys;
mod pushed;
mod receipts;
mod receive;
mod reply;
mod reserve;
mod respond;
mod send;
mod settle;
mod stream;
mod telemetry;
mod tokens;
mod upkeep;
mod wake;

#[cfg(test)]
mod callers_tests;
#[cfg(test)]
mod endpoints_tests;
#[cfg(test)]
mod exchange_tests;

pub use upkeep::upkeep;

use crate::auth::{self, KeyRing};
use crate::config::Config;
use crate::dialect::{ClientDialect, Operation, registry};
use crate::error::ApiError;
use crate::metering::config_version::ConfigVersion;
use crate::platform::Platform;
use crate::request_id;
use http::{HeaderName, Method, Request, header};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::OnceLock;

/// What serves requests: the configuration and what derives from it, made once per instance.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    wanted_headers: Vec<HeaderName>,
    pages: Option<cors::Pages>,
    keys: OnceLock<KeyRing>,
    version: ConfigVersion,
    /// Of the compiled-in configuration: its JSON, and the SHA-256 of that in hex digits. Empty for a pushed one.
    json: Cow<'static, str>,
    hash: String,
}

/// The request header that says which requests are the same.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What own servers sign their receipts with.
const SIGNATURE: HeaderName = HeaderName::from_static(moegate_wire::header::SIGNATURE);
const TIME: HeaderName = HeaderName::from_static(moegate_wire::header::TIME);
/// The request header that says what a request belongs to: it stands in its records.
const TAG: HeaderName = HeaderName::from_static("x-moegate-tag");

impl Gateway {
    /// With that configuration in the place of the compiled-in one.
    ///
    /// # Panics
    /// If it cannot be written as JSON, which every configuration can.
    #[must_use]
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(config: Config) -> Self {
        #[expect(clippy::expect_used, reason = "all its keys are texts")]
        let json = serde_json::to_string(&config).expect("a configuration as JSON");
        Self::deployed(config, json.into())
    }

    fn deployed(config: Config, json: Cow<'static, str>) -> Self {
        let digest = Sha256::digest(&*json).into();
        let version = ConfigVersion { number: 0, hash: first_bytes(&digest) };
        Self { json, hash: moegate_wire::sign::to_hex(&digest), ..Self::of(config, version) }
    }

    /// With one that was pushed, its JSON being `text`.
    fn pushed(config: Config, text: &str, number: u32) -> Self {
        Self::of(config, ConfigVersion { number, hash: first_bytes(&Sha256::digest(text).into()) })
    }

    fn of(config: Config, version: ConfigVersion) -> Self {
        let own = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, IDEMPOTENCY_KEY, TAG, SIGNATURE, TIME];
        let mut wanted: Vec<_> = own.into_iter().chain(auth::CREDENTIAL_HEADERS).collect();
        wanted.extend(registry::passed_headers().cloned());
        // The validator lets no other names through.
        wanted.extend(config.rule_headers().iter().filter_map(|name| HeaderName::try_from(name).ok()));
        if config.routes.iter().any(|route| route.cache.is_some()) {
            wanted.push(header::CACHE_CONTROL);
        }
        wanted.extend(Self::cors_headers(&config));
        if config.gateway.token_secret.is_some() {
            wanted.push(header::ORIGIN);
        }
        if config.telemetry.reads_traceparent() {
            wanted.extend([telemetry::TRACEPARENT, telemetry::TRACESTATE]);
        }
        wanted.dedup();
        let pages = cors::Pages::of(&config);
        let (json, hash) = (Cow::Borrowed(""), String::new());
        Self { config, wanted_headers: wanted, pages, keys: OnceLock::new(), version, json, hash }
    }

    /// The one with the compiled-in configuration.
    #[must_use]
    pub fn compiled() -> &'static Self {
        static GATEWAY: OnceLock<Gateway> = OnceLock::new();
        #[expect(clippy::expect_used, reason = "what builds the gateway wrote it with the same types")]
        GATEWAY.get_or_init(|| {
            let json = crate::built_in().json;
            let config = serde_json::from_str(json)
                .expect("a configuration in this module: build it with `cargo xtask build`");
            Self::deployed(config, json.into())
        })
    }

    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which configuration it is, as records name it.
    #[must_use]
    pub fn version(&self) -> ConfigVersion {
        self.version
    }

    /// The SHA-256 of the compiled-in configuration, in hex digits.
    fn hash(&self) -> &str {
        &self.hash
    }

    /// The request headers that a platform has to bring; further ones are ignored.
    #[must_use]
    pub fn wanted_headers(&self) -> &[HeaderName] {
        &self.wanted_headers
    }
}

fn first_bytes(digest: &[u8; 32]) -> u32 {
    let [a, b, c, d, ..] = *digest;
    u32::from_be_bytes([a, b, c, d])
}

/// Serves one request, by the configuration that was pushed last, if there is one. Nothing is left running when it returns.
pub async fn handle<P: Platform>(platform: &P, compiled: &Gateway, head: Request<()>) {
    let current = pushed::of_request(platform, compiled).await;
    serve(platform, current.as_deref().unwrap_or(compiled), compiled, head).await;
    pushed::after_request(platform, compiled).await;
}

async fn serve<P: Platform>(platform: &P, gateway: &Gateway, compiled: &Gateway, head: Request<()>) {
    match gateway.preflight(&head) {
        Some(Ok(reply)) => return reply::nothing(platform, reply).await,
        Some(Err(error)) => {
            return refuse(platform, gateway, &head, registry::default_dialect(), &error).await;
        }
        None => {}
    }
    let path = moegate_wire::path::normal(head.uri().path());
    if let Some(result) = account::serve(platform, gateway, &head, &path).await {
        if let Err(error) = result {
            refuse(platform, gateway, &head, registry::account_dialect(), &error).await;
        }
        return;
    }
    let (dialect, result) = match registry::endpoint(&head, &path) {
        Some(Ok(endpoint)) => {
            let dialect = endpoint.dialect;
            let result = match endpoint.operation {
                Operation::Generate(call) => {
                    return generate::generate(platform, gateway, &head, dialect, call).await;
                }
                Operation::ListModels => pages::models(platform, gateway, dialect, &head, None).await,
                Operation::GetModel(name) => {
                    pages::models(platform, gateway, dialect, &head, Some(&name)).await
                }
            };
            (dialect, result)
        }
        Some(Err((dialect, error))) => (dialect, Err(error)),
        None => {
            let result = match (head.method(), &*path) {
                (&(Method::GET | Method::HEAD), "/") => pages::root(platform, gateway, &head).await,
                (&(Method::GET | Method::HEAD), "/health") => pages::health(platform, gateway, &head).await,
                (&(Method::GET | Method::HEAD), "/openapi.json") => {
                    pages::openapi(platform, gateway, &head).await
                }
                #[cfg(feature = "fault-injection")]
                (&Method::GET, "/__panic") => panic!("moegate-fault-injection"),
                #[cfg(feature = "fault-injection")]
                (&Method::GET, "/__ledger_down") => {
                    let until_ms = platform.now_ms() + 400;
                    platform.state(|state| state.ledger_down_until_ms = until_ms);
                    pages::health(platform, gateway, &head).await
                }
                #[cfg(feature = "fault-injection")]
                (&Method::GET, "/__panic_in_state") => platform.state(|_| panic!("moegate-fault-injection")),
                (_, "/config" | "/config/rollback") => {
                    admin::config::serve(platform, gateway, compiled, &head, &path).await
                }
                (&Method::POST, "/v1/tokens") => tokens::make(platform, gateway, &head).await,
                (_, "/v1/tokens") => Err(ApiError::method("POST")),
                (_, "/health" | "/openapi.json") => Err(ApiError::method("GET, HEAD")),
                _ => match admin::serve(platform, gateway, &head, &path).await {
                    Some(result) => result,
                    None => Err(ApiError::not_found()),
                },
            };
            (registry::dialect_of(&head, &path), result)
        }
    };
    if let Err(error) = result {
        refuse(platform, gateway, &head, dialect, &error).await;
    }
}

async fn refuse<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    dialect: &dyn ClientDialect,
    error: &ApiError,
) {
    let mut random = [0; 10];
    platform.random(&mut random);
    let id = request_id::make(platform.now_ms(), random);
    reply::refuse(platform, gateway.allowed(head), dialect, error, Some(&id), None).await;
}
