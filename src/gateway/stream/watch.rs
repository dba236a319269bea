//! Waits that end with a time limit or with the client.

use crate::platform::Platform;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

/// Why a wait ended before what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Interrupt {
    Time,
    ClientLeft,
}

type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Of one request. One timer and one notice of the client's leaving serve all its waits: to make new ones for every chunk
/// of a stream would cost about as much as the chunk.
pub(in crate::gateway) struct Watch<'a, P> {
    platform: &'a P,
    client: Client<'a>,
    /// When the timer goes off, in Unix milliseconds: at the moment that is waited for, or before it.
    timer: Option<(u64, Waiting<'a>)>,
}

enum Client<'a> {
    Unasked,
    Watched(Waiting<'a>),
    Left,
}

impl<'a, P: Platform> Watch<'a, P> {
    pub(in crate::gateway) fn new(platform: &'a P) -> Self {
        Self { platform, client: Client::Unasked, timer: None }
    }

    /// Whether the client is known to have left.
    pub(in crate::gateway) fn client_left(&self) -> bool {
        matches!(self.client, Client::Left)
    }

    /// Waits for `work`, until that moment and while the client stays. What is interrupted is dropped.
    ///
    /// # Errors
    /// What came first.
    pub(in crate::gateway) async fn run<T>(
        &mut self,
        work: impl Future<Output = T>,
        until_ms: u64,
    ) -> Result<T, Interrupt> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            if self.poll_client(context).is_ready() {
                return Poll::Ready(Err(Interrupt::ClientLeft));
            }
            self.poll_timer(until_ms, context).map(|()| Err(Interrupt::Time))
        })
        .await
    }

    /// The same, whether the client stays or not. `None`: it took too long.
    pub(in crate::gateway) async fn run_unattended<T>(
        &mut self,
        work: impl Future<Output = T>,
        until_ms: u64,
    ) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Some(value));
            }
            self.poll_timer(until_ms, context).map(|()| None)
        })
        .await
    }

    /// Waits so many milliseconds.
    ///
    /// # Errors
    /// The client has left.
    pub(in crate::gateway) async fn sleep(&mut self, ms: u64) -> Result<(), Interrupt> {
        let until_ms = self.platform.now_ms() + ms;
        match self.run(std::future::pending::<()>(), until_ms).await {
            Err(Interrupt::ClientLeft) => Err(Interrupt::ClientLeft),
            _ => Ok(()),
        }
    }

    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.client {
                Client::Left => return Poll::Ready(()),
                Client::Watched(cancelled) => {
                    ready!(cancelled.as_mut().poll(context));
                    self.client = Client::Left;
                }
                Client::Unasked => self.client = Client::Watched(Box::pin(self.platform.cancelled())),
            }
        }
    }

    fn poll_timer(&mut self, until_ms: u64, context: &mut Context<'_>) -> Poll<()> {
        let platform = self.platform;
        loop {
            if self.timer.as_ref().is_some_and(|(at, _)| *at > until_ms) {
                self.timer = None;
            }
            let (_, timer) = self.timer.get_or_insert_with(|| {
                let ms = until_ms.saturating_sub(platform.now_ms());
                (until_ms, Box::pin(platform.sleep(ms)))
            });
            ready!(timer.as_mut().poll(context));
            self.timer = None;
            if platform.now_ms() >= until_ms {
                return Poll::Ready(());
            }
        }
    }
}

/// Waits for all of them, at the same time.
pub(in crate::gateway) async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        pending.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for both, at the same time; the first is polled first.
pub(in crate::gateway) async fn both<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(|context| {
        if a.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(context)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(context)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}
