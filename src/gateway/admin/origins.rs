//! What the origins are doing.

use super::super::ledger::ask;
use super::super::reply;
use super::super::{Gateway, authenticate};
use crate::config::{LedgerStore, Origin};
use crate::error::ApiError;
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::origin_shard;
use crate::platform::Platform;
use crate::wake::{Ask, EndedWake, Lifecycle};
use http::Request;
use moegate_wire::{Nanodollars, OriginState};
use serde::Serialize;

/// Wakes of each origin that are shown.
const WAKES: u32 = 20;

#[derive(Serialize)]
struct Origins<'a> {
    origins: Vec<OriginReport<'a>>,
}

/// One origin. Those that never sleep have no more than their name.
#[derive(Serialize)]
struct OriginReport<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<OriginState>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    /// While it wakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    /// What a wake takes, by those that were seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_seconds: Option<u64>,
    /// Since the last one that succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    failed_wakes: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wakes: Vec<WakeReport>,
}

/// A wake that is over.
#[derive(Serialize)]
struct WakeReport {
    began_ms: u64,
    seconds: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// What the origin cost meanwhile, by its `gpu_hour`.
    cost: String,
    request: String,
    key: String,
    tenant: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Serves `GET /origins`.
pub(super) async fn origins<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    authenticate::admin(platform, gateway, head).await?;
    let mut reports = Vec::with_capacity(gateway.config.origins.len());
    for origin in &gateway.config.origins {
        let sleeps = origin.wake.is_some() && gateway.config.ledger.store == LedgerStore::Database;
        reports.push(if sleeps { sleeping(platform, origin).await? } else { awake(origin) });
    }
    let body = serde_json::to_string(&Origins { origins: reports }).unwrap_or_default();
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

fn awake(origin: &Origin) -> OriginReport<'_> {
    OriginReport {
        name: &origin.name,
        state: None,
        since_ms: None,
        seconds_left: None,
        start_seconds: None,
        failed_wakes: 0,
        reason: String::new(),
        not_before_ms: None,
        wakes: Vec::new(),
    }
}

async fn sleeping<'a, P: Platform>(platform: &P, origin: &'a Origin) -> Result<OriginReport<'a>, ApiError> {
    let shard = origin_shard(&origin.name);
    let now_ms = platform.now_ms();
    let look = Operation::Wake { origin: origin.name.clone(), ask: Ask::Look, now_ms };
    let Ok(Outcome::Lifecycle(answer)) = ask(platform, &shard, &look).await else {
        return Err(ApiError::ledger_unavailable());
    };
    let wakes = Operation::Wakes { origin: origin.name.clone(), limit: WAKES };
    let Ok(Outcome::Wakes { wakes }) = ask(platform, &shard, &wakes).await else {
        return Err(ApiError::ledger_unavailable());
    };
    let row: Lifecycle = answer.lifecycle;
    Ok(OriginReport {
        name: &origin.name,
        state: Some(row.state),
        since_ms: Some(row.since_ms).filter(|ms| *ms > 0),
        seconds_left: row.seconds_left(now_ms),
        start_seconds: (!row.took_ms.is_empty()).then(|| row.start_ms().div_ceil(1000)),
        failed_wakes: row.failures,
        reason: row.reason.clone(),
        not_before_ms: Some(row.not_before_ms).filter(|ms| *ms > now_ms),
        wakes: wakes.into_iter().map(report).collect(),
    })
}

fn report(wake: EndedWake) -> WakeReport {
    WakeReport {
        began_ms: wake.began_ms,
        seconds: wake.ended_ms.saturating_sub(wake.began_ms) / 1000,
        reason: wake.reason,
        cost: Nanodollars(wake.cost).to_dollars(),
        request: wake.by.request,
        key: wake.by.key,
        tenant: wake.by.tenant,
    }
}
