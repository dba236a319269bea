//! Sums by hour: kept when records are deleted.

use super::operation::Numbers;
use super::sql::{LARGEST, Sql, SqlError, Value};
use crate::metering::HOUR_MS;
use crate::metering::record::{Record, State};

/// Adds a record to the sums of its hour, or takes it out of them (`sign` −1).
pub(super) async fn add<S: Sql>(sql: &S, record: &Record, sign: i64) -> Result<(), SqlError> {
    let statement = "INSERT INTO total VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                     ?17, ?18, ?19, ?20) ON CONFLICT DO UPDATE SET requests = requests + ?8, attempts = attempts + ?9, \
                     unmetered = unmetered + ?10, estimated = estimated + ?11, prompt = prompt + ?12, \
                     cached = cached + ?13, cache_write = cache_write + ?14, completion = completion + ?15, \
                     reasoning = reasoning + ?16, cost = cost + ?17, upstream = upstream + ?18, \
                     beside_upstream = beside_upstream + ?19, busy = busy + ?20";
    let hour = record.started_ms / HOUR_MS * HOUR_MS;
    let mut values = vec![hour.into()];
    for text in [&record.key, &record.tenant, &record.model, &record.origin, &record.route] {
        values.push(text.as_str().into());
    }
    values.push(record.ending_in_sums().into());
    for number in numbers(record) {
        values.push(match Value::from(number) {
            Value::Integer(number) => Value::Integer(sign * number),
            other => other,
        });
    }
    sql.run(statement, values).await?;
    let statement = "INSERT INTO changed VALUES (?1, 1) ON CONFLICT DO UPDATE SET state = 1 WHERE state <> 1";
    sql.run(statement, vec![hour.into()]).await?;
    Ok(())
}

/// One record's part of the sums.
pub(super) fn numbers(record: &Record) -> Numbers {
    let usage = record.usage;
    let cost = record.cost_nanodollars.0.min(LARGEST);
    let upstream = record.upstream_cost_nanodollars;
    [
        u64::from(record.last),
        u64::from(!record.cache_hit),
        u64::from(!record.metered),
        u64::from(record.state == State::Estimated),
        usage.prompt,
        usage.cached,
        usage.cache_write,
        usage.completion,
        usage.reasoning,
        cost,
        upstream.map_or(0, |cost| cost.0.min(LARGEST)),
        if upstream.is_some() { cost } else { 0 },
        record.busy_us,
    ]
}
