//! What every attempt has used, written down.

use super::attempt::Attempt;
use super::context::RequestContext;
use super::ledger::tell;
use super::receipts::Answered;
use super::reserve::Reservation;
use super::stream::all;
use crate::config::{Failure, Kind};
use crate::dialect::counts::Counts;
use crate::ledger::Operation;
use crate::ledger::operation::{Amounts, Hold, Settle};
use crate::metering::record::{OriginTime, Record, State, relayed_ending};
use crate::platform::{Platform, Urgency};
use crate::routing::Target;
use moegate_wire::{Ending, Nanodollars, Receipt, Usage};

/// How often the store is tried for a record, and how long each try may take.
const PUT_TRIES: u32 = 4;
const PUT_MS: u64 = 5_000;
/// Before the second try; doubles with each further one.
const PUT_PAUSE_MS: u64 = 200;

/// When our own server is asked again for what it did not say.
const ASK_AGAIN_MS: u64 = 30_000;

/// What is known of the tokens used.
#[derive(Clone, Copy, Default)]
struct Metering {
    usage: Usage,
    inferred: bool,
    upstream_cost: Option<Nanodollars>,
    /// Whether that is all: not so where nothing is known, or a generation was still running when it was asked for.
    exact: bool,
    origin_time: Option<OriginTime>,
}

impl From<&Receipt> for Metering {
    fn from(receipt: &Receipt) -> Self {
        let exact = receipt.ending != Ending::Running;
        let upstream_cost = Some(receipt.cost);
        Self {
            usage: receipt.usage,
            upstream_cost,
            exact,
            origin_time: Some(receipt.into()),
            inferred: false,
        }
    }
}

/// How far an attempt's account is when it is over.
fn state(attempt: &Attempt<'_>, answered: &Answered) -> State {
    let own = attempt.target.origin.kind == Kind::Moegate;
    // The runtime does not tell a connection that was refused from one that broke before the answer.
    let unreached = attempt.failure == Some(Failure::Connect);
    let unanswered = match answered {
        Answered::Receipt(receipt) => receipt.ending == Ending::Running,
        Answered::Nothing => true,
        Answered::Unknown => false,
    };
    match attempt.counts {
        Some(_) if !attempt.relayed => {
            // A stream that was cut tells of a part.
            if attempt.counted { State::Settled } else { State::Estimated }
        }
        _ if own && unanswered && !unreached => State::Pending,
        // It has answered, and does not know it any more.
        _ if attempt.relayed && matches!(answered, Answered::Unknown) => State::Estimated,
        None if !own && !unreached => State::Estimated,
        _ => State::Settled,
    }
}

impl<P: Platform> RequestContext<'_, P> {
    /// One record for each attempt; the client is served already. None waits for another.
    pub(super) async fn settle(&self) {
        all(self.attempts.iter().enumerate().map(|(at, attempt)| self.settle_one(at, attempt))).await;
    }

    async fn settle_one(&self, at: usize, attempt: &Attempt<'_>) {
        let mut ending = attempt.ending;
        let answered = if attempt.needs_receipt() { self.receipt(attempt).await } else { Answered::Unknown };
        let receipt = match &answered {
            Answered::Receipt(receipt) => Some(receipt),
            Answered::Unknown | Answered::Nothing => None,
        };
        let state = state(attempt, &answered);
        let metering = match (attempt.relayed, attempt.counts) {
            (true, _) => {
                // The receipt that may come yet says how a stream ended.
                if state != State::Pending || attempt.reservation.is_none() {
                    ending = relayed_ending(ending, receipt);
                }
                receipt.map(Metering::from).unwrap_or_default()
            }
            (false, Some(Counts { usage, inferred, upstream_cost })) => {
                Metering { usage, inferred, upstream_cost, exact: attempt.counted, ..Metering::default() }
            }
            (false, None) => receipt.map(Metering::from).unwrap_or_default(),
        };
        let busy_us = receipt.map_or(0, |receipt| receipt.busy_us);
        let Metering { usage, inferred, upstream_cost, .. } = metering;
        let cost = attempt.cost(&Counts { usage, inferred, upstream_cost });
        let began_ms = if at == 0 { self.started_ms } else { attempt.began_ms };
        let bound = attempt.reservation.as_ref().map(|reservation| reservation.amounts).unwrap_or_default();
        let record = Record {
            last: at + 1 == self.attempts.len(),
            failure: attempt.failure,
            status: attempt.status,
            ending,
            usage: metering.usage,
            metered: metering.exact,
            inferred: metering.inferred,
            cost_nanodollars: cost,
            // Our own server says what it was told to.
            upstream_cost_nanodollars: metering
                .upstream_cost
                .filter(|_| attempt.target.origin.kind != Kind::Moegate),
            head_after_ms: attempt.head_ms.saturating_sub(began_ms),
            ended_after_ms: attempt.ended_ms.saturating_sub(began_ms),
            origin_time: metering.origin_time,
            price: attempt.target.price_version(attempt.began_ms),
            busy_us,
            ..self.record(&attempt.target, &attempt.id, at as u32 + 1, began_ms, &bound)
        };
        self.trace_attempt(&record, &attempt.target);
        match &attempt.reservation {
            None => self.put(&record).await,
            Some(reservation) => self.settle_in_ledger(reservation, Record { state, ..record }).await,
        }
    }

    /// The record of an answer out of the cache.
    pub(super) async fn settle_cached(
        &self,
        target: &Target<'_>,
        reservation: Option<Reservation>,
        ending: Ending,
    ) {
        let after_ms = self.platform.now_ms().saturating_sub(self.started_ms);
        let record = Record {
            cache_hit: true,
            ending,
            head_after_ms: after_ms,
            ended_after_ms: after_ms,
            ..self.record(target, &self.id, 1, self.started_ms, &Amounts::default())
        };
        match reservation {
            None => self.put(&record).await,
            Some(reservation) => self.settle_in_ledger(&reservation, record).await,
        }
    }

    /// Where nothing is known of what was used, the bound is charged.
    async fn settle_in_ledger(&self, reservation: &Reservation, record: Record) {
        let bound = reservation.amounts;
        let nothing_known = record.state == State::Pending
            || record.state == State::Estimated && record.usage == Usage::default();
        let record = match nothing_known {
            false => record,
            true => Record { cost_nanodollars: Nanodollars(bound.cost), metered: false, ..record },
        };
        let amounts = Amounts { requests: bound.requests, ..record.amounts() };
        let again_ms = self.platform.now_ms() + ASK_AGAIN_MS;
        let id = record.id.clone();
        // The first shard's.
        let mut record = Some(record);
        all(reservation.shards.iter().enumerate().map(|(at, shard)| {
            let settle = Operation::Settle(Box::new(Settle {
                id: shard.id(&id, at),
                amounts: shard.amounts(amounts),
                holds: if reservation.confirmed { Vec::new() } else { shard.holds.clone() },
                record: record.take(),
                again_ms,
            }));
            // Who waits for a place among those at once may have it right away.
            let at_once = shard.holds.iter().any(Hold::is_of_concurrency);
            let urgency = if at_once { Urgency::Now } else { Urgency::Soon };
            async move { tell(self.platform, &shard.name, &settle, urgency).await }
        }))
        .await;
    }

    /// Tries again where the store is busy; if it fails for good, the record goes to the log.
    async fn put(&self, record: &Record) {
        let (value, summary) = (serde_json::to_string(record), serde_json::to_string(&record.summary()));
        let (Ok(value), Ok(summary)) = (value, summary) else { return };
        let key = record.storage_key();
        for tried in 0..PUT_TRIES {
            if tried > 0 {
                self.platform.sleep(PUT_PAUSE_MS << (tried - 1)).await;
            }
            let mut watch = super::stream::Watch::new(self.platform);
            let until_ms = self.platform.now_ms() + PUT_MS;
            let put = watch.run_unattended(self.platform.put_record(&key, &value, &summary), until_ms).await;
            if put == Some(Ok(())) {
                return;
            }
        }
        // Numbers and names only. The log is the last place where this request's cost is not lost.
        self.platform.log(&format!("a usage record could not be stored: {value}")).await;
    }
}
