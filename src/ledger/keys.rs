//! Keys made at run time: the rows, a row of the audit for each change, and who is telling the store of a change.
//!
//! Instances read keys from the platform's store, and never here. What is in the store follows the row: after each change
//! its version is greater than the one that is published, until somebody has written it there and said so. One caller at a
//! time may write, for a while, so that nothing older can come to stand over something newer.

use super::made_key::{KeyChange, KeyRefusal, MadeKey};
use super::operation::Outcome;
use super::sql::{Row, Sql, SqlError, Value};
use serde::{Deserialize, Serialize};

/// Rows that one answer holds at most.
const MOST_ROWS: u32 = 200;

/// What the shard is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOperation {
    Change(KeyChange),
    /// Keys by their names, behind that one; of one maker's.
    List {
        after: String,
        limit: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_by: Option<String>,
    },
    /// Changes, the newest first, before that id; of keys of one maker's.
    Audit {
        before: String,
        limit: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_by: Option<String>,
    },
    /// Those of all keys, revoked ones too, in the order in which they came.
    Tenants,
    /// The names of keys of which the store is not told yet and nobody is telling it.
    Unpublished {
        now_ms: u64,
    },
    /// The row, to be written to the store until that moment, by this owner alone. Where there is nothing to be written, the
    /// hash `shown` counts as one whose text is given away.
    Publish {
        name: String,
        owner: String,
        now_ms: u64,
        until_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<String>,
    },
    /// The owner is done: that version of it is there (0: none), and hashes that were over at that moment are not any more.
    Published {
        name: String,
        owner: String,
        version: u64,
        now_ms: u64,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOutcome {
    Row(Box<MadeKey>),
    Refused(KeyRefusal),
    Rows(Vec<MadeKey>),
    Audit(Vec<AuditRow>),
    /// Of tenants or keys.
    Names(Vec<String>),
    Publish {
        row: Box<MadeKey>,
        version: u64,
    },
    /// The store has it.
    Clean,
    /// Another one is writing.
    Busy,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    pub id: String,
    pub at_ms: u64,
    pub by: String,
    pub name: String,
    pub what: String,
    /// JSON; empty: there was none.
    pub before: String,
    pub after: String,
}

pub(super) async fn keys<S: Sql>(sql: &S, operation: KeyOperation) -> Result<Outcome, SqlError> {
    let outcome = match operation {
        KeyOperation::Change(change) => self::change(sql, &change).await?,
        KeyOperation::List { after, limit, made_by } => list(sql, after, limit, made_by.as_deref()).await?,
        KeyOperation::Audit { before, limit, made_by } => {
            audit(sql, before, limit, made_by.as_deref()).await?
        }
        KeyOperation::Tenants => {
            let statement = "SELECT tenant FROM made_key GROUP BY tenant ORDER BY MIN(rowid)";
            names(&sql.run(statement, Vec::new()).await?)
        }
        KeyOperation::Unpublished { now_ms } => {
            let statement =
                "SELECT name FROM made_key WHERE published < version AND owner_until_ms <= ?1 LIMIT 20";
            names(&sql.run(statement, vec![now_ms.into()]).await?)
        }
        KeyOperation::Publish { name, owner, now_ms, until_ms, shown } => {
            publish(sql, name, owner, now_ms, until_ms, shown).await?
        }
        KeyOperation::Published { name, owner, version, now_ms } => {
            published(sql, name, owner, version, now_ms).await?
        }
    };
    Ok(Outcome::Keys(outcome))
}

fn names(rows: &[Vec<Value>]) -> KeyOutcome {
    KeyOutcome::Names(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

fn read(row: &[Value]) -> Result<MadeKey, SqlError> {
    serde_json::from_str(row.text(0)).map_err(|_| SqlError)
}

fn written(row: &MadeKey) -> Result<String, SqlError> {
    serde_json::to_string(row).map_err(|_| SqlError)
}

/// A key's row: the record, the version, the published version, who writes and until when.
async fn row<S: Sql>(sql: &S, name: &str) -> Result<Option<(MadeKey, Vec<Value>)>, SqlError> {
    let statement = "SELECT record, version, published, owner, owner_until_ms FROM made_key WHERE name = ?1";
    match sql.run(statement, vec![name.into()]).await?.pop() {
        Some(found) => Ok(Some((read(&found)?, found))),
        None => Ok(None),
    }
}

async fn change<S: Sql>(sql: &S, change: &KeyChange) -> Result<KeyOutcome, SqlError> {
    let before = row(sql, &change.name).await?.map(|(row, _)| row);
    let statement = "SELECT 1 FROM key_audit WHERE id = ?1";
    if !sql.run(statement, vec![change.id.as_str().into()]).await?.is_empty() {
        // Its answer was lost.
        return Ok(
            before.map_or(KeyOutcome::Refused(KeyRefusal::Unknown), |row| KeyOutcome::Row(Box::new(row)))
        );
    }
    let after = match (change.apply(before.as_ref()), &before) {
        (Ok(Some(after)), _) => after,
        (Ok(None), Some(before)) => return Ok(KeyOutcome::Row(Box::new(before.clone()))),
        (Ok(None), None) => return Ok(KeyOutcome::Refused(KeyRefusal::Unknown)),
        (Err(refusal), _) => return Ok(KeyOutcome::Refused(refusal)),
    };
    let statement = "INSERT INTO made_key (name, tenant, made_by, version, published, owner, owner_until_ms, record) \
                     VALUES (?1, ?2, ?3, 1, 0, '', 0, ?4) \
                     ON CONFLICT (name) DO UPDATE SET tenant = ?2, version = version + 1, record = ?4";
    let values = vec![
        change.name.as_str().into(),
        after.key.tenant_or_name().into(),
        after.made_by.as_str().into(),
        written(&after)?.into(),
    ];
    sql.run(statement, values).await?;
    let values = vec![
        change.id.as_str().into(),
        change.at_ms.into(),
        change.by.as_str().into(),
        change.name.as_str().into(),
        change.what.name().into(),
        before.as_ref().map(MadeKey::view).unwrap_or_default().into(),
        after.view().into(),
    ];
    sql.run("INSERT INTO key_audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values).await?;
    Ok(KeyOutcome::Row(Box::new(after)))
}

async fn list<S: Sql>(
    sql: &S,
    after: String,
    limit: u32,
    made_by: Option<&str>,
) -> Result<KeyOutcome, SqlError> {
    let statement =
        "SELECT record FROM made_key WHERE name > ?1 AND (?3 IS NULL OR made_by = ?3) ORDER BY name LIMIT ?2";
    let limit = u64::from(limit.clamp(1, MOST_ROWS));
    let rows = sql.run(statement, vec![after.into(), limit.into(), made_by.into()]).await?;
    Ok(KeyOutcome::Rows(rows.iter().map(|row| read(row)).collect::<Result<_, _>>()?))
}

async fn audit<S: Sql>(
    sql: &S,
    before: String,
    limit: u32,
    made_by: Option<&str>,
) -> Result<KeyOutcome, SqlError> {
    let statement = "SELECT id, at_ms, by, name, what, before, after FROM key_audit WHERE id < ?1 \
                     AND (?3 IS NULL OR name IN (SELECT name FROM made_key WHERE made_by = ?3)) ORDER BY id DESC LIMIT ?2";
    let limit = u64::from(limit.clamp(1, MOST_ROWS));
    let rows = sql.run(statement, vec![before.into(), limit.into(), made_by.into()]).await?;
    let read = |row: &Vec<Value>| {
        let text = |at| row.text(at).to_owned();
        AuditRow {
            id: text(0),
            at_ms: u64::try_from(row.number(1)).unwrap_or(0),
            by: text(2),
            name: text(3),
            what: text(4),
            before: text(5),
            after: text(6),
        }
    };
    Ok(KeyOutcome::Audit(rows.iter().map(read).collect()))
}

async fn publish<S: Sql>(
    sql: &S,
    name: String,
    owner: String,
    now_ms: u64,
    until_ms: u64,
    shown: Option<String>,
) -> Result<KeyOutcome, SqlError> {
    let Some((mut found, columns)) = row(sql, &name).await? else {
        return Ok(KeyOutcome::Refused(KeyRefusal::Unknown));
    };
    let now: Value = now_ms.into();
    if columns.get(1) == columns.get(2) {
        let Some(shown) = shown else { return Ok(KeyOutcome::Clean) };
        let is_it = |hash: &&mut super::made_key::Hash| hash.sha256 == shown && hash.is_good(now_ms);
        let Some(hash) = found.hashes.iter_mut().find(is_it) else {
            // Another change has taken it away.
            return Ok(KeyOutcome::Refused(KeyRefusal::Later));
        };
        hash.shown = true;
        let values = vec![name.into(), written(&found)?.into()];
        sql.run("UPDATE made_key SET record = ?2 WHERE name = ?1", values).await?;
        return Ok(KeyOutcome::Clean);
    }
    let statement = "UPDATE made_key SET owner = ?2, owner_until_ms = ?3 \
                     WHERE name = ?1 AND (owner_until_ms <= ?4 OR owner = ?2) RETURNING 1";
    if sql.run(statement, vec![name.into(), owner.into(), until_ms.into(), now]).await?.is_empty() {
        return Ok(KeyOutcome::Busy);
    }
    Ok(KeyOutcome::Publish { row: Box::new(found), version: u64::try_from(columns.number(1)).unwrap_or(0) })
}

async fn published<S: Sql>(
    sql: &S,
    name: String,
    owner: String,
    version: u64,
    now_ms: u64,
) -> Result<KeyOutcome, SqlError> {
    // What was changed meanwhile keeps its greater version.
    let statement = "UPDATE made_key SET published = MAX(published, ?3), owner = '', owner_until_ms = 0 WHERE name = ?1 AND owner = ?2 \
                     RETURNING record, version";
    let values = vec![name.as_str().into(), owner.into(), version.into()];
    if let Some(found) = sql.run(statement, values).await?.pop()
        && found.get(1) == Some(&version.into())
    {
        let mut row = read(&found)?;
        row.hashes.retain(|hash| hash.is_good(now_ms));
        sql.run("UPDATE made_key SET record = ?2 WHERE name = ?1", vec![name.into(), written(&row)?.into()])
            .await?;
    }
    Ok(KeyOutcome::Clean)
}
