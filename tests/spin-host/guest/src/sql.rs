//! The database's paths: `/sql/WHAT/…`.

use spin_sdk::sqlite::wit::sqlite::Connection as Plain;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::Response;
use spin_sdk::wasip3::{self};

use crate::{Asked, said};

pub(crate) async fn answer(asked: &Asked) -> Response {
    said(run(asked).await)
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// The rows, the values apart by commas.
async fn rows(on: &Connection, statement: &str, parameters: Vec<Value>) -> Result<Vec<String>, String> {
    let rows = on.execute(statement, parameters).await.map_err(text)?.collect().await.map_err(text)?;
    let row = |row: spin_sdk::sqlite::RowResult| row.values.iter().map(text).collect::<Vec<_>>().join(",");
    Ok(rows.into_iter().map(row).collect())
}

async fn wait(millis: u64) {
    monotonic_clock::wait_for(millis * 1_000_000).await;
}

async fn run(asked: &Asked) -> Result<String, String> {
    if asked.word(1) == "open" {
        return Connection::open(asked.word(2)).await.map(|_| "opened".to_owned()).map_err(text);
    }
    match asked.word(1) {
        // Each line of the body is a statement; all run on one connection, the first error ends it.
        "run" => {
            let on = Connection::open_default().await.map_err(text)?;
            let mut all = Vec::new();
            for statement in String::from_utf8_lossy(&asked.body).lines() {
                all.extend(rows(&on, statement, Vec::new()).await?);
            }
            Ok(all.join("\n"))
        }
        // The same with the functions that keep the instance waiting.
        "plain" => {
            let on = Plain::open("default").map_err(text)?;
            let mut all = Vec::new();
            for statement in String::from_utf8_lossy(&asked.body).lines() {
                let answer = on.execute(statement, &[]).map_err(text)?;
                all.push(format!("{}:{}", answer.columns.join(","), answer.rows.len()));
            }
            Ok(format!("{} {} {}", all.join(" "), on.changes(), on.last_insert_rowid()))
        }
        "values" => {
            let on = Connection::open_default().await.map_err(text)?;
            let given =
                vec![Value::Integer(-1), Value::Real(0.5), Value::text("a"), Value::blob([255]), Value::Null];
            let back = rows(&on, "SELECT ?1, ?2, ?3, ?4, ?5", given).await?.join("\n");
            rows(&on, "CREATE TABLE ids (id INTEGER PRIMARY KEY)", Vec::new()).await?;
            rows(&on, "INSERT INTO ids VALUES (7)", Vec::new()).await?;
            Ok(format!("{back} {} {}", on.changes().await, on.last_insert_rowid().await))
        }
        // `add/TIMES/MILLIS`: so many transactions, each of which reads, waits and writes one more.
        "add" => {
            let on = Connection::open_default().await.map_err(text)?;
            for _ in 0..asked.number(2) {
                rows(&on, "BEGIN IMMEDIATE", Vec::new()).await?;
                let answer = on.execute("SELECT n FROM counter", []).await.map_err(text)?;
                let count: i64 = answer.collect().await.map_err(text)?[0].get(0).ok_or("no number")?;
                wait(asked.number(3)).await;
                rows(&on, "UPDATE counter SET n = ?1", vec![Value::Integer(count + 1)]).await?;
                rows(&on, "COMMIT", Vec::new()).await?;
            }
            Ok("added".to_owned())
        }
        // Takes its instance along in the middle of a transaction.
        "die" => {
            let on = Connection::open_default().await.map_err(text)?;
            rows(&on, "BEGIN IMMEDIATE", Vec::new()).await?;
            rows(&on, "UPDATE counter SET n = n + 1", Vec::new()).await?;
            panic!("asked to")
        }
        // A statement while the rows of another on the same connection are open for so many milliseconds.
        "rows-then-run" => {
            let on = Connection::open_default().await.map_err(text)?;
            let many = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50) SELECT n FROM c";
            let open = on.execute(many, []).await.map_err(text)?;
            let millis = asked.number(2);
            wasip3::spawn(async move {
                wait(millis).await;
                drop(open);
            });
            let before = monotonic_clock::now();
            rows(&on, "SELECT 1", Vec::new()).await?;
            Ok(((monotonic_clock::now() - before) / 1_000_000).to_string())
        }
        _ => Err("no such path".to_owned()),
    }
}
