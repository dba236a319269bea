//! Records and values in KV, and what other isolates of this data centre are told, in the Cache API.

use crate::platform::{Entry, Page, StoreError};
use serde_json::Value;
use std::cell::RefCell;
use worker::kv::{KvError, KvStore};
use worker::{Cache, Env, ResponseBuilder};

/// The binding of the usage records' namespace.
const USAGE: &str = "USAGE";

thread_local! {
    /// A Worker's environment does not change while the instance lives.
    static STORE: RefCell<Option<KvStore>> = const { RefCell::new(None) };
}

fn usage(env: &Env) -> Result<KvStore, KvError> {
    if let Some(store) = STORE.with_borrow(Clone::clone) {
        return Ok(store);
    }
    let store = KvStore::from_this(env, USAGE)?;
    STORE.set(Some(store.clone()));
    Ok(store)
}

pub(super) async fn put(env: &Env, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
    let put = async {
        let summary: Value = serde_json::from_str(summary)?;
        usage(env)?.put(key, value)?.metadata(summary)?.execute().await
    };
    put.await.map_err(|error| refused("take a value", &error))
}

pub(super) async fn put_for(env: &Env, key: &str, value: &str, seconds: u64) -> Result<(), StoreError> {
    let put = async { usage(env)?.put(key, value)?.expiration_ttl(seconds).execute().await };
    put.await.map_err(|error| refused("take a value", &error))
}

pub(super) async fn load(env: &Env, key: &str) -> Result<Option<String>, StoreError> {
    let load = async { usage(env)?.get(key).text().await };
    load.await.map_err(|error| refused("give a value", &error))
}

pub(super) async fn erase(env: &Env, key: &str) -> Result<(), StoreError> {
    let erase = async { usage(env)?.delete(key).await };
    erase.await.map_err(|error| refused("erase a value", &error))
}

pub(super) async fn list(env: &Env, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
    let list = async {
        let mut list = usage(env)?.list().prefix(prefix.to_owned());
        if let Some(cursor) = cursor {
            list = list.cursor(cursor.to_owned());
        }
        let page = list.execute().await?;
        let entry = |key: worker::kv::Key| {
            let summary = key.metadata.unwrap_or(Value::Null);
            Ok(Entry { name: key.name, summary: serde_json::value::to_raw_value(&summary)? })
        };
        let entries = page.keys.into_iter().map(entry).collect::<Result<_, KvError>>()?;
        Ok(Page { entries, cursor: if page.list_complete { None } else { page.cursor } })
    };
    list.await.map_err(|error: KvError| refused("list the records", &error))
}

fn refused(what: &str, error: &KvError) -> StoreError {
    worker::console_error!("moegate: the usage store did not {what}: {error}");
    StoreError
}

/// A zone's Workers share one cache: what is under another host name is another gateway. The cache's keys are URLs; nobody
/// serves this one.
fn cached(host: &str, key: &str) -> String {
    format!("https://cache.moegate.invalid/{host}/{key}")
}

/// Not in KV: there "not found" is remembered for a minute, and the first request has to look.
pub(super) async fn remember(host: &str, key: &str, value: &str, seconds: u64) {
    let remember = async {
        let response = ResponseBuilder::new().with_header("cache-control", &format!("max-age={seconds}"))?;
        Cache::default().put(cached(host, key), response.fixed(value.as_bytes().to_vec())).await
    };
    if let Err(error) = remember.await {
        worker::console_error!("moegate: what other instances are to know could not be kept: {error}");
    }
}

pub(super) async fn recall(host: &str, key: &str) -> Option<String> {
    Cache::default().get(cached(host, key), false).await.ok()??.text().await.ok()
}
