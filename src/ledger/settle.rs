//! What an attempt has come to.

use super::operation::{Amounts, Hold, Outcome, Settle};
use super::reserve::{self, take};
use super::sql::{Row, Sql, SqlError, Value};
use super::total::Sums;
use super::usage;
use crate::metering::record::{Record, State};

/// Settles an attempt, once. An estimate gives way to exact counts; nothing else is changed by a second settlement.
pub(super) async fn settle<S: Sql>(sql: &S, settle: Settle, sums: &mut Sums) -> Result<Outcome, SqlError> {
    let Settle { id, mut amounts, holds, record, again_ms } = settle;
    // What is spent counts, what is over does not run.
    let spent = || holds.iter().filter(|hold| hold.to_ms > 0).cloned().collect::<Vec<_>>();
    let mut record = match record {
        Some(record) if record.state == State::Pending => {
            return not_running(sql, &id, &record, &spent(), &amounts, again_ms).await;
        }
        Some(record) => record,
        None => {
            if let Some(held) = take(sql, &id).await? {
                usage::settle(sql, &held.holds, &held.amounts, &amounts).await?;
            }
            // A copy of its reservation may be under way still.
            sql.run("INSERT OR IGNORE INTO released VALUES (?1)", vec![id.into()]).await?;
            return Ok(Outcome::Done);
        }
    };
    if let Some(held) = take(sql, &id).await? {
        // What its own server has said is exact.
        if let Some(receipt) = held.receipt.filter(|_| !record.metered) {
            record = record.settled_by(&receipt);
            amounts = Amounts { requests: amounts.requests, ..record.amounts() };
        }
        usage::settle(sql, &held.holds, &held.amounts, &amounts).await?;
        insert(sql, &id, &record, &held.holds, sums).await?;
    } else if let Some(before) = settled(sql, &id).await? {
        if before.record.state == State::Estimated && record.state == State::Settled {
            correct(sql, &id, before, record, &amounts, sums).await?;
        }
    } else {
        // Nothing was reserved: the ledger could not be reached then.
        let spent = spent();
        usage::add(sql, &spent, &amounts).await?;
        insert(sql, &id, &record, &spent, sums).await?;
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
    sums: &mut Sums,
) -> Result<(), SqlError> {
    let Settled { record: estimate, holds } = before;
    usage::correct(sql, &reserve::read(&holds), &estimate.amounts(), amounts).await?;
    sums.add(&estimate, -1);
    sql.run("DELETE FROM attempt WHERE id = ?1", vec![id.into()]).await?;
    insert(sql, id, &record, &[], sums).await
}

async fn insert<S: Sql>(
    sql: &S,
    id: &str,
    record: &Record,
    holds: &[Hold],
    sums: &mut Sums,
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
        // Something exact may come still.
        if record.metered { Value::Null } else { reserve::written(holds)? },
        serde_json::to_string(record).map_err(|_| SqlError)?.into(),
    ];
    let statement = "INSERT INTO attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    sql.run(statement, values).await?;
    sums.add(record, 1);
    Ok(())
}

/// The attempt is over, but stays pending: it does not count as running any more. `spent`: what it counts against, where
/// nothing was reserved.
async fn not_running<S: Sql>(
    sql: &S,
    id: &str,
    record: &Record,
    spent: &[Hold],
    amounts: &Amounts,
    again_ms: u64,
) -> Result<Outcome, SqlError> {
    let text = serde_json::to_string(record).map_err(|_| SqlError)?;
    let statement = "SELECT requests, tokens, cost, holds FROM pending WHERE id = ?1";
    let rows = sql.run(statement, vec![id.into()]).await?;
    let Some(row) = rows.first() else {
        if settled(sql, id).await?.is_none() {
            usage::add(sql, spent, amounts).await?;
            let statement = "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)";
            let Amounts { requests, tokens, cost } = *amounts;
            let holds = reserve::written(spent)?;
            let values = vec![
                id.into(),
                again_ms.into(),
                requests.into(),
                tokens.into(),
                cost.into(),
                holds,
                text.into(),
            ];
            sql.run(statement, values).await?;
        }
        return Ok(Outcome::Done);
    };
    let reserved = reserve::amounts(row, 0);
    let (running, others): (Vec<_>, Vec<_>) =
        reserve::read(row.text(3)).into_iter().partition(Hold::is_of_concurrency);
    usage::settle(sql, &running, &reserved, &reserved).await?;
    let statement = "UPDATE pending SET holds = ?2, record = ?3, until_ms = ?4 WHERE id = ?1";
    let values = vec![id.into(), reserve::written(&others)?, text.into(), again_ms.into()];
    sql.run(statement, values).await?;
    Ok(Outcome::Done)
}
