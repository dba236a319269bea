//! Requests that wait for an origin.

use super::lead::Sleeper;
use super::{Turn, errors};
use crate::dialect::request::StreamForm;
use crate::error::ApiError;
use crate::gateway::context::RequestContext;
use crate::gateway::stream::{Interrupt, finish};
use crate::platform::{Payload, Platform};
use crate::wake::Lifecycle;
use moegate_wire::OriginState;
use std::pin::pin;

/// Clients give up on an answer's head after 300 s (undici, and so Node's fetch).
const LONGEST_UNSTREAMED_S: u64 = 240;

/// How often a stream that waits gets a comment. Proxies cut a connection off that is silent for 60 s or less.
const COMMENT_MS: u64 = 10_000;

/// Counts one more request that waits, until it is dropped.
struct Held<'a, P: Platform> {
    platform: &'a P,
    origin: usize,
}

impl<'a, P: Platform> Held<'a, P> {
    /// `None`: as many wait as may.
    fn new(sleeper: &Sleeper<'a, P>) -> Option<Self> {
        let room = sleeper.platform.state(|state| {
            let held = &mut state.origins.of(sleeper.at).held;
            let room = *held < sleeper.wake.queue;
            *held += u32::from(room);
            room
        });
        room.then(|| Self { platform: sleeper.platform, origin: sleeper.at })
    }
}

impl<P: Platform> Drop for Held<'_, P> {
    fn drop(&mut self) {
        self.platform.state(|state| {
            let held = &mut state.origins.of(self.origin).held;
            *held = held.saturating_sub(1);
        });
    }
}

impl<'a, P: Platform> RequestContext<'a, P> {
    /// Waits until the wake has ended.
    pub(super) async fn hold(&mut self, sleeper: &Sleeper<'a, P>, row: Lifecycle) -> Turn {
        let began_ms = self.platform.now_ms();
        let Some(_held) = Held::new(sleeper) else {
            return Turn::LeaveOut(errors::queue_full(&row, began_ms));
        };
        let budget_s = u64::from(sleeper.wake.budget_s);
        let longest_s = if self.facts.stream { budget_s } else { budget_s.min(LONGEST_UNSTREAMED_S) };
        let until_ms = (self.started_ms + longest_s * 1000).min(self.retry.deadline_ms());
        self.wake.held = true;
        if self.facts.stream && self.begun.is_none() {
            self.begun = Some(self.platform.begin(self.reply(200, true)));
        }
        let mut ended = pin!(sleeper.until_ended(!P::HAS_ALARMS, until_ms));
        // The first one at once: it brings the head to the client.
        let mut comment_ms = began_ms;
        loop {
            let now_ms = self.platform.now_ms();
            if now_ms >= comment_ms && !self.comment(&row, until_ms).await {
                return Turn::ClientLeft;
            }
            if now_ms >= comment_ms {
                comment_ms = now_ms + COMMENT_MS;
            }
            let seen = match self.watch.run(ended.as_mut(), comment_ms.min(until_ms)).await {
                Ok(seen) => seen,
                Err(Interrupt::ClientLeft) => return Turn::ClientLeft,
                Err(Interrupt::Time) if self.platform.now_ms() < until_ms => continue,
                Err(Interrupt::Time) => None,
            };
            let now_ms = self.platform.now_ms();
            return match seen {
                Some(row) if row.state == OriginState::Ready => {
                    self.platform.state(|state| state.origins.of(sleeper.at).ready_ms = now_ms);
                    Turn::Again
                }
                Some(row) if row.state == OriginState::Cold => Turn::LeaveOut(errors::failed(&row, now_ms)),
                seen => {
                    let waited_s = now_ms.saturating_sub(self.started_ms) / 1000;
                    Turn::GiveUp(errors::timeout(waited_s, seen.as_ref().unwrap_or(&row), now_ms))
                }
            };
        }
    }

    /// A sign of life in a stream that waits. Gives whether the client is still there.
    async fn comment(&mut self, row: &Lifecycle, until_ms: u64) -> bool {
        let Some(outgoing) = &mut self.begun else { return true };
        let text = match self.facts.stream_form {
            StreamForm::Events => {
                let left = row.seconds_left(self.platform.now_ms()).unwrap_or(1);
                format!(": the origin is waking, about {left} s are left\n\n")
            }
            // White space before a JSON document.
            StreamForm::JsonArray => "\n".to_owned(),
        };
        let write = self.platform.write(outgoing, Payload::Own(text.into_bytes()));
        matches!(self.watch.run(write, until_ms).await, Ok(Ok(())) | Err(Interrupt::Time))
    }

    /// Ends a stream whose head the client has already.
    pub(in crate::gateway) async fn end_begun(&mut self, outgoing: P::Outgoing, error: &ApiError) {
        let last = self.dialect.error_event(error);
        // A client that has left misses nothing.
        let _left = finish(self.platform, &mut self.watch, outgoing, last, 0).await;
    }
}
