//! Sums by hour: kept when records are deleted.

use super::operation::Numbers;
use super::sql::{LARGEST, Sql, SqlError, Value};
use crate::metering::HOUR_MS;
use crate::metering::record::{Record, State};
use std::collections::BTreeMap;

/// What a batch of operations adds to the sums: written once for all of its records.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Row, [i64; 13]>);

/// Hour, key, tenant, model, origin, route, ending.
type Row = (u64, [String; 6]);

impl Sums {
    /// Adds a record to the sums of its hour, or takes it out of them (`sign` −1).
    pub(super) fn add(&mut self, record: &Record, sign: i64) {
        let hour = record.started_ms / HOUR_MS * HOUR_MS;
        let texts = [&record.key, &record.tenant, &record.model, &record.origin, &record.route];
        let [key, tenant, model, origin, route] = texts.map(String::clone);
        let row = (hour, [key, tenant, model, origin, route, record.ending_in_sums().to_owned()]);
        let sums = self.0.entry(row).or_default();
        for (sum, number) in sums.iter_mut().zip(numbers(record)) {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            *sum = sum.saturating_add(sign.saturating_mul(number)).clamp(-(LARGEST as i64), LARGEST as i64);
        }
    }

    /// To be called before anything reads the sums, and at the end of the batch.
    pub(super) async fn write<S: Sql>(&mut self, sql: &S) -> Result<(), SqlError> {
        let mut changed = None;
        for ((hour, texts), sums) in std::mem::take(&mut self.0) {
            let mut values = Vec::with_capacity(20);
            values.push(hour.into());
            values.extend(texts.map(Value::Text));
            values.extend(sums.map(Value::Integer));
            sql.run(ADD, values).await?;
            if changed.replace(hour) != Some(hour) {
                sql.run(CHANGED, vec![hour.into()]).await?;
            }
        }
        Ok(())
    }
}

const ADD: &str = "INSERT INTO total VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                   ?17, ?18, ?19, ?20) ON CONFLICT DO UPDATE SET requests = requests + ?8, attempts = attempts + ?9, \
                   unmetered = unmetered + ?10, estimated = estimated + ?11, prompt = prompt + ?12, \
                   cached = cached + ?13, cache_write = cache_write + ?14, completion = completion + ?15, \
                   reasoning = reasoning + ?16, cost = cost + ?17, upstream = upstream + ?18, \
                   beside_upstream = beside_upstream + ?19, busy = busy + ?20";
const CHANGED: &str =
    "INSERT INTO changed VALUES (?1, 1) ON CONFLICT DO UPDATE SET state = 1 WHERE state <> 1";

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

#[cfg(test)]
mod tests {
    use super::super::operation::{Operation, Totals};
    use super::*;
    use crate::ledger::apply_now;
    use std::cell::RefCell;

    /// Takes every statement and has no rows.
    #[derive(Default)]
    struct Statements(RefCell<Vec<(String, Vec<Value>)>>);

    impl Sql for Statements {
        async fn run(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError> {
            self.0.borrow_mut().push((statement.to_owned(), values));
            Ok(Vec::new())
        }
    }

    fn settle(id: &str, origin: &str, started_ms: u64) -> String {
        let usage = r#"{"prompt":7,"cached":0,"completion":0,"reasoning":0}"#;
        format!(
            r#"{{"settle":{{"id":"{id}","amounts":{{"requests":1,"tokens":7,"cost":0}},"record":{{"id":"{id}","key":"k",
            "tenant":"t","model":"m","served_model":"m","origin":"{origin}","stream":false,"status":200,
            "ending":"complete","usage":{usage},"metered":true,"cost_nanodollars":0,"started_ms":{started_ms},
            "head_after_ms":0,"ended_after_ms":0}}}}}}"#
        )
    }

    #[test]
    fn a_batch_adds_each_row_once_and_before_it_is_read() {
        let read = serde_json::to_string(&Operation::Totals(Totals::default())).unwrap();
        let batch =
            [settle("1", "a", 5), settle("2", "a", 6), settle("3", "b", 7), read, settle("4", "a", HOUR_MS)];
        let sql = Statements::default();
        assert_eq!(apply_now(&sql, &batch).unwrap().len(), 5);
        let statements = sql.0.into_inner();
        let what: Vec<_> = statements
            .iter()
            .filter_map(|(statement, values)| match statement.as_str() {
                ADD => Some(format!("add {:?} {:?} {:?}", values[0], values[7], values[11])),
                CHANGED => Some(format!("changed {:?}", values[0])),
                other => other.contains("FROM total").then(|| "read".to_owned()),
            })
            .collect();
        let add = |hour: i64, requests: i64, prompt: i64| {
            let [hour, requests, prompt] = [hour, requests, prompt].map(Value::Integer);
            format!("add {hour:?} {requests:?} {prompt:?}")
        };
        let changed = |hour| format!("changed {:?}", Value::Integer(hour));
        let expected = [
            add(0, 2, 14),
            changed(0),
            add(0, 1, 7),
            "read".to_owned(),
            add(HOUR_MS as i64, 1, 7),
            changed(HOUR_MS as i64),
        ];
        assert_eq!(what, expected);
    }
}
