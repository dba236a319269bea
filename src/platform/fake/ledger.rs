//! The ledger: SQLite in memory, with the statements of every other platform, and the ways in which calls go wrong.

use crate::ledger::{SCHEMA, Sql, SqlError, Value, apply_now};
use crate::platform::StoreError;
use rusqlite::Connection;
use rusqlite::types::{Value as Stored, ValueRef};

/// How calls go wrong. The counts are of calls still to come, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerHazards {
    /// So many calls pass before the first that goes wrong.
    pub passing: usize,
    /// So many fail, and nothing is done.
    pub failing: usize,
    /// So many are carried out, and their answer is lost.
    pub answer_lost: usize,
    /// So many are never answered, and nothing is done.
    pub hanging: usize,
    /// So many are carried out twice.
    pub doubled: usize,
    /// So many fail for their caller, and are carried out behind the next call.
    pub late: usize,
    /// Each takes so long until it is carried out, and so long until it is answered.
    pub before_ms: u64,
    pub after_ms: u64,
}

/// What the caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Given,
    Lost,
    Never,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) answer: Answer,
    pub(super) before_ms: u64,
    pub(super) after_ms: u64,
    times: u32,
    late: bool,
}

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) hazards: LedgerHazards,
    /// Opened with the first call.
    database: Option<Connection>,
    late: Vec<String>,
    /// What was asked, in the order in which it was carried out.
    pub(super) operations: Vec<String>,
}

fn count_down(left: &mut usize) -> bool {
    let counts = *left > 0;
    *left -= usize::from(counts);
    counts
}

impl Ledger {
    pub(super) fn fate(&mut self) -> Fate {
        let hazards = &mut self.hazards;
        let usual = Fate {
            answer: Answer::Given,
            before_ms: hazards.before_ms,
            after_ms: hazards.after_ms,
            times: 1,
            late: false,
        };
        if count_down(&mut hazards.passing) {
            usual
        } else if count_down(&mut hazards.failing) {
            Fate { answer: Answer::Lost, times: 0, ..usual }
        } else if count_down(&mut hazards.answer_lost) {
            Fate { answer: Answer::Lost, ..usual }
        } else if count_down(&mut hazards.hanging) {
            Fate { answer: Answer::Never, times: 0, ..usual }
        } else if count_down(&mut hazards.doubled) {
            Fate { times: 2, ..usual }
        } else if count_down(&mut hazards.late) {
            Fate { answer: Answer::Lost, times: 0, late: true, ..usual }
        } else {
            usual
        }
    }

    pub(super) fn carry_out(&mut self, operation: &str, fate: Fate) -> Result<String, StoreError> {
        let late = std::mem::take(&mut self.late);
        let mut answer = Err(StoreError);
        for _ in 0..fate.times {
            let given = self.transaction(operation);
            answer = answer.or(given);
        }
        for operation in late {
            self.transaction(&operation)?;
        }
        if fate.late {
            self.late.push(operation.to_owned());
        }
        answer
    }

    fn transaction(&mut self, operation: &str) -> Result<String, StoreError> {
        self.operations.push(operation.to_owned());
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(open().map_err(|_| StoreError)?),
        };
        let transaction = database.transaction().map_err(|_| StoreError)?;
        let mut answers = apply_now(&Memory(&transaction), &[operation]).map_err(|_| StoreError)?;
        transaction.commit().map_err(|_| StoreError)?;
        answers.pop().ok_or(StoreError)
    }

    /// Rows of any query, for tests that look into the tables.
    pub(super) fn query(&mut self, statement: &str) -> Vec<Vec<Value>> {
        let Some(database) = &self.database else { return Vec::new() };
        run(database, statement, Vec::new()).expect("a query of a test")
    }
}

fn open() -> rusqlite::Result<Connection> {
    let database = Connection::open_in_memory()?;
    for statement in SCHEMA {
        database.execute(statement, [])?;
    }
    Ok(database)
}

struct Memory<'c>(&'c Connection);

impl Sql for Memory<'_> {
    async fn run(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError> {
        run(self.0, statement, values)
            // A mistake in a statement is the test's business at once.
            .map_err(|error| panic!("{statement}: {error}"))
    }
}

fn run(database: &Connection, statement: &str, values: Vec<Value>) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut prepared = database.prepare_cached(statement)?;
    let columns = prepared.column_count();
    let values = values.into_iter().map(|value| match value {
        Value::Null => Stored::Null,
        Value::Integer(number) => Stored::Integer(number),
        Value::Text(text) => Stored::Text(text),
    });
    let mut rows = prepared.query(rusqlite::params_from_iter(values))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                _ => Value::Null,
            })
        };
        all.push((0..columns).map(value).collect::<rusqlite::Result<_>>()?);
    }
    Ok(all)
}
