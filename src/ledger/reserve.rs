//! Before an attempt is sent.

use super::operation::{Amounts, Hold, Outcome, Reserve, Written};
use super::sql::{Row, Sql, SqlError, Value};
use super::usage;
use moegate_wire::Receipt;

/// Reserves room for an attempt, in all of its holds or in none.
pub(super) async fn reserve<S: Sql>(sql: &S, reserve: Reserve) -> Result<Outcome, SqlError> {
    let Reserve { id, until_ms, amounts, holds, record } = reserve;
    let statement = "INSERT INTO pending SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL \
                     WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE id = ?1 \
                     UNION ALL SELECT 1 FROM released WHERE id = ?1) ON CONFLICT DO NOTHING RETURNING 1";
    let values = vec![
        id.as_str().into(),
        until_ms.into(),
        amounts.requests.into(),
        amounts.tokens.into(),
        amounts.cost.into(),
        written(&holds)?,
        record.as_ref().map(Written::as_str).into(),
    ];
    if sql.run(statement, values).await?.is_empty() {
        return known(sql, &id).await;
    }
    let mut left = Vec::with_capacity(holds.len());
    for (at, hold) in holds.iter().enumerate() {
        match usage::fits(sql, at, hold, &amounts).await? {
            Ok(rest) => left.push(rest),
            Err(refused) => {
                sql.run("DELETE FROM pending WHERE id = ?1", vec![id.into()]).await?;
                return Ok(Outcome::Refused(refused));
            }
        }
    }
    usage::add(sql, &holds, &amounts).await?;
    Ok(Outcome::Reserved { left })
}

/// Of an attempt that is there already.
async fn known<S: Sql>(sql: &S, id: &str) -> Result<Outcome, SqlError> {
    let released = sql.run("SELECT 1 FROM released WHERE id = ?1", vec![id.into()]).await?;
    Ok(match released.is_empty() {
        // Sent again, since its answer was lost: what was left is not known any more. Or late: it is over already.
        true => Outcome::Reserved { left: Vec::new() },
        // It was given up before this came: nothing is reserved.
        false => Outcome::Done,
    })
}

/// Gives the room of an attempt back that was not sent.
pub(super) async fn release<S: Sql>(sql: &S, id: &str) -> Result<Outcome, SqlError> {
    if let Some(Held { amounts, holds, .. }) = take(sql, id).await? {
        usage::settle(sql, &holds, &amounts, &Amounts::default()).await?;
    } else {
        // Its reservation may be under way still.
        sql.run("INSERT OR IGNORE INTO released VALUES (?1)", vec![id.into()]).await?;
    }
    Ok(Outcome::Done)
}

/// A reservation.
pub(super) struct Held {
    pub(super) amounts: Amounts,
    pub(super) holds: Vec<Hold>,
    /// What our own server has said of it meanwhile.
    pub(super) receipt: Option<Receipt>,
}

/// Takes an attempt out of what is pending.
pub(super) async fn take<S: Sql>(sql: &S, id: &str) -> Result<Option<Held>, SqlError> {
    let statement = "DELETE FROM pending WHERE id = ?1 RETURNING requests, tokens, cost, holds, receipt";
    let rows = sql.run(statement, vec![id.into()]).await?;
    Ok(rows.first().map(|row| Held {
        amounts: amounts(row, 0),
        holds: read(row.text(3)),
        receipt: Some(row.text(4))
            .filter(|text| !text.is_empty())
            .and_then(|text| serde_json::from_str(text).ok()),
    }))
}

pub(super) fn amounts(row: &[Value], from: usize) -> Amounts {
    let count = |at| u64::try_from(row.number(at)).unwrap_or(0);
    Amounts { requests: count(from), tokens: count(from + 1), cost: count(from + 2) }
}

pub(super) fn written(holds: &[Hold]) -> Result<Value, SqlError> {
    if holds.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::to_string(holds).map(Value::Text).map_err(|_| SqlError)
}

pub(super) fn read(holds: &str) -> Vec<Hold> {
    match holds {
        "" => Vec::new(),
        holds => serde_json::from_str(holds).unwrap_or_default(),
    }
}
