//! `GET /config`, `PUT /config`, `POST /config/rollback`: the configuration that is changed without a deploy.

use super::super::ledger::ask;
use super::super::stream::Watch;
use super::super::{Gateway, authenticate, pushed, reply};
use super::config_errors as errors;
use crate::config::LedgerStore;
use crate::error::ApiError;
use crate::json::from_bytes;
use crate::ledger::operation::{ConfigRow, Configs, PushConfig};
use crate::ledger::{Operation, Outcome, versions};
use crate::platform::{BodyError, Platform};
use http::{Method, Request};
use moegate_wire::sign;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Bytes of a body at most: what is stored for instances is a value of at most 1 MB, as Spin's default store takes it.
const LARGEST: usize = 999_000;
const BODY_MS: u64 = 10_000;
const LONGEST_NOTE: usize = 500;

/// What is pushed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push<'b> {
    /// The version that it replaces.
    if_version: u32,
    #[serde(default)]
    note: String,
    /// Of `PUT /config`.
    #[serde(borrow)]
    config: Option<&'b RawValue>,
    /// Of `POST /config/rollback`: which version shall hold again.
    version: Option<u32>,
}

/// Serves one of them. `compiled` has the compiled-in configuration.
pub(in super::super) async fn serve<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    compiled: &Gateway,
    head: &Request<()>,
    path: &str,
) -> Result<(), ApiError> {
    let is_rollback = path == "/config/rollback";
    let reads = matches!(*head.method(), Method::GET | Method::HEAD) && !is_rollback;
    match (head.method(), is_rollback) {
        (&Method::PUT, false) | (&Method::POST, true) => {}
        _ if reads => {}
        (_, false) => return Err(ApiError::method("GET, HEAD, PUT")),
        (_, true) => return Err(ApiError::method("POST")),
    }
    authenticate::admin(platform, gateway, head).await?;
    if compiled.config.ledger.store == LedgerStore::KeyValue {
        let text = "the configuration changes with a deploy only, since this gateway keeps no ledger, where its versions would be (`[ledger] store = \"key-value\"` in moegate.toml)";
        return Err(ApiError::invalid("ledger_needed", None, text));
    }
    let body = match reads {
        true => read(platform, gateway, compiled, head).await?,
        false => write(platform, compiled, is_rollback).await?,
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

async fn versions<P: Platform>(platform: &P, version: Option<u32>) -> Result<Configs, ApiError> {
    match ask(platform, versions::SHARD, &Operation::ReadConfig { version }).await {
        Ok(Outcome::Configs(configs)) => Ok(configs),
        _ => Err(ApiError::ledger_unavailable()),
    }
}

/// The text of a version.
async fn text_of<P: Platform>(platform: &P, compiled: &Gateway, version: u32) -> Result<String, ApiError> {
    if version == 0 {
        return Ok(compiled.json.clone().into_owned());
    }
    let config = versions(platform, Some(version)).await?.config;
    config.ok_or_else(|| errors::unknown(version))
}

async fn read<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    compiled: &Gateway,
    head: &Request<()>,
) -> Result<String, ApiError> {
    if let Some(query) = head.uri().query().filter(|query| !query.is_empty()) {
        let version = query.strip_prefix("version=").and_then(|number| number.parse().ok());
        let version = version.ok_or_else(|| {
            let text = "the only parameter is `version`, a version's number; 0 is the compiled-in one";
            ApiError::invalid("unknown_parameter", Some("version"), text)
        })?;
        return text_of(platform, compiled, version).await;
    }
    let rows = versions(platform, None).await?.rows;
    let deployed = compiled.hash();
    let none = ConfigRow { hash: deployed.to_owned(), base: deployed.to_owned(), ..ConfigRow::default() };
    let latest = rows.first().unwrap_or(&none);
    let list = serde_json::to_string(&rows).unwrap_or_default();
    let ConfigRow { version, at_ms, hash, base, .. } = latest;
    let (applies, running) = (base == deployed, gateway.version());
    Ok(format!(
        "{{\"version\":{version},\"hash\":\"{hash}\",\"base\":\"{base}\",\"since_ms\":{at_ms},\"deployed\":\"{deployed}\",\"applies\":{applies},\"running\":\"{running}\",\"versions\":{list}}}"
    ))
}

/// Makes a version and has instances be given it; this one takes it up at once.
async fn write<P: Platform>(platform: &P, compiled: &Gateway, is_rollback: bool) -> Result<String, ApiError> {
    let until_ms = platform.now_ms() + BODY_MS;
    let read = Watch::new(platform).run_unattended(platform.read_body(LARGEST), until_ms).await;
    let body = match read {
        Some(Ok(body)) => body,
        Some(Err(BodyError::TooLarge)) => return Err(errors::too_large()),
        _ => return Err(ApiError::body_timeout()),
    };
    let refused = |text: &str| Err(ApiError::invalid("invalid_config", None, text.to_owned()));
    let push: Push<'_> = match from_bytes(&body) {
        Ok(push) => push,
        Err(error) => return refused(&format!("the body is not what is pushed: {error}")),
    };
    if push.note.len() > LONGEST_NOTE {
        return refused("`note` has at most 500 bytes");
    }
    let (back_to, text) = match (is_rollback, push.config, push.version) {
        (false, Some(config), None) => (None, config.get().to_owned()),
        (true, None, Some(version)) => (Some(version), text_of(platform, compiled, version).await?),
        (false, ..) => return refused("the body has to have `if_version` and `config`"),
        (true, ..) => return refused("the body has to have `if_version` and `version`"),
    };
    let config = pushed::checked(compiled, &text).map_err(|problems| errors::refused(&problems))?;
    let hash = sign::to_hex(&Sha256::digest(&text));
    let row = ConfigRow {
        version: 0,
        at_ms: platform.now_ms(),
        who: "admin".to_owned(),
        note: push.note,
        hash: hash.clone(),
        base: compiled.hash().to_owned(),
        back_to,
    };
    let operation =
        Operation::PushConfig(PushConfig { expected: push.if_version, row, config: text.clone() });
    let version = match ask(platform, versions::SHARD, &operation).await {
        Ok(Outcome::Pushed { made: true, latest }) => latest,
        Ok(Outcome::Pushed { latest, .. }) => {
            return Err(errors::changed(push.if_version, latest));
        }
        _ => return Err(ApiError::ledger_unavailable()),
    };
    if pushed::publish(platform, Some(version)).await.is_err() {
        return Err(errors::not_published(version));
    }
    let gateway = Gateway::pushed(config, &text, version);
    platform.state(|state| state.current.take_up(gateway));
    Ok(format!("{{\"version\":{version},\"hash\":\"{hash}\"}}"))
}
