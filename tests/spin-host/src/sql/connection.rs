//! A connection and the statements on it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value as Given, ValueRef};
use rusqlite::{Batch, Connection, Row, Statement, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use crate::bindings::spin::sqlite::sqlite::{Error, QueryResult, RowResult, Value};
use crate::faults::{Faults, takes_one};

/// Rows that a stream buffers ahead of the guest, as in the real runtime.
const ROWS_AHEAD: usize = 4;
/// What the rows of one answer, or one row of a stream, may hold in memory, in bytes.
const MOST_BYTES: usize = 128 << 20;

/// What connections are opened to.
#[derive(Clone)]
pub(crate) struct Database {
    file: Arc<PathBuf>,
    /// Whether a commit waits for the disk.
    fsync: bool,
    faults: Arc<Faults>,
}

/// A connection; clones are the same one.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct SqlConnection {
    database: Database,
    connection: Arc<OnceLock<Arc<Mutex<Connection>>>>,
}

/// What `execute-async` gives.
pub(crate) struct Streamed {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: mpsc::Receiver<RowResult>,
    pub(crate) end: oneshot::Receiver<Result<(), Error>>,
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn io(error: impl ToString) -> Error {
    Error::Io(error.to_string())
}

impl Database {
    /// The database in this file, which need not exist, or in memory (`:memory:`).
    pub(crate) fn new(file: PathBuf, fsync: bool, faults: Arc<Faults>) -> Self {
        Self { file: Arc::new(file), fsync, faults }
    }

    /// A new connection. The file is not looked at.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub(crate) fn open(&self) -> Result<SqlConnection, Error> {
        if takes_one(&self.faults.sql.opens) {
            return Err(Error::InvalidConnection);
        }
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(|_| Error::InvalidConnection)?;
        }
        Ok(SqlConnection { database: self.clone(), connection: Arc::default() })
    }

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open(&*self.file)?;
        if !self.fsync {
            connection.pragma_update(None, "synchronous", "OFF")?;
        }
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Attach { filename } if !matches!(filename, "" | ":memory:") => Authorization::Deny,
            _ => Authorization::Allow,
        }))?;
        Ok(connection)
    }

    /// Runs one statement; `columns` gets their names before it runs, `row` each row.
    fn run(
        &self,
        connection: &Connection,
        text: &str,
        parameters: Vec<Value>,
        columns: impl FnOnce(Vec<String>),
        mut row: impl FnMut(RowResult) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let faults = &self.faults.sql;
        std::thread::sleep(faults.slow());
        let (mut cached, mut first);
        let statement: &mut Statement<'_> = match connection.prepare_cached(text) {
            Ok(statement) => {
                cached = statement;
                &mut cached
            }
            // This rusqlite refuses several statements. The real runtime's takes the first and does not look at the rest.
            Err(error) => {
                first = Batch::new(connection, text).next().map_err(io)?.ok_or_else(|| io(error))?;
                &mut first
            }
        };
        columns(statement.column_names().into_iter().map(str::to_owned).collect());
        if connection.is_autocommit() && !statement.readonly() && takes_one(&faults.busy) {
            return Err(io("database is locked"));
        }
        if takes_one(&faults.statements) {
            return Err(io("disk I/O error"));
        }
        let commits = is_commit(text);
        if commits && takes_one(&faults.commits) {
            connection.execute_batch("ROLLBACK").map_err(io)?;
            return Err(io("disk I/O error"));
        }
        let mut rows = statement.query(params_from_iter(parameters.into_iter().map(given))).map_err(io)?;
        while let Some(next) = rows.next().map_err(io)? {
            row(values(next)?)?;
        }
        if commits && takes_one(&faults.after_commit) { Err(io("disk I/O error")) } else { Ok(()) }
    }
}

impl SqlConnection {
    /// Two that are first at once both open the file, and one connection is kept: as in the real runtime.
    fn connected(&self) -> Result<Arc<Mutex<Connection>>, Error> {
        if let Some(connection) = self.connection.get() {
            return Ok(Arc::clone(connection));
        }
        let opened = Arc::new(Mutex::new(self.database.connect().map_err(io)?));
        Ok(Arc::clone(self.connection.get_or_init(|| opened)))
    }

    /// Runs a statement on this thread.
    pub(crate) fn execute(&self, text: &str, parameters: Vec<Value>) -> Result<QueryResult, Error> {
        let connection = self.connected()?;
        let (mut columns, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0);
        let keep = |row: RowResult| {
            bytes += size(&row);
            if bytes > MOST_BYTES {
                return Err(too_large());
            }
            rows.push(row);
            Ok(())
        };
        self.database.run(&locked(&connection), text, parameters, |names| columns = names, keep)?;
        Ok(QueryResult { columns, rows })
    }

    /// Runs a statement in a thread of its own. Must be called inside a tokio runtime.
    pub(crate) async fn stream(&self, text: String, parameters: Vec<Value>) -> Result<Streamed, Error> {
        let connection = self.connected()?;
        let database = self.database.clone();
        let (columns_in, columns) = oneshot::channel();
        let (rows_in, rows) = mpsc::channel(ROWS_AHEAD);
        let (end_in, end) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let mut columns_in = Some(columns_in);
            let names = |names| drop(columns_in.take().map(|columns| columns.send(names)));
            let send = |row: RowResult| {
                if size(&row) > MOST_BYTES {
                    return Err(too_large());
                }
                rows_in.blocking_send(row).map_err(|_| io("row send error"))
            };
            let ran = database.run(&locked(&connection), &text, parameters, names, send);
            // Without names it could not be prepared: nobody has been told yet.
            if let Some(columns) = columns_in {
                let _ = columns.send(Vec::new());
            }
            drop(rows_in);
            // Nobody need be listening any more.
            let _ = end_in.send(ran);
        });
        Ok(Streamed { columns: columns.await.map_err(io)?, rows, end })
    }

    /// The number of rows that the last statement changed.
    pub(crate) fn changes(&self) -> Result<u64, Error> {
        Ok(locked(&*self.connected()?).changes())
    }

    pub(crate) fn last_insert_rowid(&self) -> Result<i64, Error> {
        Ok(locked(&*self.connected()?).last_insert_rowid())
    }
}

/// The real runtime's `lock().unwrap()`: after a panic on the connection each call ends its instance.
fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(|_| panic!("spin-host: the connection is poisoned by an earlier panic"))
}

fn is_commit(text: &str) -> bool {
    let word =
        text.trim_start().split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    ["COMMIT", "END"].iter().any(|commit| word.eq_ignore_ascii_case(commit))
}

fn too_large() -> Error {
    io(format!("query result exceeds limit of {MOST_BYTES} bytes"))
}

fn size(row: &RowResult) -> usize {
    let content = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Integer(_) | Value::Real(_) | Value::Null => 0,
    };
    row.values.iter().map(|value| size_of::<Value>() + content(value)).sum()
}

fn given(value: Value) -> Given {
    match value {
        Value::Integer(number) => Given::Integer(number),
        Value::Real(number) => Given::Real(number),
        Value::Text(text) => Given::Text(text),
        Value::Blob(bytes) => Given::Blob(bytes),
        Value::Null => Given::Null,
    }
}

fn values(row: &Row<'_>) -> Result<RowResult, Error> {
    let value = |column| {
        Ok(match row.get_ref(column).map_err(io)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number),
            // The real runtime panics here, too.
            ValueRef::Text(text) => Value::Text(
                String::from_utf8(text.to_vec()).unwrap_or_else(|error| panic!("spin-host: {error}")),
            ),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        })
    };
    Ok(RowResult { values: (0..row.as_ref().column_count()).map(value).collect::<Result<_, _>>()? })
}
