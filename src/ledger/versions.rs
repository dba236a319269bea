//! The versions of the configuration that are pushed at run time: in the shard `gateway`, each with who has made it, so that
//! the table is the audit as well.
//!
//! What instances read is a copy in the platform's store. A version counts as published when its own writer has seen that
//! nothing newer was there after its copy was written; so what is committed is published in the end, and a writer that was
//! slow does not leave an older copy behind.

use super::operation::{ConfigRow, Configs, Outcome, PublishConfig, PushConfig};
use super::sql::{Row, Sql, SqlError, Value};

/// The shard.
pub const SHARD: &str = "gateway";
/// Versions that are kept.
pub const KEPT: u32 = 50;

const COLUMNS: &str = "version, at_ms, who, note, hash, base, back_to";

/// Makes the next version, if the latest one is the one that is expected. The same again is no other one.
pub(super) async fn push<S: Sql>(sql: &S, push: PushConfig) -> Result<Outcome, SqlError> {
    let PushConfig { expected, row, config } = push;
    let latest = latest(sql).await?;
    let made = match &latest {
        Some(latest)
            if latest.version == expected + 1 && latest.hash == row.hash && latest.base == row.base =>
        {
            true
        }
        latest => {
            let is_next = latest.as_ref().map_or(0, |latest| latest.version) == expected;
            if is_next {
                let statement = "INSERT INTO config_version VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)";
                let values = vec![
                    u64::from(expected + 1).into(),
                    row.at_ms.into(),
                    row.who.into(),
                    row.note.into(),
                    row.hash.into(),
                    row.base.into(),
                    row.back_to.map_or(Value::Null, |version| u64::from(version).into()),
                    config.into(),
                ];
                sql.run(statement, values).await?;
                let statement = "DELETE FROM config_version WHERE version <= ?1";
                let before = (expected + 1).saturating_sub(KEPT);
                sql.run(statement, vec![u64::from(before).into()]).await?;
            }
            is_next
        }
    };
    let latest = if made { expected + 1 } else { latest.map_or(0, |latest| latest.version) };
    Ok(Outcome::Pushed { made, latest })
}

/// The versions, the latest first, and the text of one of them.
pub(super) async fn read<S: Sql>(sql: &S, version: Option<u32>) -> Result<Outcome, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM config_version ORDER BY version DESC");
    let rows = sql.run(&statement, Vec::new()).await?.iter().map(|cells| row(cells)).collect();
    let config = match version {
        None => None,
        Some(version) => {
            let statement = "SELECT config FROM config_version WHERE version = ?1";
            let rows = sql.run(statement, vec![u64::from(version).into()]).await?;
            rows.first().map(|cells| cells.text(0).to_owned())
        }
    };
    Ok(Outcome::Configs(Configs { rows, config }))
}

/// What has to be written for instances: the latest version, if it is not the one that is written or another one's writer has
/// not come to its end. Empty where there is nothing to do.
pub(super) async fn publish<S: Sql>(sql: &S, publish: &PublishConfig) -> Result<Outcome, SqlError> {
    let nothing = || Ok(Outcome::Configs(Configs::default()));
    let Some(latest) = latest(sql).await? else { return nothing() };
    if publish.written == Some(latest.version) {
        let statement = "UPDATE config_version SET published = 1 WHERE version = ?1 OR at_ms <= ?2";
        let own = publish.own.unwrap_or(0);
        sql.run(statement, vec![u64::from(own).into(), publish.before_ms.into()]).await?;
        return nothing();
    }
    let statement = "SELECT 1 FROM config_version WHERE published = 0 LIMIT 1";
    if publish.own.is_none() && publish.written.is_none() && sql.run(statement, Vec::new()).await?.is_empty()
    {
        return nothing();
    }
    let statement = "SELECT config FROM config_version WHERE version = ?1";
    let rows = sql.run(statement, vec![u64::from(latest.version).into()]).await?;
    let config = rows.first().map(|cells| cells.text(0).to_owned());
    Ok(Outcome::Configs(Configs { rows: vec![latest], config }))
}

async fn latest<S: Sql>(sql: &S) -> Result<Option<ConfigRow>, SqlError> {
    let statement = format!("SELECT {COLUMNS} FROM config_version ORDER BY version DESC LIMIT 1");
    Ok(sql.run(&statement, Vec::new()).await?.first().map(|cells| row(cells)))
}

fn row(cells: &[Value]) -> ConfigRow {
    let number = |at| u64::try_from(cells.number(at)).unwrap_or(0);
    let version = |at| u32::try_from(number(at)).unwrap_or(u32::MAX);
    ConfigRow {
        version: version(0),
        at_ms: number(1),
        who: cells.text(2).to_owned(),
        note: cells.text(3).to_owned(),
        hash: cells.text(4).to_owned(),
        base: cells.text(5).to_owned(),
        back_to: matches!(cells.get(6), Some(Value::Integer(_))).then(|| version(6)),
    }
}
