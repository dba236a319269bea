//! The configuration that was pushed at run time: what instances read of it, and how it gets there.
//!
//! The ledger's shard `gateway` has the truth ([`versions`]). A copy of the latest version lies in the platform's store, which
//! every instance looks at from time to time ([`Current`](crate::current::Current)). It holds for the compiled-in configuration
//! that it was pushed against: a deploy with another one supersedes it.

use super::Gateway;
use super::ledger::ask;
use super::stream::Watch;
use crate::config::{Config, LedgerStore, Problem, replaceable};
use crate::current::PATIENCE_MS;
use crate::ledger::operation::{ConfigRow, Configs, PublishConfig};
use crate::ledger::{Operation, Outcome, versions};
use crate::platform::{Platform, StoreError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Where the copy lies.
const KEY: &str = "config/current";
/// How long it may take to write it.
const WRITE_MS: u64 = 10_000;
/// A writer has come to its end by then, whatever has become of it.
const WRITTEN_MS: u64 = 120_000;
/// How often one writes again, since another version has come meanwhile.
const TIMES: usize = 4;

/// The copy.
#[derive(Deserialize)]
struct Copy<'c> {
    version: u32,
    base: String,
    #[serde(borrow)]
    config: &'c RawValue,
}

/// Whether there can be a pushed configuration at all.
fn is_replaceable(gateway: &Gateway) -> bool {
    gateway.config.ledger.store == LedgerStore::Database && gateway.config.admin.is_some()
}

/// What a request is served by; `None`: the compiled-in configuration.
pub(super) async fn of_request<P: Platform>(platform: &P, compiled: &Gateway) -> Option<Arc<Gateway>> {
    if !is_replaceable(compiled) {
        return None;
    }
    look(platform, compiled, true).await;
    platform.state(|state| state.current.gateway())
}

/// Looks behind a request.
pub(super) async fn after_request<P: Platform>(platform: &P, compiled: &Gateway) {
    if is_replaceable(compiled) {
        look(platform, compiled, false).await;
    }
}

async fn look<P: Platform>(platform: &P, compiled: &Gateway, is_before: bool) {
    let now_ms = platform.now_ms();
    if !platform.state(|state| state.current.begins_look(is_before, now_ms)) {
        return;
    }
    let mut watch = Watch::new(platform);
    let loaded = watch.run_unattended(platform.load(KEY), now_ms + PATIENCE_MS).await;
    let Some(Ok(value)) = loaded else {
        platform.state(|state| state.current.failed(platform.now_ms()));
        return;
    };
    let mark = value.as_ref().map(|value| {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    });
    let is_new = platform.state(|state| state.current.answered(mark, now_ms));
    let Some(value) = value.filter(|_| is_new) else { return };
    match taken(compiled, &value) {
        Ok(Some(gateway)) => platform.state(|state| state.current.take_up(gateway)),
        Ok(None) => {}
        Err(why) => {
            let line = format!("the configuration in the store ({KEY}) is not taken up: {why}");
            platform.log(&line).await;
        }
    }
}

/// The gateway of a copy; `None` where it was pushed against another compiled-in configuration.
fn taken(compiled: &Gateway, value: &str) -> Result<Option<Gateway>, String> {
    let copy: Copy<'_> = serde_json::from_str(value).map_err(|error| error.to_string())?;
    if copy.base != compiled.hash() {
        return Ok(None);
    }
    let text = copy.config.get();
    let config = checked(compiled, text).map_err(|problems| listed(&problems))?;
    Ok(Some(Gateway::pushed(config, text, copy.version)))
}

/// A configuration that may take the place of the compiled-in one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn checked(compiled: &Gateway, text: &str) -> Result<Config, Vec<Problem>> {
    let config: Config = serde_json::from_str(text)
        .map_err(|error| vec![Problem { path: "config".to_owned(), message: error.to_string() }])?;
    config.validate()?;
    let problems = replaceable(&compiled.config, &config);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// Problems in one line: the first ones.
pub(super) fn listed(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(MOST) {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&problem.path);
        text.push_str(": ");
        text.push_str(&problem.message);
    }
    if problems.len() > MOST {
        text.push_str("; and more");
    }
    text
}

const MOST: usize = 10;

/// Has instances be given the latest version. `own`: the version that has just been made; otherwise what others have not come
/// to an end with.
///
/// # Errors
/// It did not get there; it is tried again in the upkeep.
pub(super) async fn publish<P: Platform>(platform: &P, own: Option<u32>) -> Result<(), StoreError> {
    let before_ms = platform.now_ms().saturating_sub(WRITTEN_MS);
    let mut written = None;
    for _ in 0..TIMES {
        let operation = Operation::PublishConfig(PublishConfig { written, own, before_ms });
        let Ok(Outcome::Configs(Configs { rows, config })) = ask(platform, versions::SHARD, &operation).await
        else {
            return Err(StoreError);
        };
        let (Some(row), Some(config)) = (rows.into_iter().next(), config) else { return Ok(()) };
        let ConfigRow { version, hash, base, .. } = row;
        let value =
            format!("{{\"version\":{version},\"hash\":\"{hash}\",\"base\":\"{base}\",\"config\":{config}}}");
        let until_ms = platform.now_ms() + WRITE_MS;
        let mut watch = Watch::new(platform);
        match watch.run_unattended(platform.store(KEY, &value), until_ms).await {
            Some(Ok(())) => written = Some(version),
            _ => return Err(StoreError),
        }
    }
    Err(StoreError)
}
