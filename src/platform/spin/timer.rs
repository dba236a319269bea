//! Sleeps. Those of a request share one wait of the host's, since most are dropped long before they end: to begin one and to
//! give it up again are several calls of the host.

use spin_sdk::wasip3::clocks::monotonic_clock;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const NS_PER_MS: u64 = 1_000_000;
/// The longest that the host is asked to wait, in nanoseconds: no longer than the ledger is given for an answer, so that the
/// sleep beside that, which comes later, does not end before it.
const LONGEST_NS: u64 = 4_000 * NS_PER_MS;

/// So many milliseconds, by a wait of its own.
pub(super) async fn sleep(ms: u64) {
    monotonic_clock::wait_for(ms.saturating_mul(NS_PER_MS)).await;
}

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// Of one request. All its sleeps must be polled in one task.
#[derive(Default)]
pub(super) struct Timer {
    /// When it ends, in nanoseconds of the monotonic clock, and what ends then.
    wait: RefCell<Option<(u64, Wait)>>,
    /// How many waits have ended.
    ended: Cell<u32>,
}

impl Timer {
    /// So many milliseconds.
    pub(super) async fn sleep(&self, ms: u64) {
        let until = monotonic_clock::now().saturating_add(ms.saturating_mul(NS_PER_MS));
        let mut seen = self.ended.get();
        poll_fn(|context| self.poll(until, &mut seen, context)).await;
    }

    /// `seen`: how many waits had ended when this sleep last looked at the clock.
    fn poll(&self, until: u64, seen: &mut u32, context: &mut Context<'_>) -> Poll<()> {
        let mut wait = self.wait.borrow_mut();
        loop {
            if *seen != self.ended.get() {
                *seen = self.ended.get();
                if monotonic_clock::now() >= until {
                    return Poll::Ready(());
                }
            }
            match &mut *wait {
                Some((at, end)) if *at <= until => {
                    ready!(end.as_mut().poll(context));
                    *wait = None;
                    self.ended.set(self.ended.get().wrapping_add(1));
                }
                _ => {
                    let now = monotonic_clock::now();
                    if now >= until {
                        return Poll::Ready(());
                    }
                    let at = until.min(now.saturating_add(LONGEST_NS));
                    *wait = Some((at, Box::pin(monotonic_clock::wait_until(at))));
                }
            }
        }
    }
}
