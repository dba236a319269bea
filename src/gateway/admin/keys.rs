//! `/keys`: keys made at run time. The ledger's shard `gateway` has what holds; instances read it from the store.

use super::super::publish_keys::{ask_keys, publish};
use super::super::stream::Watch;
use super::super::{Gateway, authenticate, reply};
use super::key_body::KeyBody;
use crate::config::key::NewKey;
use crate::config::{Key, LedgerStore};
use crate::error::{ApiError, shown_name};
use crate::ledger::keys::{AuditRow, KeyOperation, KeyOutcome};
use crate::ledger::made_key::{Change, KeyChange, KeyRefusal, MadeKey};
use crate::metering::query::{Query, encode_cursor};
use crate::platform::{BodyError, Platform};
use crate::request_id;
use http::{Method, Request};

/// Bytes of a body at most, and how long it may take to come.
const LARGEST: usize = 64 * 1024;
const BODY_MS: u64 = 10_000;
/// Rows of one answer.
const PAGE: u32 = 100;
/// What sorts behind every id.
const LAST_ID: &str = "~";

/// Serves `/keys` and what is below it.
pub(super) async fn serve<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    path: &str,
) -> Result<(), ApiError> {
    let maker = authenticate::maker(platform, gateway, head).await?;
    if gateway.config.ledger.store == LedgerStore::KeyValue {
        return Err(ApiError::invalid(
            "ledger_needed",
            None,
            "this gateway keeps no ledger (`[ledger] store = \"key-value\"` in moegate.toml), which keys made at run time need: write keys into moegate.toml",
        ));
    }
    let name = path.strip_prefix("/keys/").unwrap_or("");
    let rotated = name.strip_suffix("/rotate");
    let body = match (head.method(), name, rotated) {
        (&(Method::GET | Method::HEAD), "", _) => list(platform, head, maker).await?,
        (&(Method::GET | Method::HEAD), "audit", _) => audit(platform, head, maker).await?,
        (&Method::POST, "", _) if path == "/keys" => make(platform, gateway, maker).await?,
        (&Method::POST, _, Some(name)) => {
            let overlap_ms = body(platform).await?.into_overlap_ms()?;
            let NewKey { key, sha256 } = new_key(platform);
            let until_ms = platform.now_ms() + overlap_ms;
            let rotate = Change::Rotate { sha256: sha256.clone(), until_ms };
            let row = change(platform, maker, name, rotate).await?;
            publish(platform, name, Some(&sha256)).await?;
            shown(&row, Some(&key))
        }
        (&Method::PATCH, _, None) if !name.is_empty() => limit(platform, gateway, maker, name).await?,
        (&Method::DELETE, _, None) if !name.is_empty() => {
            let row = change(platform, maker, name, Change::Revoke).await?;
            publish(platform, name, None).await?;
            shown(&row, None)
        }
        (_, "", _) => return Err(ApiError::method("GET, HEAD, POST")),
        (_, _, Some(_)) => return Err(ApiError::method("POST")),
        _ => return Err(ApiError::method("PATCH, DELETE")),
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

async fn body<P: Platform>(platform: &P) -> Result<KeyBody, ApiError> {
    let until_ms = platform.now_ms() + BODY_MS;
    let read = Watch::new(platform).run_unattended(platform.read_body(LARGEST), until_ms).await;
    let body = read.ok_or_else(ApiError::body_timeout)?.map_err(|error| match error {
        BodyError::TooLarge => ApiError::invalid("invalid_key", None, "a key is said in at most 64 KiB"),
        BodyError::Broken => {
            ApiError::invalid("body_broken", None, "the request body broke off; send it again")
        }
    })?;
    KeyBody::parse(&body)
}

fn new_key<P: Platform>(platform: &P) -> NewKey {
    let mut random = [0; 32];
    platform.random(&mut random);
    NewKey::from_random(&random)
}

async fn make<P: Platform>(platform: &P, gateway: &Gateway, maker: Option<&Key>) -> Result<String, ApiError> {
    let config = &gateway.config;
    let (key, expires_ms) = body(platform).await?.into_key(config, maker, platform.now_ms())?;
    if config.keys.iter().any(|known| known.name == key.name) {
        let text = format!("a key `{}` stands in moegate.toml: choose another name", key.name);
        return Err(ApiError::conflict("key_name_taken", text));
    }
    let name = key.name.clone();
    let NewKey { key: secret, sha256 } = new_key(platform);
    let make = Change::Make { key: Box::new(key), expires_ms, sha256: sha256.clone() };
    let row = change(platform, maker, &name, make).await?;
    publish(platform, &name, Some(&sha256)).await?;
    Ok(shown(&row, Some(&secret)))
}

async fn limit<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    maker: Option<&Key>,
    name: &str,
) -> Result<String, ApiError> {
    let what = body(platform).await?.into_change(&gateway.config, maker, platform.now_ms())?;
    let row = change(platform, maker, name, what).await?;
    publish(platform, name, None).await?;
    Ok(shown(&row, None))
}

/// Has the ledger make a change.
///
/// # Errors
/// 404 and 409 where the key is not as it would have to be; 503 where the ledger does not answer.
async fn change<P: Platform>(
    platform: &P,
    maker: Option<&Key>,
    name: &str,
    what: Change,
) -> Result<Box<MadeKey>, ApiError> {
    let at_ms = platform.now_ms();
    let mut random = [0; 10];
    platform.random(&mut random);
    let change = KeyChange {
        id: request_id::make(at_ms, random),
        at_ms,
        by: maker.map_or(Key::ADMIN, |maker| &maker.name).to_owned(),
        name: name.to_owned(),
        what,
    };
    match ask_keys(platform, KeyOperation::Change(change)).await? {
        KeyOutcome::Row(row) => Ok(row),
        KeyOutcome::Refused(refusal) => Err(refused(refusal, name)),
        _ => Err(ApiError::ledger_unavailable()),
    }
}

fn refused(refusal: KeyRefusal, name: &str) -> ApiError {
    let name = shown_name(name);
    match refusal {
        KeyRefusal::Unknown => ApiError::unknown_key(),
        KeyRefusal::Taken => ApiError::conflict(
            "key_name_taken",
            format!(
                "there is a key `{name}`, or there was: a name is given once. Choose another one; where you made it and lost its secret, `POST /keys/{name}/rotate` with `overlap` 0 gives a new one, and `PATCH /keys/{name}` changes its limits"
            ),
        ),
        KeyRefusal::Revoked => ApiError::conflict(
            "key_revoked",
            format!("the key `{name}` is revoked: make one with another name"),
        ),
        KeyRefusal::Later => {
            let text = "another call has changed this key at the same time: look at it, and call again";
            ApiError::conflict("key_changed", text)
        }
        KeyRefusal::Hashes => ApiError::conflict(
            "key_rotated_often",
            format!(
                "four secrets of `{name}` are good already: wait until one is over, or rotate with `overlap` 0"
            ),
        ),
    }
}

/// An answer about one key. The secret is nowhere else.
fn shown(row: &MadeKey, secret: Option<&str>) -> String {
    let view = row.view();
    match secret {
        Some(secret) => format!("{{\"key\":{view},\"secret\":\"{secret}\"}}"),
        None => format!("{{\"key\":{view}}}"),
    }
}

async fn list<P: Platform>(
    platform: &P,
    head: &Request<()>,
    maker: Option<&Key>,
) -> Result<String, ApiError> {
    let query = Query::of_pages(head.uri().query().unwrap_or(""))?;
    let made_by = maker.map(|maker| maker.name.clone());
    let list = KeyOperation::List { after: query.cursor.unwrap_or_default(), limit: PAGE, made_by };
    let KeyOutcome::Rows(rows) = ask_keys(platform, list).await? else {
        return Err(ApiError::ledger_unavailable());
    };
    let views: Vec<_> = rows.iter().map(MadeKey::view).collect();
    Ok(page("keys", &views, rows.last().map(|row| &*row.key.name)))
}

async fn audit<P: Platform>(
    platform: &P,
    head: &Request<()>,
    maker: Option<&Key>,
) -> Result<String, ApiError> {
    let query = Query::of_pages(head.uri().query().unwrap_or(""))?;
    let made_by = maker.map(|maker| maker.name.clone());
    let before = query.cursor.unwrap_or_else(|| LAST_ID.to_owned());
    let audit = KeyOperation::Audit { before, limit: PAGE, made_by };
    let KeyOutcome::Audit(rows) = ask_keys(platform, audit).await? else {
        return Err(ApiError::ledger_unavailable());
    };
    let views: Vec<_> = rows.iter().map(audit_view).collect();
    Ok(page("changes", &views, rows.last().map(|row| &*row.id)))
}

/// A list, and where the next page begins.
fn page(name: &str, views: &[String], last: Option<&str>) -> String {
    let more = last.filter(|_| views.len() == PAGE as usize);
    let cursor = more.map(|last| format!(",\"next_cursor\":\"{}\"", encode_cursor(last)));
    format!("{{\"{name}\":[{}]{}}}", views.join(","), cursor.unwrap_or_default())
}

/// Names are of letters and digits; before and after are JSON already.
fn audit_view(row: &AuditRow) -> String {
    let AuditRow { id, at_ms, by, name, what, before, after } = row;
    let or_null = |text: &str| if text.is_empty() { "null".to_owned() } else { text.to_owned() };
    format!(
        "{{\"id\":\"{id}\",\"at\":{},\"by\":\"{by}\",\"name\":\"{name}\",\"what\":\"{what}\",\"before\":{},\"after\":{}}}",
        at_ms / 1000,
        or_null(before),
        or_null(after)
    )
}
