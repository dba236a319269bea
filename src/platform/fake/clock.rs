//! Virtual time: it stands still while anything can move, and then jumps to the next thing that happens.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A deadline that never comes.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) struct Clock(Mutex<Inner>);

struct Inner {
    now_ms: u64,
    timers: u64,
    /// By deadline, and by the order in which they were set.
    waiting: BTreeMap<(u64, u64), Waker>,
}

impl Clock {
    pub(super) fn new(now_ms: u64) -> Self {
        Self(Mutex::new(Inner { now_ms, timers: 0, waiting: BTreeMap::new() }))
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.inner().now_ms
    }

    /// Moves time on to `at_ms` and wakes whoever waited for that.
    pub(super) fn pass_until(&self, at_ms: u64) {
        let due: Vec<_> = {
            let mut inner = self.inner();
            let now_ms = inner.now_ms.max(at_ms);
            inner.now_ms = now_ms;
            let later = inner.waiting.split_off(&(now_ms.saturating_add(1), 0));
            std::mem::replace(&mut inner.waiting, later).into_values().collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// The earliest pending timer's deadline.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.inner().waiting.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Ready at `deadline`; never for [`NEVER`].
    pub(super) fn until(&self, deadline: u64) -> Timer<'_> {
        Timer { clock: self, deadline, number: None }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Timer<'c> {
    clock: &'c Clock,
    deadline: u64,
    /// Once it is set.
    number: Option<u64>,
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.inner();
        if inner.now_ms >= self.deadline {
            return Poll::Ready(());
        }
        if self.deadline != NEVER {
            let number = self.number.unwrap_or(inner.timers);
            inner.timers = inner.timers.max(number + 1);
            inner.waiting.insert((self.deadline, number), context.waker().clone());
            drop(inner);
            self.number = Some(number);
        }
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.inner().waiting.remove(&(self.deadline, number));
        }
    }
}
