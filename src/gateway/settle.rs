//! What every attempt has used, written down.

use super::journey::Journey;
use super::tried::Tried;
use crate::core::attempt;
use crate::core::config::Failure;
use crate::core::record::{OriginTime, Record, relayed_ending};
use crate::platform::{Answer, AnswerBody, Platform};
use moegate_wire::{Ending, Receipt, Usage};

/// How often our own server is asked for a receipt; once, if it was not there for the request itself.
const RECEIPT_TRIES: u32 = 3;
/// No further question is begun after this. What runs on after an answer is ended after 30 s on Workers, and a record that
/// says "not known" is better than none.
const ASKING_MS: u64 = 15_000;

/// What is known of the tokens used.
#[derive(Clone, Copy, Default)]
struct Metering {
    usage: Usage,
    /// Whether that is all: not so where nothing is known, or a generation was still running when it was asked for.
    exact: bool,
    origin_time: Option<OriginTime>,
}

impl Metering {
    fn exactly(usage: Usage) -> Self {
        Self { usage, exact: true, origin_time: None }
    }
}

impl From<&Receipt> for Metering {
    fn from(receipt: &Receipt) -> Self {
        let exact = receipt.ending != Ending::Running;
        Self { usage: receipt.usage, exact, origin_time: Some(receipt.into()) }
    }
}

impl<P: Platform> Journey<'_, P> {
    /// One record for each attempt; the client is served already. First those that wait for nobody; of the others first
    /// the client's answer.
    pub(super) async fn settle(&self) {
        let until_ms = self.platform.now_ms() + ASKING_MS;
        for asks in [false, true] {
            for (at, tried) in self.tried.iter().enumerate().rev() {
                if tried.needs_receipt() == asks {
                    self.settle_one(at, tried, until_ms).await;
                }
            }
        }
    }

    async fn settle_one(&self, at: usize, tried: &Tried<'_>, until_ms: u64) {
        let mut ending = tried.ending;
        let metering = if tried.relayed {
            let receipt = self.receipt(tried, until_ms).await;
            ending = relayed_ending(ending, receipt.as_ref());
            receipt.as_ref().map(Metering::from).unwrap_or_default()
        } else {
            self.metering(tried, until_ms).await
        };
        let attempt = at as u32 + 1;
        let began_ms = if at == 0 { self.started_ms } else { tried.began_ms };
        let record = Record {
            id: self.id.clone(),
            attempt,
            last: at + 1 == self.tried.len(),
            failure: tried.failure,
            key: self.key.name.clone(),
            model: self.asked.clone(),
            served_model: tried.target.model.name.clone(),
            origin: tried.target.origin.name.clone(),
            stream: self.stream,
            status: tried.status,
            ending,
            usage: metering.usage,
            metered: metering.exact,
            cost_nanodollars: tried.target.model.price().cost(&metering.usage),
            started_ms: began_ms,
            head_after_ms: tried.head_ms.saturating_sub(began_ms),
            ended_after_ms: tried.ended_ms.saturating_sub(began_ms),
            origin_time: metering.origin_time,
        };
        self.put(&record).await;
    }

    async fn put(&self, record: &Record) {
        let value = serde_json::to_string(record);
        let summary = serde_json::to_string(&record.summary());
        if let (Ok(value), Ok(summary)) = (value, summary) {
            // A failure for good is in the platform's log, with the record; there is nobody left to tell.
            let _ = self.platform.put_record(&record.storage_key(), &value, &summary).await;
        }
    }

    /// What the answer said, or else what our own server's receipt says.
    async fn metering(&self, tried: &Tried<'_>, until_ms: u64) -> Metering {
        match tried.usage {
            Some(usage) => Metering { exact: tried.counted, ..Metering::exactly(usage) },
            None if tried.needs_receipt() => {
                self.receipt(tried, until_ms).await.as_ref().map(Metering::from).unwrap_or_default()
            }
            None => Metering::default(),
        }
    }

    /// The receipt of our own server; asked for again if the first question fails or finds it still running.
    async fn receipt(&self, tried: &Tried<'_>, until_ms: u64) -> Option<Receipt> {
        let mut last = None;
        let tries = if tried.failure == Some(Failure::Connect) { 1 } else { RECEIPT_TRIES };
        for _ in 0..tries {
            if self.platform.now_ms() >= until_ms {
                break;
            }
            let request = attempt::receipt_request(&tried.target, &tried.secrets, &tried.id);
            match self.platform.send(request, 64 * 1024).await {
                Ok(Answer { status: 200, headers, body: AnswerBody::Whole(body) }) => {
                    last = attempt::read_receipt(&headers, &body, &tried.secrets, &tried.id);
                    if !last.as_ref().is_some_and(|receipt| receipt.ending == Ending::Running) {
                        break;
                    }
                }
                // It does not know the request.
                Ok(Answer { status: 404, .. }) => break,
                _ => {}
            }
        }
        last
    }
}
