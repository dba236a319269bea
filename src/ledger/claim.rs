//! Requests with an idempotency key.

use super::operation::{Claim, Claimed, Outcome};
use super::sql::{Row, Sql, SqlError, Value};

/// Claims a request: one owner at a time, until it has answered or must be over.
pub(super) async fn claim<S: Sql>(sql: &S, claim: Claim) -> Result<Outcome, SqlError> {
    let Claim { key, content, owner, now_ms, until_ms } = claim;
    let statement = "SELECT content, owner, reply FROM idempotent WHERE key = ?1 AND until_ms > ?2";
    let rows = sql.run(statement, vec![key.as_str().into(), now_ms.into()]).await?;
    let claimed = match rows.first() {
        Some(row) if row.text(0) != content => Claimed::Differs,
        Some(row) => match row.get(2) {
            Some(Value::Text(reply)) => Claimed::Again { reply: reply.clone() },
            // Sent again, since its answer was lost.
            _ if row.text(1) == owner => Claimed::First,
            _ => Claimed::Running,
        },
        None => {
            let statement = "INSERT OR REPLACE INTO idempotent VALUES (?1, ?2, ?3, ?4, NULL)";
            let values = vec![key.into(), content.into(), owner.into(), until_ms.into()];
            sql.run(statement, values).await?;
            Claimed::First
        }
    };
    Ok(Outcome::Claimed(claimed))
}

/// Keeps the owner's answer for its repeats.
pub(super) async fn keep<S: Sql>(
    sql: &S,
    key: &str,
    owner: &str,
    until_ms: u64,
    reply: String,
) -> Result<Outcome, SqlError> {
    let statement = "UPDATE idempotent SET until_ms = ?3, reply = ?4 WHERE key = ?1 AND owner = ?2";
    sql.run(statement, vec![key.into(), owner.into(), until_ms.into(), reply.into()]).await?;
    Ok(Outcome::Done)
}

/// Lets the next one try. An answer that is kept stays.
pub(super) async fn forget<S: Sql>(sql: &S, key: &str, owner: &str) -> Result<Outcome, SqlError> {
    let statement = "DELETE FROM idempotent WHERE key = ?1 AND owner = ?2 AND reply IS NULL";
    sql.run(statement, vec![key.into(), owner.into()]).await?;
    Ok(Outcome::Done)
}
