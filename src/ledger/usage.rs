//! What is used of each limit, reservations included.

use super::operation::{Amounts, Counted, Hold, Left, Refused};
use super::sql::{Row, Sql, SqlError, Value};

/// Whether the amounts fit into the hold.
///
/// # Errors
/// The inner one: the limit that they would exceed.
pub(super) async fn fits<S: Sql>(
    sql: &S,
    at: usize,
    hold: &Hold,
    add: &Amounts,
) -> Result<Result<Left, Refused>, SqlError> {
    let used = used(sql, hold).await?;
    let limits = [
        (Counted::Requests, hold.requests, used.requests, add.requests),
        (Counted::Tokens, hold.tokens, used.tokens, add.tokens),
        (Counted::Cost, hold.cost, used.cost, add.cost),
    ];
    let mut left = [None; 3];
    for (place, (what, limit, used, add)) in limits.into_iter().enumerate() {
        let Some(limit) = limit else { continue };
        let after = used.saturating_add(add);
        // What adds nothing exceeds nothing.
        if after > limit && add > 0 {
            return Ok(Err(Refused { hold: at, what, used }));
        }
        left[place] = Some(limit.saturating_sub(after));
    }
    let [requests, tokens, cost] = left;
    Ok(Ok(Left { requests, tokens, cost }))
}

async fn used<S: Sql>(sql: &S, hold: &Hold) -> Result<Amounts, SqlError> {
    let statement =
        "SELECT requests, tokens, cost FROM usage WHERE scope = ?1 AND from_ms = ?2 AND to_ms = ?3";
    let values = vec![hold.scope.as_str().into(), hold.from_ms.into(), hold.to_ms.into()];
    let rows = sql.run(statement, values).await?;
    let Some(row) = rows.first() else { return Ok(Amounts::default()) };
    let count = |at| u64::try_from(row.number(at)).unwrap_or(0);
    Ok(Amounts { requests: count(0), tokens: count(1), cost: count(2) })
}

/// Counts a reservation.
pub(super) async fn add<S: Sql>(sql: &S, holds: &[Hold], amounts: &Amounts) -> Result<(), SqlError> {
    for hold in holds {
        let change = match hold.to_ms {
            0 => [number(amounts.requests), 0, 0],
            _ => [number(amounts.requests), number(amounts.tokens), number(amounts.cost)],
        };
        change_by(sql, hold, change).await?;
    }
    Ok(())
}

/// Counts what it has come to instead of what was reserved. It is not under way any more.
pub(super) async fn settle<S: Sql>(
    sql: &S,
    holds: &[Hold],
    reserved: &Amounts,
    actual: &Amounts,
) -> Result<(), SqlError> {
    let difference = |actual: u64, reserved: u64| number(actual) - number(reserved);
    for hold in holds {
        let change = match hold.to_ms {
            0 => [-number(reserved.requests), 0, 0],
            _ => [
                difference(actual.requests, reserved.requests),
                difference(actual.tokens, reserved.tokens),
                difference(actual.cost, reserved.cost),
            ],
        };
        change_by(sql, hold, change).await?;
    }
    Ok(())
}

/// Counts a correction of what was settled before. Nothing of it is under way any more.
pub(super) async fn correct<S: Sql>(
    sql: &S,
    holds: &[Hold],
    before: &Amounts,
    after: &Amounts,
) -> Result<(), SqlError> {
    for hold in holds.iter().filter(|hold| hold.to_ms > 0) {
        let change =
            [0, number(after.tokens) - number(before.tokens), number(after.cost) - number(before.cost)];
        change_by(sql, hold, change).await?;
    }
    Ok(())
}

async fn change_by<S: Sql>(sql: &S, hold: &Hold, change: [i64; 3]) -> Result<(), SqlError> {
    if change == [0; 3] {
        return Ok(());
    }
    let statement = "INSERT INTO usage VALUES (?1, ?2, ?3, MAX(?4, 0), MAX(?5, 0), MAX(?6, 0)) ON CONFLICT DO UPDATE \
                     SET requests = MAX(requests + ?4, 0), tokens = MAX(tokens + ?5, 0), cost = MAX(cost + ?6, 0)";
    let mut values = vec![hold.scope.as_str().into(), hold.from_ms.into(), hold.to_ms.into()];
    values.extend(change.map(Value::Integer));
    sql.run(statement, values).await?;
    Ok(())
}

/// No count comes near the end of its range: what is larger is cut where it enters the database.
fn number(count: u64) -> i64 {
    match Value::from(count) {
        Value::Integer(number) => number,
        _ => 0,
    }
}
