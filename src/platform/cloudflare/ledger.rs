//! A shard of the ledger within its Durable Object. `ledger.js` calls these exports; nothing is kept between two calls.

use crate::ledger::{SCHEMA, Sql, SqlError, Value, apply_now, due_now};
use std::cell::Cell;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{SqlStorage, SqlStorageValue, State};

/// The object's database. Its calls never wait.
struct Database {
    sql: SqlStorage,
    /// Whether a statement may have changed anything.
    wrote: Cell<bool>,
}

impl Database {
    fn of(object: DurableObjectState) -> Self {
        Self { sql: State::from(object).storage().sql(), wrote: Cell::new(false) }
    }

    fn rows(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError> {
        self.query(statement, values).map_err(|error| {
            worker::console_error!("moegate: the ledger's database did not take a statement: {error}");
            SqlError
        })
    }

    fn query(&self, statement: &str, values: Vec<Value>) -> worker::Result<Vec<Vec<Value>>> {
        let values = values.into_iter().map(|value| match value {
            Value::Null => SqlStorageValue::Null,
            Value::Integer(number) => SqlStorageValue::Integer(number),
            Value::Text(text) => SqlStorageValue::String(text),
        });
        let cursor = self.sql.exec(statement, values.collect::<Vec<_>>())?;
        // It has run. To ask for rows that there cannot be would be three more calls into the runtime.
        if !statement.starts_with("SELECT") && !statement.contains("RETURNING") {
            return Ok(Vec::new());
        }
        let value = |value| match value {
            SqlStorageValue::Integer(number) => Value::Integer(number),
            SqlStorageValue::String(text) => Value::Text(text),
            _ => Value::Null,
        };
        cursor.raw().map(|row| Ok(row?.into_iter().map(value).collect())).collect()
    }
}

impl Sql for Database {
    async fn run(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError> {
        if !statement.starts_with("SELECT") {
            self.wrote.set(true);
        }
        self.rows(statement, values)
    }
}

/// To be called before anything else, once for each object that the runtime makes.
///
/// # Errors
/// The database does not take the tables.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn ledger_open(object: DurableObjectState) -> Result<(), JsError> {
    let database = Database::of(object);
    for statement in SCHEMA {
        database.rows(statement, Vec::new()).map_err(refused)?;
    }
    Ok(())
}

/// Carries out operations, a line each, within a transaction that the caller has begun. Gives `1` if they may have changed
/// anything, `2` if that is about an origin's wake, else `0`, and then their answers, a line each.
///
/// # Errors
/// The database failed: the transaction has to be rolled back.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn ledger_apply(object: DurableObjectState, operations: &str) -> Result<String, JsError> {
    let database = Database::of(object);
    let operations: Vec<_> = operations.split('\n').collect();
    let answers = apply_now(&database, &operations).map_err(refused)?;
    #[cfg(feature = "fault-injection")]
    fail(&database, &operations)?;
    let wakes = || operations.iter().any(|operation| operation.starts_with("{\"wake\""));
    let wrote = match database.wrote.get() {
        true if wakes() => "2",
        true => "1",
        false => "0",
    };
    Ok(wrote.to_owned() + &answers.join("\n"))
}

/// What goes wrong behind a batch, where it is told to.
#[cfg(feature = "fault-injection")]
fn fail(database: &Database, operations: &[&str]) -> Result<(), JsError> {
    assert!(!operations.contains(&"__panic"), "moegate-fault-injection");
    if operations.contains(&"__refuse") {
        database.rows("SELECT 1 FROM no_such_table", Vec::new()).map_err(refused)?;
    }
    Ok(())
}

/// In how many milliseconds the object has something to do by itself, at the latest; `undefined` if never.
///
/// # Errors
/// The database failed.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn ledger_due(object: DurableObjectState) -> Result<Option<f64>, JsError> {
    let due_ms = due_now(&Database::of(object)).map_err(refused)?;
    Ok(due_ms.map(|ms| ms as f64))
}

/// The log has what the database said.
fn refused(SqlError: SqlError) -> JsError {
    JsError::new("the database did not take a statement")
}
