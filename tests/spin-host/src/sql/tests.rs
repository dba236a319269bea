//! Connections against each other and against the faults.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Database, SqlConnection};
use crate::bindings::spin::sqlite::sqlite::{Error, Value};
use crate::faults::Faults;

fn database(folder: &Path, fsync: bool) -> (Database, Arc<Faults>) {
    let faults = Arc::<Faults>::default();
    (Database::new(folder.join("state/sqlite_db.db"), fsync, Arc::clone(&faults)), faults)
}

/// The rows as text.
fn rows(connection: &SqlConnection, text: &str) -> Result<Vec<String>, String> {
    let said = |error: Error| format!("{error:?}");
    let answer = connection.execute(text, Vec::new()).map_err(said)?;
    Ok(answer.rows.iter().map(|row| format!("{:?}", row.values)).collect())
}

fn ran(connection: &SqlConnection, text: &str) {
    assert_eq!(rows(connection, text), Ok(Vec::new()), "{text}");
}

fn counter(folder: &Path) -> (Database, Arc<Faults>, SqlConnection) {
    let (database, faults) = database(folder, false);
    let connection = database.open().unwrap();
    ran(&connection, "CREATE TABLE counter (n INTEGER NOT NULL)");
    ran(&connection, "INSERT INTO counter VALUES (0)");
    (database, faults, connection)
}

const COUNT: &str = "SELECT n FROM counter";
const ADD: &str = "UPDATE counter SET n = n + 1";

#[test]
fn the_file_is_made_at_the_first_statement_with_the_real_settings() {
    let folder = tempfile::tempdir().unwrap();
    for (fsync, synchronous) in [(true, 2), (false, 0)] {
        let (database, _) = database(folder.path(), fsync);
        let connection = database.open().unwrap();
        if fsync {
            assert!(!folder.path().join("state/sqlite_db.db").exists());
        }
        let pragma = |name: &str| rows(&connection, &format!("PRAGMA {name}")).unwrap();
        assert_eq!(pragma("synchronous"), [format!("[Value::Integer({synchronous})]")]);
        assert_eq!(pragma("journal_mode"), ["[Value::Text(\"delete\")]"]);
        assert_eq!(pragma("busy_timeout"), ["[Value::Integer(5000)]"]);
        assert!(folder.path().join("state/sqlite_db.db").exists());
    }
}

#[test]
fn values_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let (database, _) = database(folder.path(), false);
    let connection = database.open().unwrap();
    let given = vec![
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Text("é".to_owned()),
        Value::Blob(vec![0, 255]),
        Value::Null,
    ];
    let answer =
        connection.execute("SELECT ?1 AS a, ?2 AS b, ?3 AS c, ?4 AS d, ?5 AS e", given.clone()).unwrap();
    assert_eq!(answer.columns, ["a", "b", "c", "d", "e"]);
    assert_eq!(format!("{:?}", answer.rows[0].values), format!("{given:?}"));
    assert_eq!(answer.rows.len(), 1);
}

#[test]
fn of_several_statements_the_first_runs_and_files_are_not_attached() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, connection) = counter(folder.path());
    ran(&connection, "UPDATE counter SET n = 5; UPDATE counter SET n = 6; nonsense");
    assert_eq!(rows(&connection, COUNT), Ok(vec!["[Value::Integer(5)]".to_owned()]));
    assert_eq!(connection.changes().unwrap(), 1);
    assert!(rows(&connection, "nonsense; UPDATE counter SET n = 6").unwrap_err().contains("syntax error"));
    assert!(rows(&connection, "").is_err());
    ran(&connection, "ATTACH ':memory:' AS there");
    for denied in ["ATTACH 'file' AS here", "VACUUM INTO 'file'"] {
        assert!(rows(&connection, denied).unwrap_err().contains("authoriz"), "{denied}");
    }
}

#[test]
fn a_connection_that_goes_rolls_back_and_frees_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (database, _, reader) = counter(folder.path());
    let writer = database.open().unwrap();
    ran(&writer, "BEGIN IMMEDIATE");
    ran(&writer, ADD);
    let other = database.open().unwrap();
    assert_eq!(rows(&other, "PRAGMA busy_timeout = 50").map(|_| ()), Ok(()));
    let waited = Instant::now();
    assert!(rows(&other, "BEGIN IMMEDIATE").unwrap_err().contains("database is locked"));
    assert!(waited.elapsed() >= Duration::from_millis(50));
    assert_eq!(rows(&reader, COUNT).unwrap(), ["[Value::Integer(0)]"]);
    drop(writer);
    ran(&other, "BEGIN IMMEDIATE");
    assert_eq!(rows(&other, COUNT).unwrap(), ["[Value::Integer(0)]"]);
}

#[test]
fn each_fault_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (database, faults, connection) = counter(folder.path());
    let count = || rows(&connection, COUNT).unwrap()[0].clone();
    let set = |name, value| faults.set(name, value).unwrap();

    set("sqlite-fail-opens", "1");
    assert!(matches!(database.open(), Err(Error::InvalidConnection)));
    assert!(database.open().is_ok());

    set("sqlite-busy", "2");
    assert!(rows(&connection, "BEGIN IMMEDIATE").unwrap_err().contains("database is locked"));
    assert_eq!(count(), "[Value::Integer(0)]");
    assert!(rows(&connection, ADD).unwrap_err().contains("database is locked"));
    ran(&connection, "BEGIN IMMEDIATE");
    set("sqlite-busy", "all");
    // Whoever has begun has the lock.
    ran(&connection, ADD);
    ran(&connection, "COMMIT");
    set("sqlite-busy", "0");
    assert_eq!(count(), "[Value::Integer(1)]");

    ran(&connection, "BEGIN IMMEDIATE");
    set("sqlite-fail-statements", "1");
    assert!(rows(&connection, ADD).unwrap_err().contains("disk I/O error"));
    ran(&connection, ADD);
    set("sqlite-fail-commits", "1");
    assert!(rows(&connection, " commit;").unwrap_err().contains("disk I/O error"));
    assert!(rows(&connection, "ROLLBACK").unwrap_err().contains("no transaction is active"));
    assert_eq!(count(), "[Value::Integer(1)]");

    ran(&connection, "BEGIN IMMEDIATE");
    ran(&connection, ADD);
    set("sqlite-fail-after-commit", "1");
    assert!(rows(&connection, "COMMIT").unwrap_err().contains("disk I/O error"));
    assert_eq!(count(), "[Value::Integer(2)]");

    set("sqlite-slow-ms", "30");
    let started = Instant::now();
    assert_eq!(count(), "[Value::Integer(2)]");
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_stream_keeps_its_connection_until_its_rows_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (database, _, connection) = counter(folder.path());
    let many =
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50) SELECT n FROM c";
    let mut first = connection.stream(many.to_owned(), Vec::new()).await.unwrap();
    assert_eq!(first.columns, ["n"]);
    let mut seen = 0;
    while first.rows.recv().await.is_some() {
        seen += 1;
    }
    assert!(matches!(first.end.await, Ok(Ok(()))) && seen == 50);

    let open = connection.stream(many.to_owned(), Vec::new()).await.unwrap();
    let second = tokio::spawn({
        let connection = connection.clone();
        async move { connection.stream(ADD.to_owned(), Vec::new()).await.unwrap().end.await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    // Other connections are free.
    let other = database.open().unwrap().stream(COUNT.to_owned(), Vec::new()).await.unwrap();
    assert!(matches!(other.end.await, Ok(Ok(()))));
    drop(open.rows);
    assert!(matches!(open.end.await, Ok(Err(Error::Io(why))) if why == "row send error"));
    assert!(matches!(second.await.unwrap(), Ok(Ok(()))));
}

#[tokio::test]
async fn a_statement_that_cannot_be_prepared_is_told_by_the_future() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, connection) = counter(folder.path());
    let streamed = connection.stream("SELECT missing".to_owned(), Vec::new()).await.unwrap();
    assert!(streamed.columns.is_empty());
    let ended = format!("{:?}", streamed.end.await);
    assert!(ended.contains("no such column"), "{ended}");
}
