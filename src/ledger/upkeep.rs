//! What happens beside the requests: late news of attempts, retention, sums for readers elsewhere.

use super::operation::{Outcome, Pending};
use super::read;
use super::reserve::amounts;
use super::settle::{correct, settled};
use super::sql::{Row, Sql, SqlError, Value};
use super::total::Sums;
use crate::metering::DAY_MS;
use crate::metering::record::{Record, State};
use moegate_wire::period::Period;
use moegate_wire::{Ending, Receipt};

/// How soon a shard with attempts under way or with sums that are not published wants its upkeep.
const SOON_MS: u64 = 30_000;

/// While an origin wakes.
const WAKING_MS: u64 = 500;

/// How long wakes are kept.
const WAKES_DAYS: u64 = 90;

/// Gives the attempts whose deadline is over to one caller at a time.
pub(super) async fn overdue<S: Sql>(
    sql: &S,
    now_ms: u64,
    again_ms: u64,
    limit: u32,
) -> Result<Outcome, SqlError> {
    let statement = "UPDATE pending SET until_ms = ?2 WHERE id IN \
                     (SELECT id FROM pending WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?3) \
                     RETURNING id, requests, tokens, cost, record, receipt";
    let rows = sql.run(statement, vec![now_ms.into(), again_ms.into(), u64::from(limit).into()]).await?;
    let mut pending = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut record: Option<Record> = serde_json::from_str(row.text(4)).ok();
        if let Some(record) = &mut record {
            // Each attempt is the last one until another follows.
            let next = format!("{}-{}", record.request(), record.attempt + 1);
            let statement =
                "SELECT 1 FROM pending WHERE id = ?1 UNION ALL SELECT 1 FROM attempt WHERE id = ?1";
            record.last = sql.run(statement, vec![next.into()]).await?.is_empty();
        }
        pending.push(Pending {
            id: row.text(0).to_owned(),
            amounts: amounts(row, 1),
            record,
            receipt: serde_json::from_str(row.text(5)).ok(),
        });
    }
    Ok(Outcome::Overdue { pending })
}

/// Notes what our own server says: of an attempt under way for its settlement, of what is not exact in its place.
pub(super) async fn receipts<S: Sql>(
    sql: &S,
    origin: &str,
    receipts: Vec<Receipt>,
    sums: &mut Sums,
) -> Result<Outcome, SqlError> {
    for receipt in receipts.iter().filter(|receipt| receipt.ending != Ending::Running) {
        let text = serde_json::to_string(receipt).map_err(|_| SqlError)?;
        let statement = "UPDATE pending SET receipt = ?2 WHERE id = ?1 AND json_extract(record, '$.origin') = ?3 RETURNING id";
        let values = vec![receipt.id.as_str().into(), text.into(), origin.into()];
        if !sql.run(statement, values).await?.is_empty() {
            continue;
        }
        if let Some(before) = settled(sql, &receipt.id).await?
            && (before.record.state == State::Estimated || !before.record.metered)
            && before.record.origin == origin
        {
            let record = before.record.clone().settled_by(receipt);
            let amounts = record.amounts();
            correct(sql, &receipt.id, before, record, &amounts, sums).await?;
        }
    }
    Ok(Outcome::Done)
}

/// Later sums of an instance replace earlier ones; they only grow.
pub(super) async fn periods<S: Sql>(sql: &S, origin: &str, periods: &[Period]) -> Result<Outcome, SqlError> {
    let statement = "INSERT INTO period VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                     busy = MAX(busy, ?4), idle = MAX(idle, ?5), cold = MAX(cold, ?6)";
    for period in periods {
        let values = vec![
            origin.into(),
            period.origin_instance.as_str().into(),
            period.hour_ms.into(),
            period.busy_us.into(),
            period.idle_us.into(),
            period.cold_us.into(),
        ];
        sql.run(statement, values).await?;
    }
    Ok(Outcome::Done)
}

/// Takes an end user out of the records. Their sums have no users.
pub(super) async fn forget_user<S: Sql>(sql: &S, user: &str) -> Result<Outcome, SqlError> {
    for table in ["attempt", "pending"] {
        let user_column = if table == "attempt" { "user = NULL, " } else { "" };
        let statement = format!(
            "UPDATE {table} SET {user_column}record = json_remove(record, '$.user') \
             WHERE json_extract(record, '$.user') = ?1"
        );
        sql.run(&statement, vec![user.into()]).await?;
    }
    Ok(Outcome::Done)
}

/// Deletes what is not kept any longer. Windows of limits are kept for a day past their end, for late settlements.
pub(super) async fn prune<S: Sql>(sql: &S, before_id: &str, now_ms: u64) -> Result<Outcome, SqlError> {
    sql.run("DELETE FROM attempt WHERE id < ?1", vec![before_id.into()]).await?;
    sql.run("DELETE FROM idempotent WHERE until_ms < ?1", vec![now_ms.into()]).await?;
    let day_ago_ms = now_ms.saturating_sub(DAY_MS);
    let statement = "DELETE FROM usage WHERE to_ms > 0 AND to_ms < ?1";
    sql.run(statement, vec![day_ago_ms.into()]).await?;
    let day_ago = crate::request_id::make(day_ago_ms, [0; 10]);
    sql.run("DELETE FROM released WHERE id < ?1", vec![day_ago.into()]).await?;
    let long_ago_ms = now_ms.saturating_sub(WAKES_DAYS * DAY_MS);
    sql.run("DELETE FROM wake WHERE began_ms < ?1", vec![long_ago_ms.into()]).await?;
    Ok(Outcome::Done)
}

/// The hours whose sums have changed. They count as published only after [`published`]: what changes in between does not.
pub(super) async fn publish<S: Sql>(sql: &S) -> Result<Outcome, SqlError> {
    sql.run("UPDATE changed SET state = 2 WHERE state = 1", Vec::new()).await?;
    let statement = "SELECT key, tenant, model, origin, route, ending, hour, requests, attempts, unmetered, estimated, \
                     prompt, cached, cache_write, completion, reasoning, cost, upstream, beside_upstream, busy \
                     FROM total WHERE hour IN (SELECT hour FROM changed WHERE state = 2) ORDER BY hour";
    let rows = sql.run(statement, Vec::new()).await?;
    Ok(Outcome::Published { hours: rows.iter().map(|row: &Vec<Value>| read::sums(row)).collect() })
}

pub(super) async fn published<S: Sql>(sql: &S) -> Result<Outcome, SqlError> {
    sql.run("DELETE FROM changed WHERE state = 2", Vec::new()).await?;
    Ok(Outcome::Done)
}

/// When the shard wants its upkeep again: soon while an attempt is not settled, or a sum, a configuration or a key not published;
/// daily while there is anything that is deleted some day.
pub(super) async fn due<S: Sql>(sql: &S) -> Result<Option<u64>, SqlError> {
    let statement = "SELECT EXISTS (SELECT 1 FROM pending) OR EXISTS (SELECT 1 FROM changed) \
                     OR EXISTS (SELECT 1 FROM config_version WHERE published = 0) \
                     OR EXISTS (SELECT 1 FROM made_key WHERE published < version), \
                     EXISTS (SELECT 1 FROM attempt) OR EXISTS (SELECT 1 FROM idempotent) \
                     OR EXISTS (SELECT 1 FROM usage) OR EXISTS (SELECT 1 FROM released) OR EXISTS (SELECT 1 FROM wake), \
                     EXISTS (SELECT 1 FROM lifecycle WHERE waking = 1)";
    let rows = sql.run(statement, Vec::new()).await?;
    let is_so = |at| rows.first().is_some_and(|row: &Vec<Value>| row.number(at) != 0);
    Ok(if is_so(2) {
        Some(WAKING_MS)
    } else if is_so(0) {
        Some(SOON_MS)
    } else if is_so(1) {
        Some(DAY_MS)
    } else {
        None
    })
}
