//! Telling the platform's store, from which instances read keys, what the ledger says of them.

use super::ledger::ask;
use super::stream::Watch;
use crate::auth::made::{Note, store_key};
use crate::error::ApiError;
use crate::ledger::keys::{KeyOperation, KeyOutcome};
use crate::ledger::made_key::{KeyRefusal, MadeKey};
use crate::ledger::{Operation, Outcome};
use crate::platform::Platform;
use crate::request_id;

/// The shard of the ledger that has what holds for the whole gateway.
pub(super) const SHARD: &str = "gateway";

/// How long one caller may write a key to the store, how long one write may take, and how often it is tried.
const WRITING_MS: u64 = 30_000;
const WRITE_MS: u64 = 4_000;
const TRIES: u32 = 3;
/// Before another try: Workers KV takes one write of a key a second. While another caller writes, as often.
const PAUSE_MS: u64 = 1_100;
/// How long a call goes on. After that a later call, or the upkeep, does the rest.
const LONGEST_MS: u64 = 20_000;

/// Has the shard carry out an operation on keys.
///
/// # Errors
/// 503: it did not answer.
pub(super) async fn ask_keys<P: Platform>(
    platform: &P,
    operation: KeyOperation,
) -> Result<KeyOutcome, ApiError> {
    match ask(platform, SHARD, &Operation::Keys(operation)).await {
        Ok(Outcome::Keys(outcome)) => Ok(outcome),
        _ => Err(ApiError::ledger_unavailable()),
    }
}

/// Writes a key's row to the store until it has the newest version. `shown`: the hash whose text is given away then.
/// Whoever is interrupted may call it again, and so may anybody else.
///
/// # Errors
/// 503 where the ledger or the store does not answer; 409 where another change has taken the hash away.
pub(super) async fn publish<P: Platform>(
    platform: &P,
    name: &str,
    shown: Option<&str>,
) -> Result<(), ApiError> {
    let began_ms = platform.now_ms();
    let owner = {
        let mut random = [0; 10];
        platform.random(&mut random);
        request_id::make(began_ms, random)
    };
    loop {
        let now_ms = platform.now_ms();
        if now_ms > began_ms + LONGEST_MS {
            return Err(not_published());
        }
        let until_ms = now_ms + WRITING_MS;
        let publish = KeyOperation::Publish {
            name: name.to_owned(),
            owner: owner.clone(),
            now_ms,
            until_ms,
            shown: shown.map(str::to_owned),
        };
        match ask_keys(platform, publish).await? {
            KeyOutcome::Publish { row, version } => {
                let written = write(platform, &row, now_ms, until_ms).await;
                // What may still arrive keeps others from writing until it must have.
                if written != Err(Unwritten::Unanswered) {
                    let version = if written.is_ok() { version } else { 0 };
                    let (name, owner) = (name.to_owned(), owner.clone());
                    ask_keys(platform, KeyOperation::Published { name, owner, version, now_ms }).await?;
                }
                written.map_err(|_| not_published())?;
            }
            KeyOutcome::Clean => return Ok(()),
            KeyOutcome::Refused(KeyRefusal::Later) => {
                let text =
                    "another call has replaced this key's secret meanwhile: call again if you want one more";
                return Err(ApiError::conflict("key_changed", text));
            }
            _ => platform.sleep(PAUSE_MS).await,
        }
    }
}

fn not_published() -> ApiError {
    let text = "the change is written down, but the store from which instances read keys did not take it yet: send the same call again until it succeeds";
    ApiError { retry_after_s: Some(1), ..ApiError::unavailable("keys_not_published", text) }
}

/// Why a key is not in the store as it is in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwritten {
    Refused,
    /// Nobody knows what becomes of the last write.
    Unanswered,
}

/// One value for each hash that is good; none for others.
async fn write<P: Platform>(
    platform: &P,
    row: &MadeKey,
    now_ms: u64,
    until_ms: u64,
) -> Result<(), Unwritten> {
    for hash in &row.hashes {
        let is_good = row.revoked_ms.is_none() && hash.is_good(now_ms);
        let value = match is_good {
            true => Some(serde_json::to_string(&Note::of(row, hash)).map_err(|_| Unwritten::Refused)?),
            false => None,
        };
        let key = store_key(&hash.sha256);
        let mut tried = 0;
        let mut unwritten = Unwritten::Refused;
        loop {
            // Nobody else may be writing by the time that this one is done.
            let end_ms = platform.now_ms() + WRITE_MS;
            if tried == TRIES || end_ms > until_ms {
                return Err(unwritten);
            }
            let mut watch = Watch::new(platform);
            let done = match &value {
                Some(value) => watch.run_unattended(platform.store(&key, value), end_ms).await,
                None => watch.run_unattended(platform.erase(&key), end_ms).await,
            };
            if done == Some(Ok(())) {
                break;
            }
            if done.is_none() {
                unwritten = Unwritten::Unanswered;
            }
            tried += 1;
            platform.sleep(PAUSE_MS).await;
        }
        // What this instance has read before.
        if let Some(digest) = moegate_wire::sign::from_hex(&hash.sha256) {
            platform.state(|state| state.made_keys.forget(&digest));
        }
    }
    Ok(())
}

/// The same for all keys of which the store is not told yet: what an earlier call could not finish.
pub(super) async fn publish_rest<P: Platform>(platform: &P) {
    let unpublished = KeyOperation::Unpublished { now_ms: platform.now_ms() };
    if let Ok(KeyOutcome::Names(names)) = ask_keys(platform, unpublished).await {
        for name in names {
            // Tried again with the next upkeep.
            let _failed = publish(platform, &name, None).await;
        }
    }
}
