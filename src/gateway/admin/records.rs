//! `GET /requests/{id}`, `GET /usage/export`, `DELETE /usage/users/{user}`: the records themselves.

use super::super::ledger::ask;
use super::super::{Gateway, authenticate, reply};
use super::{needs_ledger, tenants};
use crate::config::LedgerStore;
use crate::error::ApiError;
use crate::ledger::operation::{Filter, Rows};
use crate::ledger::{Operation, Outcome};
use crate::metering::csv;
use crate::metering::limit::tenant_shard;
use crate::metering::query::{Query, encode_cursor};
use crate::metering::record::Record;
use crate::platform::{Payload, Platform};
use crate::{request_id, routing};
use http::Request;

/// Records that the ledger is asked for at a time, and times that one answer asks at most: Workers allow 50 subrequests on
/// the free plan.
const AT_A_TIME: u32 = 1000;
const MAX_PAGES: usize = 40;

/// Who may read, and that there is a ledger.
async fn admit<P: Platform>(platform: &P, gateway: &Gateway, head: &Request<()>) -> Result<(), ApiError> {
    authenticate::admin(platform, gateway, head).await?;
    match gateway.config.ledger.store {
        LedgerStore::Database => Ok(()),
        LedgerStore::KeyValue => Err(needs_ledger()),
    }
}

/// The records of one request: one for each attempt.
pub(super) async fn request<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    id: &str,
) -> Result<(), ApiError> {
    admit(platform, gateway, head).await?;
    let tenants = tenants(platform, gateway).await?;
    for tenant in tenants.iter().filter(|tenant| request_id::has_mark(id, tenant)) {
        let operation = Operation::Request { id: id.to_owned() };
        match ask(platform, &tenant_shard(tenant), &operation).await {
            Ok(Outcome::Rows { records }) if records.is_empty() => {}
            Ok(Outcome::Rows { records }) => {
                let attempts = serde_json::to_string(&records).unwrap_or_default();
                let id = serde_json::Value::from(id);
                let body = format!("{{\"id\":{id},\"attempts\":{attempts}}}");
                reply::json(platform, gateway.allowed(head), body).await;
                return Ok(());
            }
            _ => return Err(ApiError::ledger_unavailable()),
        }
    }
    Err(ApiError::unknown_request())
}

/// Every settled record of a time, tenant by tenant, as lines of JSON or CSV. Where there is more than one answer holds, its
/// last line says with which `cursor` to go on (a comment, in CSV).
pub(super) async fn export<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    admit(platform, gateway, head).await?;
    let query = Query::of_records(head.uri().query().unwrap_or(""))?;
    let (first_id, before) = query.range_ids();
    let tenants = tenants(platform, gateway).await?;
    // The tenant's place and the last id that was given.
    let (mut at, mut after) = match query.cursor.as_deref().map(|cursor| cursor.split_once(' ')) {
        None => (0, below(&first_id)),
        Some(Some((at, after))) if at.parse::<usize>().is_ok() => (at.parse().unwrap_or(0), after.to_owned()),
        Some(_) => {
            let text = "`cursor` must be the one of an earlier answer's last line";
            return Err(ApiError::invalid("invalid_cursor", Some("cursor"), text));
        }
    };
    // The first page decides about the status; what fails later breaks the answer off.
    let mut outgoing = None;
    for _ in 0..MAX_PAGES {
        let Some(tenant) = tenants.get(at) else { break };
        let records = match query.filter.tenant.as_deref().is_none_or(|wanted| wanted == *tenant) {
            true => page(platform, tenant, &after, &before, &query.filter).await,
            false => Ok(Vec::new()),
        };
        let records = match (records, &outgoing) {
            (Ok(records), _) => records,
            (Err(error), None) => return Err(error),
            (Err(_), Some(_)) => return Ok(()),
        };
        let mut text = String::new();
        let to = match &mut outgoing {
            Some(outgoing) => outgoing,
            none => {
                if query.csv && query.cursor.is_none() {
                    text.push_str(csv::HEADER);
                }
                none.insert(platform.begin(reply::lines(gateway.allowed(head), query.csv)))
            }
        };
        for record in &records {
            match query.csv {
                true => csv::line(&mut text, record),
                false => text.push_str(&serde_json::to_string(record).unwrap_or_default()),
            }
            text.push('\n');
        }
        if !text.is_empty() && platform.write(to, Payload::Own(text.into_bytes())).await.is_err() {
            return Ok(());
        }
        match records.last() {
            Some(last) if records.len() == AT_A_TIME as usize => after.clone_from(&last.id),
            _ => (at, after) = (at + 1, below(&first_id)),
        }
    }
    let mut outgoing = match outgoing {
        Some(outgoing) => outgoing,
        None => platform.begin(reply::lines(gateway.allowed(head), query.csv)),
    };
    if at < tenants.len() {
        let cursor = encode_cursor(&format!("{at} {after}"));
        let line = match query.csv {
            true => format!("# next_cursor={cursor}\n"),
            false => format!("{{\"next_cursor\":\"{cursor}\"}}\n"),
        };
        if platform.write(&mut outgoing, Payload::Own(line.into_bytes())).await.is_err() {
            return Ok(());
        }
    }
    let _left = platform.close(outgoing).await;
    Ok(())
}

/// What sorts just before an id of that beginning.
fn below(id: &str) -> String {
    id.get(..10).unwrap_or(id).to_owned()
}

async fn page<P: Platform>(
    platform: &P,
    tenant: &str,
    after: &str,
    before: &str,
    filter: &Filter,
) -> Result<Vec<Record>, ApiError> {
    let rows = Operation::Rows(Rows {
        after: after.to_owned(),
        before: before.to_owned(),
        limit: AT_A_TIME,
        filter: Filter { tenant: Some(tenant.to_owned()), ..filter.clone() },
    });
    match ask(platform, &tenant_shard(tenant), &rows).await {
        Ok(Outcome::Rows { records }) => Ok(records),
        _ => Err(ApiError::ledger_unavailable()),
    }
}

/// Takes an end user's name out of all records.
pub(super) async fn forget_user<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    user: &str,
) -> Result<(), ApiError> {
    admit(platform, gateway, head).await?;
    let user = routing::decode_name(user).filter(|user| !user.is_empty()).ok_or_else(ApiError::not_found)?;
    for tenant in tenants(platform, gateway).await? {
        let operation = Operation::ForgetUser { user: user.clone() };
        if ask(platform, &tenant_shard(&tenant), &operation).await.is_err() {
            return Err(ApiError::ledger_unavailable());
        }
    }
    reply::json(platform, gateway.allowed(head), "{\"forgotten\":true}".to_owned()).await;
    Ok(())
}
