//! The configuration that an instance serves by, where it is not the compiled-in one, and when it looks for another.
//!
//! A value in the store is seen everywhere about a minute after it was written. An instance looks for it behind a request when
//! it has not done so for 20 seconds; a request whose instance has not looked for 55 seconds waits for it. So every request
//! that comes two minutes after a change is served by it, as long as the store answers.

use crate::gateway::Gateway;
use std::sync::Arc;

/// After how long an instance looks behind a request, and when a request waits.
const LOOK_MS: u64 = 20_000;
const WAIT_MS: u64 = 55_000;
/// How long a request waits at most.
pub(crate) const PATIENCE_MS: u64 = 1_000;
/// When the store is asked again that did not answer.
const AGAIN_MS: u64 = 5_000;

/// Of an instance.
#[derive(Debug, Default)]
pub struct Current {
    gateway: Option<Arc<Gateway>>,
    /// A hash of the value that was looked at last.
    seen: Option<u64>,
    /// Whether the store has ever said what is there.
    is_known: bool,
    /// From when on it looks behind a request, and a request waits for it, in Unix milliseconds.
    look_ms: u64,
    wait_ms: u64,
}

impl Current {
    /// What it serves by; `None`: the compiled-in configuration.
    #[must_use]
    pub fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.clone()
    }

    /// Whether somebody has to look now: before a request, or behind one. Others don't meanwhile, but for those of an instance
    /// that knows nothing yet.
    pub(crate) fn begins_look(&mut self, is_before: bool, now_ms: u64) -> bool {
        let begins = now_ms >= if is_before { self.wait_ms } else { self.look_ms };
        if begins && self.is_known {
            self.again_at(now_ms + PATIENCE_MS + 100);
        }
        begins
    }

    fn again_at(&mut self, ms: u64) {
        (self.look_ms, self.wait_ms) = (ms, ms);
    }

    /// The store did not answer.
    pub(crate) fn failed(&mut self, now_ms: u64) {
        self.again_at(now_ms + AGAIN_MS);
    }

    /// The store has answered, `began_ms` being when it was asked. Gives whether the value is another one than before.
    pub(crate) fn answered(&mut self, value: Option<u64>, began_ms: u64) -> bool {
        self.is_known = true;
        self.look_ms = began_ms + LOOK_MS;
        self.wait_ms = began_ms + WAIT_MS;
        let is_new = value.is_some() && self.seen != value;
        self.seen = value;
        is_new
    }

    /// Serves by that from now on, unless what it has is of a later version: a store may give an older value again.
    pub(crate) fn take_up(&mut self, gateway: Gateway) {
        if self.gateway.as_ref().is_none_or(|own| own.version().number < gateway.version().number) {
            self.gateway = Some(Arc::new(gateway));
        }
    }
}
