//! The database as a component meets it.

use std::thread;
use std::time::{Duration, Instant};

use crate::http::{head, post, send};
use crate::instances::staged;
use crate::process::Host;

fn ok(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

fn run(host: &Host, statements: &str) -> (u16, String) {
    let answer = post(host.address, "/sql/run", statements.as_bytes());
    (answer.status, answer.text())
}

fn with_counter(arguments: &[&str]) -> Host {
    let host = Host::start(arguments);
    assert_eq!(run(&host, "CREATE TABLE counter (n INTEGER)\nINSERT INTO counter VALUES (0)"), ok(""));
    host
}

fn count(host: &Host) -> (u16, String) {
    run(host, "SELECT n FROM counter")
}

#[test]
fn values_and_both_kinds_of_functions() {
    let host = Host::start(&[]);
    assert_eq!(host.text("/sql/open/default"), ok("opened"));
    assert_eq!(host.text("/sql/open/other"), (500, "Error::AccessDenied".to_owned()));
    let file = host.folder.path().join("sqlite_db.db");
    assert!(!file.exists(), "made at the first statement");
    let given = "Value::Integer(-1),Value::Real(0.5),Value::Text(\"a\"),Value::Blob([255]),Value::Null 1 7";
    assert_eq!(host.text("/sql/values"), ok(given));
    assert!(file.exists());
    let statements = b"INSERT INTO ids VALUES (8)\nSELECT id FROM ids\nUPDATE ids SET id = id + 10";
    assert_eq!(post(host.address, "/sql/plain", statements).text(), ":0 id:2 :0 2 8");
    assert_eq!(run(&host, "SELECT id FROM ids"), ok("Value::Integer(17)\nValue::Integer(18)"));
    let (status, error) = run(&host, "SELECT missing");
    assert!(status == 500 && error.contains("no such column"), "{error}");
    // The first statement, and nothing is said of the second.
    assert_eq!(run(&host, "SELECT 1; SELECT 2"), ok("Value::Integer(1)"));
    // Each connection has a database of its own in memory.
    let host = Host::start(&["--sqlite", ":memory:"]);
    assert_eq!(run(&host, "CREATE TABLE a (b)\nSELECT count(*) FROM a"), ok("Value::Integer(0)"));
    assert!(run(&host, "SELECT count(*) FROM a").1.contains("no such table"));
}

#[test]
fn a_database_that_the_manifest_does_not_grant_is_denied() {
    let host = Host::with_manifest(|text| text.replace("sqlite_databases = [\"default\"]\n", ""));
    assert_eq!(host.text("/sql/open/default"), (500, "Error::AccessDenied".to_owned()));
}

#[test]
fn transactions_of_many_instances_lose_nothing() {
    let host = with_counter(&["--max-at-once", "1"]);
    let adding: Vec<_> = (0..8).map(|_| send(host.address, "GET", "/sql/add/10/1", b"")).collect();
    for stream in adding {
        let answer = head(stream).expect("an answer").finish();
        assert_eq!((answer.status, answer.text()), ok("added"));
    }
    assert_eq!(count(&host), ok("Value::Integer(80)"));
}

#[test]
fn an_instance_that_dies_rolls_back_and_frees_the_lock() {
    let host = with_counter(&[]);
    assert_eq!(host.text("/sql/die"), (500, String::new()));
    let started = Instant::now();
    assert_eq!(host.text("/sql/add/1/0"), ok("added"));
    assert!(started.elapsed() < Duration::from_secs(4), "waited for the lock: {:?}", started.elapsed());
    assert_eq!(count(&host), ok("Value::Integer(1)"));
}

#[test]
fn a_killed_process_keeps_what_was_committed_and_nothing_else() {
    let host = with_counter(&[]);
    assert_eq!(host.text("/sql/add/3/0"), ok("added"));
    let stream = send(host.address, "GET", "/sql/add/1/10000", b"");
    thread::sleep(Duration::from_millis(500));
    let host = host.killed_and_started_again(&[]);
    drop(stream);
    assert_eq!(count(&host), ok("Value::Integer(3)"));
    assert_eq!(host.text("/sql/add/1/0"), ok("added"));
}

#[test]
fn open_rows_keep_their_connection() {
    let host = Host::start(&[]);
    let (status, millis) = host.text("/sql/rows-then-run/600");
    assert_eq!(status, 200);
    assert!(millis.parse::<u64>().unwrap() >= 500, "{millis}");
}

/// The longest time between two pieces of a stream while a statement of a second and a half runs beside it.
fn longest_gap(path: &str) -> Duration {
    let host = Host::start(&["--sqlite-slow-ms", "1500"]);
    let mut stream = head(send(host.address, "GET", "/stream/60/40", b"")).expect("an answer");
    assert!(stream.chunk().unwrap().is_some());
    let call = send(host.address, "POST", path, b"SELECT 1");
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    while stream.chunk().unwrap().is_some() {
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert_eq!(head(call).expect("an answer").status, 200);
    longest
}

#[test]
fn only_the_synchronous_functions_keep_the_instance_waiting() {
    let waited = |gap: Duration| gap >= Duration::from_millis(1400);
    staged(|| waited(longest_gap("/sql/plain")).then_some(()));
    assert!(!waited(longest_gap("/sql/run")));
}

#[test]
fn faults_come_and_go() {
    let mut host = with_counter(&[]);
    for (fault, error) in [
        ("sqlite-fail-opens 1", "InvalidConnection"),
        ("sqlite-busy 1", "database is locked"),
        ("sqlite-fail-statements 1", "disk I/O error"),
        ("sqlite-fail-commits 1", "disk I/O error"),
    ] {
        assert_eq!(host.told(fault), "ok");
        let (status, said) = host.text("/sql/add/1/0");
        assert!(status == 500 && said.contains(error), "{fault}: {said}");
        assert_eq!(count(&host), ok("Value::Integer(0)"), "{fault}");
    }
    assert_eq!(host.told("sqlite-fail-after-commit 1"), "ok");
    assert_eq!(host.text("/sql/add/1/0").0, 500);
    assert_eq!(count(&host), ok("Value::Integer(1)"));
    assert_eq!(host.text("/sql/add/1/0"), ok("added"));
}
