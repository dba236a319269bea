//! The key-value paths: `/kv/WHAT/KEY…`, the value in the body.

use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store as wasi;
use spin_sdk::key_value::Store;
use spin_sdk::wasip3::http::types::Response;

use crate::{Asked, said};

/// Writes `value` under `key`, where one is given.
pub(crate) async fn note(key: &str, value: &str) {
    if key.is_empty() {
        return;
    }
    if let Ok(store) = Store::open_default().await {
        let _ = store.set(key, value).await;
    }
}

pub(crate) async fn answer(asked: &Asked) -> Response {
    said(run(asked).await)
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

async fn run(asked: &Asked) -> Result<String, String> {
    let key = asked.word(2);
    if asked.word(1) == "open" {
        return Store::open(key).await.map(|_| "opened".to_owned()).map_err(text);
    }
    let store = Store::open_default().await.map_err(text)?;
    match asked.word(1) {
        "get" => {
            let value = store.get(key).await.map_err(text)?;
            Ok(value.map_or("none".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned()))
        }
        "set" => store.set(key, &asked.body).await.map(|()| "set".to_owned()).map_err(text),
        "delete" => store.delete(key).await.map(|()| "deleted".to_owned()).map_err(text),
        "exists" => store.exists(key).await.map(|there| there.to_string()).map_err(text),
        "keys" => {
            let mut keys = store.get_keys().await.collect().await.map_err(text)?;
            keys.sort();
            Ok(keys.join(","))
        }
        // A call while the stream of keys is open.
        "keys-then-get" => {
            let keys = store.get_keys().await;
            let value = store.get(key).await;
            drop(keys);
            value.map(|_| "answered".to_owned()).map_err(text)
        }
        "increment" => {
            let bucket = wasi::open("default").map_err(text)?;
            atomics::increment(&bucket, key, 1).map(|count| count.to_string()).map_err(text)
        }
        // Two swaps on one key, both having seen what was there before either.
        "race" => {
            let bucket = wasi::open("default").map_err(text)?;
            let racers = ["one", "two"].map(|name| (name, Cas::new(&bucket, key)));
            let mut seen = Vec::new();
            for (name, cas) in racers {
                let cas = cas.map_err(text)?;
                cas.current().map_err(text)?;
                seen.push((name, cas));
            }
            let mut outcome = Vec::new();
            for (name, cas) in seen {
                outcome.push(match atomics::swap(cas, name.as_bytes()) {
                    Ok(()) => "won",
                    Err(CasError::CasFailed(_)) => "lost",
                    Err(CasError::StoreError(error)) => return Err(text(error)),
                });
            }
            Ok(outcome.join(","))
        }
        _ => Err("no such path".to_owned()),
    }
}
