//! Waits, and the time that a stream has.

use super::bindings::wasi::clocks::monotonic_clock;
use crate::core::attempt::Timeouts;
use crate::core::stream::Close;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

const NS_PER_MS: u64 = 1_000_000;

/// So many milliseconds.
pub(super) async fn sleep(ms: u64) {
    monotonic_clock::wait_for(ms.saturating_mul(NS_PER_MS)).await;
}

/// A moment: nanoseconds of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn now() -> Self {
        Self(monotonic_clock::now())
    }

    fn plus(self, ms: u32) -> Self {
        Self(self.0.saturating_add(u64::from(ms) * NS_PER_MS))
    }
}

/// Until when a stream is waited for.
///
/// One timer of the host's stands for both limits. It is set again only when it has gone off too soon, since a chunk has
/// come meanwhile: to set one for every chunk would cost about as much as the chunk.
pub(super) struct Limits {
    idle_ms: u32,
    late: Moment,
    /// Goes off at the next moment that counts, or before it.
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Limits {
    /// For the answer to a request that was sent then.
    pub(super) fn new(timeouts: Timeouts, sent: Moment) -> Self {
        Self { idle_ms: timeouts.idle_ms, late: sent.plus(timeouts.total_ms), timer: None }
    }

    /// No limit between two chunks.
    pub(super) fn total_only(&mut self) {
        self.idle_ms = u32::MAX;
    }

    /// Waits for what is to come next. The time that a slow client takes before it asks is not the origin's.
    ///
    /// # Errors
    /// [`Close::Idle`] or [`Close::Late`]; `next` is dropped then.
    pub(super) async fn keep<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Close> {
        let since = Moment::now();
        // A stream that always has something ready would never come to the timer.
        if since >= self.late {
            return Err(Close::Late);
        }
        let idle = since.plus(self.idle_ms);
        let (moment, close) = if idle < self.late { (idle, Close::Idle) } else { (self.late, Close::Late) };
        let mut next = pin!(next);
        poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll_moment(moment, context).map(|()| Err(close)),
        })
        .await
    }

    /// Ready when all the time is over.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_moment(self.late, context)
    }

    fn poll_moment(&mut self, moment: Moment, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let timer = self.timer.get_or_insert_with(|| {
                // Whatever is waited for later, its time does not end before that.
                let first = moment.min(Moment::now().plus(self.idle_ms));
                Box::pin(monotonic_clock::wait_until(first.0))
            });
            ready!(timer.as_mut().poll(context));
            self.timer = None;
            if Moment::now() >= moment {
                return Poll::Ready(());
            }
        }
    }
}
