//! Records and sums.

use super::operation::{By, Filter, Numbers, Outcome, PeriodSums, Rows, Sums, Totals};
use super::sql::{Row, Sql, SqlError, Value};
use crate::metering::record::{CACHED, Record, State};
use crate::metering::{DAY_MS, HOUR_MS};

/// Records that one answer holds at most.
const MOST_ROWS: u32 = 1000;

/// Sums, by key, tenant, model, origin, route and ending, and by one further dimension.
pub(super) async fn totals<S: Sql>(sql: &S, totals: &Totals) -> Result<Outcome, SqlError> {
    let sums = match totals.by {
        Some(By::User) => over_records(sql, totals, "user").await?,
        Some(By::Tag) => over_records(sql, totals, "tag").await?,
        // Sums have no users and tags; records do.
        by if totals.filter.user.is_some() || totals.filter.tag.is_some() => {
            let started = "json_extract(record, '$.started_ms')";
            let by = match by {
                Some(By::Hour) => format!("{started} / {HOUR_MS} * {HOUR_MS}"),
                Some(By::Day) => format!("{started} / {DAY_MS} * {DAY_MS}"),
                _ => "''".to_owned(),
            };
            over_records(sql, totals, &by).await?
        }
        Some(By::Hour) => over_hours(sql, totals, "hour").await?,
        Some(By::Day) => over_hours(sql, totals, &format!("hour / {DAY_MS} * {DAY_MS}")).await?,
        None => over_hours(sql, totals, "''").await?,
    };
    Ok(Outcome::Totals { sums })
}

/// What the instances of an own origin did, summed over the hours.
pub(super) async fn periods<S: Sql>(
    sql: &S,
    origin: &str,
    from_ms: u64,
    to_ms: u64,
) -> Result<Outcome, SqlError> {
    let statement =
        "SELECT SUM(busy), SUM(idle), SUM(cold) FROM period WHERE origin = ?1 AND hour >= ?2 AND hour < ?3";
    let rows = sql.run(statement, vec![origin.into(), from_ms.into(), to_ms.into()]).await?;
    let sum = |at| rows.first().map_or(0, |row| u64::try_from(row.number(at)).unwrap_or(0));
    Ok(Outcome::Periods(PeriodSums { busy_us: sum(0), idle_us: sum(1), cold_us: sum(2) }))
}

async fn over_hours<S: Sql>(sql: &S, totals: &Totals, by: &str) -> Result<Vec<Sums>, SqlError> {
    let mut values = vec![totals.from_ms.into(), totals.to_ms.into()];
    let condition = condition(&totals.filter, &mut values);
    let statement = format!(
        "SELECT key, tenant, model, origin, route, ending, {by}, SUM(requests), SUM(attempts), SUM(unmetered), \
         SUM(estimated), SUM(prompt), SUM(cached), SUM(cache_write), SUM(completion), SUM(reasoning), SUM(cost), \
         SUM(upstream), SUM(beside_upstream), SUM(busy) FROM total WHERE hour >= ?1 AND hour < ?2{condition} \
         GROUP BY 1, 2, 3, 4, 5, 6, 7"
    );
    Ok(sql.run(&statement, values).await?.iter().map(|row| sums(row)).collect())
}

/// Over the records themselves. Ids begin with their time.
async fn over_records<S: Sql>(sql: &S, totals: &Totals, by: &str) -> Result<Vec<Sums>, SqlError> {
    let mut values = vec![
        crate::request_id::make(totals.from_ms, [0; 10]).into(),
        crate::request_id::make(totals.to_ms, [0; 10]).into(),
    ];
    let condition = condition(&totals.filter, &mut values);
    let number = |path: &str| format!("SUM(COALESCE(json_extract(record, '$.{path}'), 0))");
    let statement = format!(
        "SELECT key, tenant, model, origin, route, CASE WHEN json_extract(record, '$.cache_hit') THEN '{CACHED}' \
         ELSE json_extract(record, '$.ending') END, {by}, {}, COUNT(*) - {}, COUNT(*) - {}, SUM(estimated), {}, {}, {}, {}, {}, {}, {}, \
         SUM(CASE WHEN json_extract(record, '$.upstream_cost_nanodollars') IS NULL THEN 0 \
         ELSE json_extract(record, '$.cost_nanodollars') END), {} \
         FROM attempt WHERE id >= ?1 AND id < ?2 AND {by} IS NOT NULL{condition} GROUP BY 1, 2, 3, 4, 5, 6, 7",
        number("last"),
        number("cache_hit"),
        number("metered"),
        number("usage.prompt"),
        number("usage.cached"),
        number("usage.cache_write"),
        number("usage.completion"),
        number("usage.reasoning"),
        number("cost_nanodollars"),
        number("upstream_cost_nanodollars"),
        number("busy_us"),
    );
    Ok(sql.run(&statement, values).await?.iter().map(|row| sums(row)).collect())
}

/// Columns: the six dimensions, the further one, and the numbers.
pub(super) fn sums(row: &[Value]) -> Sums {
    let mut numbers = Numbers::default();
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = u64::try_from(row.number(7 + at)).unwrap_or(0);
    }
    let text = |at| row.text(at).to_owned();
    let by = match row.get(6) {
        Some(Value::Integer(ms)) => ms.to_string(),
        _ => text(6),
    };
    Sums {
        key: text(0),
        tenant: text(1),
        model: text(2),
        origin: text(3),
        route: text(4),
        ending: text(5),
        by,
        numbers,
    }
}

/// What is added to a `WHERE`; the values go behind those that there are.
fn condition(filter: &Filter, values: &mut Vec<Value>) -> String {
    let Filter { key, tenant, model, origin, route, user, tag } = filter;
    let mut condition = String::new();
    for (column, wanted) in [
        ("key", key),
        ("tenant", tenant),
        ("model", model),
        ("origin", origin),
        ("route", route),
        ("user", user),
        ("tag", tag),
    ] {
        if let Some(wanted) = wanted {
            values.push(wanted.as_str().into());
            condition.push_str(&format!(" AND {column} = ?{}", values.len()));
        }
    }
    condition
}

/// Records in the order of their ids.
pub(super) async fn rows<S: Sql>(sql: &S, rows: &Rows) -> Result<Outcome, SqlError> {
    let limit = u64::from(rows.limit.clamp(1, MOST_ROWS));
    let mut values = vec![rows.after.as_str().into(), rows.before.as_str().into(), limit.into()];
    let condition = condition(&rows.filter, &mut values);
    let statement =
        format!("SELECT record FROM attempt WHERE id > ?1 AND id < ?2{condition} ORDER BY id LIMIT ?3");
    let rows = sql.run(&statement, values).await?;
    Ok(Outcome::Rows { records: records(&rows) })
}

fn records(rows: &[Vec<Value>]) -> Vec<Record> {
    rows.iter().filter_map(|row| serde_json::from_str(row.text(0)).ok()).collect()
}

/// The records of one request, those of attempts under way too. Ids of further attempts end in `-2` and so on.
pub(super) async fn request<S: Sql>(sql: &S, id: &str) -> Result<Outcome, SqlError> {
    let mut found = Vec::new();
    for table in ["attempt", "pending"] {
        let statement = format!(
            "SELECT record FROM {table} WHERE id = ?1 OR id > ?1 || '-' AND id < ?1 || '.' ORDER BY length(id), id"
        );
        found.extend(records(&sql.run(&statement, vec![id.into()]).await?));
    }
    found.sort_by_key(|record| (record.attempt, record.state == State::Pending));
    Ok(Outcome::Rows { records: found })
}
