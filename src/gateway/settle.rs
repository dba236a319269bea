//! What every attempt has used, written down.

use super::attempt::Attempt;
use super::context::RequestContext;
use super::stream::all;
use crate::config::Kind;
use crate::dialect::counts::Counts;
use crate::metering::record::{OriginTime, Record, relayed_ending};
use crate::platform::Platform;
use moegate_wire::{Ending, Nanodollars, Receipt, Usage};

/// How often the store is tried for a record, and how long each try may take.
const PUT_TRIES: u32 = 4;
const PUT_MS: u64 = 5_000;
/// Before the second try; doubles with each further one.
const PUT_PAUSE_MS: u64 = 200;

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
        Self { usage: receipt.usage, upstream_cost, exact, origin_time: Some(receipt.into()), inferred: false }
    }
}

impl<P: Platform> RequestContext<'_, P> {
    /// One record for each attempt; the client is served already. None waits for another.
    pub(super) async fn settle(&self) {
        all(self.attempts.iter().enumerate().map(|(at, attempt)| self.settle_one(at, attempt))).await;
    }

    async fn settle_one(&self, at: usize, attempt: &Attempt<'_>) {
        let mut ending = attempt.ending;
        let receipt = if attempt.needs_receipt() { self.receipt(attempt).await } else { None };
        let metering = match (attempt.relayed, attempt.counts) {
            (true, _) => {
                ending = relayed_ending(ending, receipt.as_ref());
                receipt.as_ref().map(Metering::from).unwrap_or_default()
            }
            (false, Some(Counts { usage, inferred, upstream_cost })) => {
                Metering { usage, inferred, upstream_cost, exact: attempt.counted, origin_time: None }
            }
            (false, None) => receipt.as_ref().map(Metering::from).unwrap_or_default(),
        };
        let Metering { usage, inferred, upstream_cost, .. } = metering;
        let cost = attempt.cost(&Counts { usage, inferred, upstream_cost });
        let number = at as u32 + 1;
        let began_ms = if at == 0 { self.started_ms } else { attempt.began_ms };
        let record = Record {
            id: self.id.clone(),
            attempt: number,
            last: at + 1 == self.attempts.len(),
            failure: attempt.failure,
            key: self.key.name.clone(),
            model: self.facts.model.clone(),
            served_model: attempt.target.model.name.clone(),
            origin: attempt.target.origin.name.clone(),
            stream: self.facts.stream,
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
            started_ms: began_ms,
            head_after_ms: attempt.head_ms.saturating_sub(began_ms),
            ended_after_ms: attempt.ended_ms.saturating_sub(began_ms),
            origin_time: metering.origin_time,
        };
        self.put(&record).await;
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
