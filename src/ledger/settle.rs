//! What an attempt has come to.

use super::operation::{Amounts, Outcome, Settle};
use super::reserve::{self, take};
use super::sql::{Row, Sql, SqlError, Value};
use super::{total, usage};
use crate::metering::record::{Record, State};

/// Settles an attempt, once. An estimate gives way to exact counts; nothing else is changed by a second settlement.
pub(super) async fn settle<S: Sql>(sql: &S, settle: Settle) -> Result<Outcome, SqlError> {
    let Settle { id, amounts, holds, record, again_ms } = settle;
    if let Some(record) = record.as_ref().filter(|record| record.state == State::Pending) {
        return not_running(sql, &id, record, again_ms).await;
    }
    let held = take(sql, &id).await?;
    let Some(record) = record else {
        if let Some(held) = held {
            usage::settle(sql, &held.holds, &held.amounts, &amounts).await?;
        }
        return Ok(Outcome::Done);
    };
    if let Some(held) = held {
        usage::settle(sql, &held.holds, &held.amounts, &amounts).await?;
        insert(sql, &id, &record, &held.holds).await?;
    } else if let Some(before) = settled(sql, &id).await? {
        if before.record.state == State::Estimated && record.state == State::Settled {
            correct(sql, &id, before, record, &amounts).await?;
        }
    } else {
        // Nothing was reserved: the ledger could not be reached then.
        let spent: Vec<_> = holds.into_iter().filter(|hold| hold.to_ms > 0).collect();
        usage::add(sql, &spent, &amounts).await?;
        insert(sql, &id, &record, &spent).await?;
    }
    Ok(Outcome::Done)
}

/// A settled attempt.
pub(super) struct Settled {
    pub(super) record: Record,
    holds: String,
}

pub(super) async fn settled<S: Sql>(sql: &S, id: &str) -> Result<Option<Settled>, SqlError> {
    let rows = sql.run("SELECT record, holds FROM attempt WHERE id = ?1", vec![id.into()]).await?;
    Ok(rows.first().and_then(|row| {
        let record = serde_json::from_str(row.text(0)).ok()?;
        Some(Settled { record, holds: row.text(1).to_owned() })
    }))
}

/// Puts exact counts in an estimate's place.
pub(super) async fn correct<S: Sql>(
    sql: &S,
    id: &str,
    before: Settled,
    record: Record,
    amounts: &Amounts,
) -> Result<(), SqlError> {
    let Settled { record: estimate, holds } = before;
    usage::correct(sql, &reserve::read(&holds), &estimate.amounts(), amounts).await?;
    total::add(sql, &estimate, -1).await?;
    sql.run("DELETE FROM attempt WHERE id = ?1", vec![id.into()]).await?;
    insert(sql, id, &record, &[]).await
}

async fn insert<S: Sql>(
    sql: &S,
    id: &str,
    record: &Record,
    holds: &[super::operation::Hold],
) -> Result<(), SqlError> {
    let estimated = record.state == State::Estimated;
    let values = vec![
        id.into(),
        u64::from(estimated).into(),
        record.key.as_str().into(),
        record.tenant.as_str().into(),
        record.model.as_str().into(),
        record.origin.as_str().into(),
        record.route.as_str().into(),
        record.user.as_deref().into(),
        record.tag.as_deref().into(),
        if estimated { reserve::written(holds)? } else { Value::Null },
        serde_json::to_string(record).map_err(|_| SqlError)?.into(),
    ];
    let statement = "INSERT INTO attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    sql.run(statement, values).await?;
    total::add(sql, record, 1).await
}

/// The attempt is over, but stays pending: it does not count as running any more.
async fn not_running<S: Sql>(sql: &S, id: &str, record: &Record, again_ms: u64) -> Result<Outcome, SqlError> {
    let statement = "SELECT requests, tokens, cost, holds FROM pending WHERE id = ?1";
    let rows = sql.run(statement, vec![id.into()]).await?;
    let Some(row) = rows.first() else { return Ok(Outcome::Done) };
    let reserved = reserve::amounts(row, 0);
    let (running, others): (Vec<_>, Vec<_>) =
        reserve::read(row.text(3)).into_iter().partition(|hold| hold.to_ms == 0);
    usage::settle(sql, &running, &reserved, &reserved).await?;
    let record = serde_json::to_string(record).map_err(|_| SqlError)?;
    let statement = "UPDATE pending SET holds = ?2, record = ?3, until_ms = ?4 WHERE id = ?1";
    let values = vec![id.into(), reserve::written(&others)?, record.into(), again_ms.into()];
    sql.run(statement, values).await?;
    Ok(Outcome::Done)
}
