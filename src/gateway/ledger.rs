//! Asking the ledger: with time limits, again where an answer was lost, and later where it does not answer at all.

use super::stream::Watch;
use crate::ledger::{Operation, Outcome};
use crate::platform::{Platform, StoreError, Urgency};

/// How often an operation is sent, and how long each try may take.
const TRIES: u32 = 3;
const TRY_MS: u64 = 4_000;
/// Before the second try; four times as long with each further one.
const PAUSE_MS: u64 = 50;

/// Has a shard carry out an operation. Every operation may be sent again: none counts twice.
///
/// # Errors
/// The ledger did not answer; the operation may have been carried out all the same.
pub(super) async fn ask<P: Platform>(
    platform: &P,
    shard: &str,
    operation: &Operation,
) -> Result<Outcome, StoreError> {
    let operation = written(operation)?;
    ask_with(platform, shard, &operation, Urgency::Now).await
}

/// Most are of a record's size.
fn written(operation: &Operation) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, operation).map_err(|_| StoreError)?;
    String::from_utf8(text).map_err(|_| StoreError)
}

async fn ask_with<P: Platform>(
    platform: &P,
    shard: &str,
    operation: &str,
    urgency: Urgency,
) -> Result<Outcome, StoreError> {
    for tried in 0..TRIES {
        if tried > 0 {
            platform.sleep(PAUSE_MS << (2 * (tried - 1))).await;
        }
        #[cfg(feature = "fault-injection")]
        if platform.state(|state| state.ledger_down_until_ms) > platform.now_ms() {
            continue;
        }
        let mut watch = Watch::new(platform);
        let until_ms = platform.now_ms() + TRY_MS;
        let answer = watch.run_unattended(platform.ledger(shard, operation, urgency), until_ms).await;
        if let Some(Ok(answer)) = answer
            && let Ok(outcome) = serde_json::from_str(&answer)
        {
            return Ok(outcome);
        }
    }
    Err(StoreError)
}

/// The same for what has to arrive in the end: where the ledger does not answer, the instance remembers the operation and
/// sends it again behind later requests. It stands in the log too, since the instance may end before.
pub(super) async fn tell<P: Platform>(platform: &P, shard: &str, operation: &Operation, urgency: Urgency) {
    let Ok(operation) = written(operation) else { return };
    if ask_with(platform, shard, &operation, urgency).await.is_ok() {
        return;
    }
    // Numbers and names only. The log is the last place where this is not lost.
    platform.log(&format!("the ledger did not take this for {shard}: {operation}")).await;
    platform.state(|state| state.untold.push(shard, operation));
}

/// An operation on its way. Whoever drops it before it is taken gives it back.
struct OnItsWay<'p, P: Platform> {
    platform: &'p P,
    operation: Option<(String, String)>,
}

impl<P: Platform> Drop for OnItsWay<'_, P> {
    fn drop(&mut self) {
        if let Some((shard, operation)) = self.operation.take() {
            self.platform.state(|state| state.untold.push(&shard, operation));
        }
    }
}

/// Sends what the ledger has not taken yet. Ends with the first operation that fails again.
pub(super) async fn catch_up<P: Platform>(platform: &P) {
    while let Some(next) = platform.state(|state| state.untold.pop()) {
        let mut sending = OnItsWay { platform, operation: Some(next) };
        let Some((shard, operation)) = &sending.operation else { return };
        if ask_with(platform, shard, operation, Urgency::Now).await.is_err() {
            return;
        }
        sending.operation = None;
    }
}
