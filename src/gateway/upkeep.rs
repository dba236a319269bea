//! What the ledger needs beside the requests: attempts that nobody has settled, sums for readers elsewhere, retention.

use super::Gateway;
use super::authenticate::look_up;
use super::ledger::{ask, catch_up, tell};
use super::receipts::{self, Answered};
use super::{publish_keys, pushed, wake};
use crate::config::{Kind, Origin};
use crate::ledger::operation::{Amounts, Pending, Settle, Sums};
use crate::ledger::{Operation, Outcome, versions};
use crate::metering::record::{PREFIX, Record, State, day, relayed_ending};
use crate::metering::{DAY_MS, HOUR_MS};
use crate::platform::{Platform, Urgency};
use crate::request_id;
use crate::secret::OriginSecrets;
use moegate_wire::{Ending, Nanodollars, Receipt};

/// How many forgotten attempts are looked at at a time.
const AT_ONCE: u32 = 50;
/// How long servers are asked at a time.
const LONGEST_MS: u64 = 8_000;
/// When one is looked at again whose own server does not answer.
const AGAIN_MS: u64 = 60_000;
/// How often an instance looks, where nothing else wakes it.
const EVERY_MS: u64 = 30_000;

/// Settles what is overdue in a shard, publishes the sums that have changed, and deletes what is not kept any longer.
/// Several may do so at once. Gives whether something is left to be done later.
pub async fn upkeep<P: Platform>(platform: &P, gateway: &Gateway, shard: &str) -> bool {
    wake::lead_by_alarm(platform, gateway, shard).await;
    let overdue = overdue(platform, gateway, shard).await;
    let published = publish(platform, shard).await;
    // Where there are no alarms, the shard `gateway` has no upkeep of its own.
    if shard == versions::SHARD || !P::HAS_ALARMS {
        // What is left to be done is asked of the database.
        let _left = pushed::publish(platform, None).await;
        publish_keys::publish_rest(platform).await;
    }
    let now_ms = platform.now_ms();
    let keep_ms = u64::from(gateway.config.ledger.keep_days) * DAY_MS;
    let before_id = request_id::make(now_ms.saturating_sub(keep_ms), [0; 10]);
    let pruned = ask(platform, shard, &Operation::Prune { before_id, now_ms }).await;
    overdue || !published || pruned.is_err()
}

/// The same behind a request, from time to time, on platforms where nothing else does it.
pub(super) async fn after_request<P: Platform>(platform: &P, gateway: &Gateway, shard: &str) {
    let now_ms = platform.now_ms();
    let due = platform.state(|state| {
        let due = now_ms >= state.swept_ms + EVERY_MS;
        if due {
            state.swept_ms = now_ms;
        }
        due
    });
    if due && !P::HAS_ALARMS {
        upkeep(platform, gateway, shard).await;
    }
}

/// Settles what is overdue. Gives whether something stays pending.
pub(super) async fn overdue<P: Platform>(platform: &P, gateway: &Gateway, shard: &str) -> bool {
    catch_up(platform).await;
    let began_ms = platform.now_ms();
    // Servers that do not answer are asked once.
    let mut silent = Vec::new();
    let mut left = false;
    loop {
        let now_ms = platform.now_ms();
        let operation = Operation::Overdue { now_ms, again_ms: now_ms + AGAIN_MS, limit: AT_ONCE };
        let Ok(Outcome::Overdue { pending }) = ask(platform, shard, &operation).await else { return true };
        let last = pending.len() < AT_ONCE as usize;
        for pending in pending {
            match settled(platform, gateway, pending, now_ms, &mut silent).await {
                Some(settle) => {
                    tell(platform, shard, &Operation::Settle(Box::new(settle)), Urgency::Now).await;
                }
                None => left = true,
            }
            // The rest is looked at again in a minute: a server that does not answer must not hold everybody up.
            if platform.now_ms() >= began_ms + LONGEST_MS {
                return true;
            }
        }
        if last {
            return left;
        }
    }
}

/// What an attempt has come to that nobody has settled; `None` where its own server may still tell.
async fn settled<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    pending: Pending,
    now_ms: u64,
    silent: &mut Vec<String>,
) -> Option<Settle> {
    let Pending { id, amounts, record, receipt } = pending;
    let Some(record) = record else {
        return Some(Settle { id, amounts, ..Settle::default() });
    };
    let config = &gateway.config;
    let own = config.origin(&record.origin).filter(|origin| origin.kind == Kind::Moegate);
    let answered = match (receipt, own) {
        (Some(receipt), _) => Answered::Receipt(receipt),
        (None, Some(origin)) if silent.contains(&origin.name) => Answered::Nothing,
        (None, Some(origin)) => {
            let answered = asked(platform, origin, &id).await;
            if matches!(answered, Answered::Nothing) {
                silent.push(origin.name.clone());
            }
            answered
        }
        // What a third party has computed for it nobody tells.
        (None, None) => return Some(settle(id, estimate(record), &amounts)),
    };
    match answered {
        Answered::Receipt(receipt) if receipt.ending != Ending::Running => {
            Some(settle(id, by_receipt(record, &receipt), &amounts))
        }
        // It has answered, and does not know it any more.
        Answered::Unknown if record.status == 200 => Some(settle(id, estimate(record), &amounts)),
        // It never came there.
        Answered::Unknown => Some(settle(id, nothing(record), &amounts)),
        Answered::Receipt(_) | Answered::Nothing => {
            let give_up_ms = record.started_ms + u64::from(config.ledger.receipt_minutes) * 60_000;
            (now_ms >= give_up_ms).then(|| settle(id, estimate(record), &amounts))
        }
    }
}

async fn asked<P: Platform>(platform: &P, origin: &Origin, id: &str) -> Answered {
    let Ok(secrets) = look_up(platform, OriginSecrets::names(origin, 0)).await else {
        return Answered::Nothing;
    };
    match OriginSecrets::of(origin, 0, &secrets) {
        Ok(secrets) => receipts::ask(platform, &origin.url, &secrets, id).await,
        Err(_) => Answered::Nothing,
    }
}

fn settle(id: String, record: Record, reserved: &Amounts) -> Settle {
    let amounts = Amounts { requests: reserved.requests, ..record.amounts() };
    Settle { id, amounts, record: Some(record), ..Settle::default() }
}

/// The gateway was not there at its end.
fn over(record: Record) -> Record {
    let ending = match record.ending {
        Ending::Running => Ending::Truncated,
        ending => ending,
    };
    Record { ending, ..record }
}

fn by_receipt(record: Record, receipt: &Receipt) -> Record {
    let running = record.ending == Ending::Running;
    let record = over(record).settled_by(receipt);
    // What the origin says is all that is known of a stream whose gateway was lost: the client did not get its end.
    if running { Record { ending: Ending::Truncated, ..record } } else { record }
}

fn estimate(record: Record) -> Record {
    let record = over(record);
    // Nobody vouches for a stream's being whole.
    let ending = if record.stream { relayed_ending(record.ending, None) } else { record.ending };
    Record { state: State::Estimated, ending, ..record }
}

fn nothing(record: Record) -> Record {
    Record { state: State::Settled, cost_nanodollars: Nanodollars(0), ..over(record) }
}

/// Absolute sums of the hours that have changed, under a key for each tenant and hour. Gives whether all of it is written.
async fn publish<P: Platform>(platform: &P, shard: &str) -> bool {
    let Ok(Outcome::Published { hours }) = ask(platform, shard, &Operation::Publish).await else {
        return false;
    };
    if hours.is_empty() {
        return true;
    }
    // Sorted by tenant and hour, so that each pair is one stretch.
    let mut hours = hours;
    hours.sort_by(|a, b| (&a.tenant, &a.by).cmp(&(&b.tenant, &b.by)));
    for sums in hours.chunk_by(|a, b| a.tenant == b.tenant && a.by == b.by) {
        let Some(key) = sums.first().and_then(hour_key) else { continue };
        let Ok(value) = serde_json::to_string(sums) else { continue };
        if platform.put_record(&key, &value, "null").await.is_err() {
            return false;
        }
    }
    ask(platform, shard, &Operation::Published).await.is_ok()
}

/// `usage/hours/acme/2026-11-27T16`.
fn hour_key(sums: &Sums) -> Option<String> {
    let ms: u64 = sums.by.parse().ok()?;
    Some(format!("{PREFIX}hours/{}/{}T{:02}", sums.tenant, day(ms), ms % DAY_MS / HOUR_MS))
}
