//! Before an attempt is sent.

use super::operation::{Amounts, Hold, Outcome, Reserve};
use super::sql::{Row, Sql, SqlError, Value};
use super::usage;
use moegate_wire::Receipt;

/// Reserves room for an attempt, in all of its holds or in none.
pub(super) async fn reserve<S: Sql>(sql: &S, reserve: Reserve) -> Result<Outcome, SqlError> {
    let Reserve { id, until_ms, amounts, holds, record } = reserve;
    // Sent again, since its answer was lost: what was left is not known any more. Or late: it is over already.
    let known = "SELECT 1 FROM pending WHERE id = ?1 UNION ALL SELECT 1 FROM attempt WHERE id = ?1 \
                 UNION ALL SELECT 2 FROM released WHERE id = ?1";
    match sql.run(known, vec![id.as_str().into()]).await?.first().map(|row| row.number(0)) {
        None => {}
        Some(1) => return Ok(Outcome::Reserved { left: Vec::new() }),
        // It was given up before this came: nothing is reserved.
        Some(_) => return Ok(Outcome::Done),
    }
    let mut left = Vec::with_capacity(holds.len());
    for (at, hold) in holds.iter().enumerate() {
        match usage::fits(sql, at, hold, &amounts).await? {
            Ok(rest) => left.push(rest),
            Err(refused) => return Ok(Outcome::Refused(refused)),
        }
    }
    let statement = "INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)";
    let values = vec![
        id.into(),
        until_ms.into(),
        amounts.requests.into(),
        amounts.tokens.into(),
        amounts.cost.into(),
        written(&holds)?,
        match &record {
            Some(record) => Value::Text(serde_json::to_string(record).map_err(|_| SqlError)?),
            None => Value::Null,
        },
    ];
    sql.run(statement, values).await?;
    usage::add(sql, &holds, &amounts).await?;
    Ok(Outcome::Reserved { left })
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
        receipt: serde_json::from_str(row.text(4)).ok(),
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
    serde_json::from_str(holds).unwrap_or_default()
}
