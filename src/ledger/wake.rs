//! The row of an origin that sleeps, and the rows of its wakes.

use super::operation::Outcome;
use super::sql::{Row, Sql, SqlError};
use crate::wake::{Ask, EndedWake, Lifecycle};

/// Carries out what is asked of an origin's row.
pub(super) async fn wake<S: Sql>(sql: &S, origin: &str, ask: Ask, now_ms: u64) -> Result<Outcome, SqlError> {
    let rows = sql.run("SELECT row FROM lifecycle WHERE origin = ?1", vec![origin.into()]).await?;
    let mut row: Lifecycle =
        rows.first().and_then(|row| serde_json::from_str(row.text(0)).ok()).unwrap_or_default();
    let before = row.clone();
    let (answer, ended) = row.ask(ask, now_ms);
    if row != before {
        let text = serde_json::to_string(&row).map_err(|_| SqlError)?;
        let values = vec![origin.into(), u64::from(row.run.is_some()).into(), text.into()];
        sql.run("INSERT OR REPLACE INTO lifecycle VALUES (?1, ?2, ?3)", values).await?;
    }
    if let Some(ended) = ended {
        let text = serde_json::to_string(&ended).map_err(|_| SqlError)?;
        let values = vec![origin.into(), ended.began_ms.into(), text.into()];
        sql.run("INSERT OR REPLACE INTO wake VALUES (?1, ?2, ?3)", values).await?;
    }
    Ok(Outcome::Lifecycle(Box::new(answer)))
}

/// The last wakes of an origin, the last one first.
pub(super) async fn wakes<S: Sql>(sql: &S, origin: &str, limit: u32) -> Result<Outcome, SqlError> {
    let statement = "SELECT row FROM wake WHERE origin = ?1 ORDER BY began_ms DESC LIMIT ?2";
    let rows = sql.run(statement, vec![origin.into(), u64::from(limit).into()]).await?;
    let ended = |text: &str| serde_json::from_str::<EndedWake>(text).map_err(|_| SqlError);
    Ok(Outcome::Wakes { wakes: rows.iter().map(|row| ended(row.text(0))).collect::<Result<_, _>>()? })
}
