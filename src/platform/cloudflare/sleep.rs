//! Sleeps: one timer of the runtime's each, cleared when the sleep is dropped.

use super::operation::Operation;
use super::request::Request;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The longest that `setTimeout` takes, in milliseconds.
const LONGEST_MS: u64 = i32::MAX as u64;

pub(super) struct Sleep {
    request: Rc<Request>,
    operation: Operation,
    /// What `clearTimeout` takes; `None` once it has gone off.
    timer: Option<f64>,
    until_ms: u64,
}

impl Sleep {
    pub(super) fn new(request: &Rc<Request>, ms: u64) -> Self {
        let until_ms = super::workers::now_ms().saturating_add(ms);
        // Lossless: it is not above `i32::MAX`.
        let ms = ms.min(LONGEST_MS) as i32;
        let mut timer = None;
        let operation = Operation::begin(|number| timer = Some(request.exchange.sleep(number, ms)));
        request.sleeps.borrow_mut().push(until_ms);
        Self { request: Rc::clone(request), operation, timer, until_ms }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_some() {
            ready!(Pin::new(&mut self.operation).poll(context));
            self.timer = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.request.exchange.wake(timer);
        }
        let mut sleeps = self.request.sleeps.borrow_mut();
        if let Some(at) = sleeps.iter().position(|until_ms| *until_ms == self.until_ms) {
            sleeps.swap_remove(at);
        }
    }
}
