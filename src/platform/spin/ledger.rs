//! The ledger in Spin's SQLite: one database for all shards, and one transaction for what this instance's requests ask at
//! the same time.
//!
//! A transaction costs a write to the disk that is waited for, so operations share it. Whoever asks while nobody works
//! starts the worker, [`work`], beside its request: it waits a moment, takes the lock, then everything that waits by then,
//! and goes on until nothing waits. While it waits for the lock or the disk, the next batch gathers. A settlement is not waited
//! for by anybody: it stays in the queue for a while, where mostly a later request's reservation takes it along.
//!
//! The requests of an instance are tasks of the host's, and Rust's wakers do not reach from one to another. A stream does:
//! each asker reads one whose other end lies with its operation, and is woken when that end is dropped: with the answer,
//! or without one where the transaction failed or the worker was dropped.
//!
//! Statements within the transaction are synchronous: they take microseconds, and the asynchronous ones cost several more
//! calls of the host each. What may wait, taking the lock and the commit, leaves the instance running.

use super::log::log;
use super::timer::sleep;
use crate::ledger::{SCHEMA, Sql, SqlError, Value, apply};
use crate::platform::{StoreError, Urgency};
use spin_sdk::sqlite::wit::sqlite::{self, Connection, Error};
use spin_sdk::wasip3::wit_bindgen::{self, StreamWriter};
use spin_sdk::wasip3::wit_stream;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// The label that spin.toml lists under `sqlite_databases`.
const LABEL: &str = "default";
/// How long a batch gathers before the lock is asked for, in milliseconds. Of 0, 1, 2 and 5, measured with 8 connections,
/// 2 gave the most requests per second.
const GATHER_MS: u64 = 2;
/// How long a worker for what is not urgent waits for something urgent to take it along, in milliseconds.
const LINGER_MS: u64 = 20;
/// How often the lock is tried, and how long after each try, in milliseconds: less in all than an asker waits.
const TRIES: u32 = 1500;
const TRY_AGAIN_MS: u64 = 2;

type Answer = RefCell<Option<String>>;

/// An operation that waits for its turn.
struct Waiting {
    operation: String,
    /// Gone where nobody waits any more.
    answer: Weak<Answer>,
    /// Wakes the asker when it is dropped.
    _wake: StreamWriter<u8>,
}

thread_local! {
    static QUEUE: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static WORKER: Cell<Worker> = const { Cell::new(Worker::None) };
    /// Between transactions. Dropped in one, it rolls back.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    None,
    /// One will begin in a moment.
    Lingers,
    Works,
}

/// Has an operation carried out. One that is not urgent waits a moment for others, which take it along.
pub(super) async fn ask(operation: String, urgency: Urgency) -> Result<String, StoreError> {
    let answer = Rc::<Answer>::default();
    let (wake, mut woken) = wit_stream::new::<u8>();
    let waiting = Waiting { operation, answer: Rc::downgrade(&answer), _wake: wake };
    QUEUE.with_borrow_mut(|queue| queue.push(waiting));
    match (WORKER.get(), urgency) {
        (Worker::None, Urgency::Soon) => {
            WORKER.set(Worker::Lingers);
            wit_bindgen::spawn(linger(Lingering));
        }
        (Worker::None | Worker::Lingers, Urgency::Now) => {
            WORKER.set(Worker::Works);
            wit_bindgen::spawn(work(Working));
        }
        (Worker::Lingers, Urgency::Soon) | (Worker::Works, _) => {}
    }
    let _ended = woken.next().await;
    answer.take().ok_or(StoreError)
}

/// Whatever ends the worker, or keeps it from beginning, those who wait are told, and the next asker starts another.
struct Working;

impl Drop for Working {
    fn drop(&mut self) {
        WORKER.set(Worker::None);
        QUEUE.take();
    }
}

/// The same before it has begun, unless another one has meanwhile.
struct Lingering;

impl Drop for Lingering {
    fn drop(&mut self) {
        if WORKER.get() == Worker::Lingers {
            WORKER.set(Worker::None);
            QUEUE.take();
        }
    }
}

async fn linger(until_it_works: Lingering) {
    sleep(LINGER_MS).await;
    if WORKER.get() == Worker::Lingers {
        WORKER.set(Worker::Works);
        drop(until_it_works);
        work(Working).await;
    }
}

async fn work(_until_it_ends: Working) {
    while QUEUE.with_borrow(|queue| !queue.is_empty()) {
        if let Err(error) = transaction().await {
            log(&format!("the ledger's database: {error:?}"));
            return;
        }
    }
}

/// Carries out what waits by the time the lock is taken.
async fn transaction() -> Result<(), Error> {
    let connection = match CONNECTION.take() {
        Some(connection) => connection,
        None => open().await?,
    };
    sleep(GATHER_MS).await;
    begin(&connection).await?;
    let mut batch = QUEUE.take();
    batch.retain(|waiting| waiting.answer.strong_count() > 0);
    let operations: Vec<&str> = batch.iter().map(|waiting| waiting.operation.as_str()).collect();
    let answers = match apply(&Transaction(&connection), &operations).await {
        Ok(answers) => answers,
        Err(SqlError) => return Err(Error::Io("a transaction was given up".to_owned())),
    };
    run(&connection, "COMMIT").await?;
    CONNECTION.set(Some(connection));
    for (waiting, answer) in batch.iter().zip(answers) {
        if let Some(place) = waiting.answer.upgrade() {
            place.replace(Some(answer));
        }
    }
    Ok(())
}

/// A connection with the tables there.
async fn open() -> Result<Connection, Error> {
    let connection = Connection::open_async(LABEL.to_owned()).await?;
    // A commit is one write that is waited for instead of several. Where it cannot be had, all else is the same.
    let _refused = run(&connection, "PRAGMA journal_mode = WAL").await;
    for statement in SCHEMA {
        run(&connection, statement).await?;
    }
    // From here on it is tried again here: the host's way of waiting leaves long pauses.
    let _refused = run(&connection, "PRAGMA busy_timeout = 0").await;
    Ok(connection)
}

/// Takes the lock, for which other instances may have to finish first.
async fn begin(connection: &Connection) -> Result<(), Error> {
    for _ in 0..TRIES {
        match run(connection, "BEGIN IMMEDIATE").await {
            Err(Error::Io(why)) if why.contains("locked") => sleep(TRY_AGAIN_MS).await,
            begun => return begun,
        }
    }
    Err(Error::Io("other instances hold the lock".to_owned()))
}

/// Runs a statement to its end, for which the instance is not kept waiting; its rows are dropped.
async fn run(connection: &Connection, statement: &str) -> Result<(), Error> {
    let (_, rows, end) = connection.execute_async(statement.to_owned(), Vec::new()).await?;
    let _rows = rows.collect().await;
    end.await
}

struct Transaction<'c>(&'c Connection);

impl Sql for Transaction<'_> {
    async fn run(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, SqlError> {
        let given = |value| match value {
            Value::Null => sqlite::Value::Null,
            Value::Integer(number) => sqlite::Value::Integer(number),
            Value::Text(text) => sqlite::Value::Text(text),
        };
        let values: Vec<_> = values.into_iter().map(given).collect();
        let result = self.0.execute(statement, &values).map_err(|error| {
            log(&format!("the ledger's database: {error:?}"));
            SqlError
        })?;
        let taken = |value| match value {
            sqlite::Value::Integer(number) => Value::Integer(number),
            sqlite::Value::Text(text) => Value::Text(text),
            // The ledger's tables hold neither.
            sqlite::Value::Real(_) | sqlite::Value::Blob(_) | sqlite::Value::Null => Value::Null,
        };
        Ok(result.rows.into_iter().map(|row| row.values.into_iter().map(taken).collect()).collect())
    }
}
