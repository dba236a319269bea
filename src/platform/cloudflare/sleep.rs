//! Sleeps. Those of a request share one timer of the runtime's, since most are dropped long before they end: it is set anew
//! only for a sleep that ends before it goes off, and cleared with the request.

use super::request::Request;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

/// The longest that the timer is set for, in milliseconds: no longer than the ledger is given for an answer, so that the sleep
/// beside that, which comes later, does not end before it.
const LONGEST_MS: u64 = 4_000;

/// The sleeps of one request.
#[derive(Default)]
pub(super) struct Sleeps {
    sleepers: RefCell<Vec<Sleeper>>,
    next: Cell<u32>,
    /// When the runtime's timer goes off, in Unix milliseconds.
    timer_ms: Cell<Option<u64>>,
}

struct Sleeper {
    number: u32,
    /// Unix milliseconds.
    until_ms: u64,
    waker: Option<Waker>,
    over: bool,
}

impl Sleeps {
    /// Whether one should have ended that long ago.
    pub(super) fn are_late(&self, now_ms: u64, late_ms: u64) -> bool {
        self.sleepers.borrow().iter().any(|one| now_ms > one.until_ms.saturating_add(late_ms))
    }

    fn begin(&self, until_ms: u64) -> u32 {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        self.sleepers.borrow_mut().push(Sleeper { number, until_ms, waker: None, over: false });
        number
    }

    /// The timer has gone off: ends what is due, and returns who waits for it.
    fn end_due(&self, now_ms: u64) -> Vec<Waker> {
        let mut sleepers = self.sleepers.borrow_mut();
        let due = sleepers.iter_mut().filter(|one| !one.over && one.until_ms <= now_ms);
        due.filter_map(|one| {
            one.over = true;
            one.waker.take()
        })
        .collect()
    }

    fn next_ms(&self) -> Option<u64> {
        self.sleepers.borrow().iter().filter(|one| !one.over).map(|one| one.until_ms).min()
    }

    /// How long the timer has to be set for so that it goes off by then; `None` if it does anyway.
    fn set(&self, until_ms: u64, now_ms: u64) -> Option<u64> {
        let ms = until_ms.saturating_sub(now_ms).min(LONGEST_MS);
        let at_ms = now_ms.saturating_add(ms);
        if self.timer_ms.get().is_some_and(|timer_ms| timer_ms <= at_ms) {
            return None;
        }
        self.timer_ms.set(Some(at_ms));
        Some(ms)
    }
}

/// Ready when it is over.
pub(super) struct Sleep {
    request: Rc<Request>,
    number: u32,
}

impl Sleep {
    pub(super) fn new(request: &Rc<Request>, ms: u64) -> Self {
        let now_ms = super::workers::now_ms();
        let until_ms = now_ms.saturating_add(ms);
        let number = request.sleeps.begin(until_ms);
        set_timer(request, until_ms, now_ms);
        Self { request: Rc::clone(request), number }
    }
}

fn set_timer(request: &Request, until_ms: u64, now_ms: u64) {
    if let Some(ms) = request.sleeps.set(until_ms, now_ms) {
        // Lossless: it is at most `LONGEST_MS`.
        request.exchange.set_timer(ms as i32);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleepers = self.request.sleeps.sleepers.borrow_mut();
        let Some(own) = sleepers.iter_mut().find(|one| one.number == self.number) else {
            return Poll::Ready(());
        };
        if own.over {
            return Poll::Ready(());
        }
        match &mut own.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => own.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.request.sleeps.sleepers.borrow_mut().retain(|one| one.number != self.number);
    }
}

/// `entry.js` calls this when the timer of a request has gone off.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn timer(id: u32) {
    super::workers::event();
    Request::with(id, |request| {
        let now_ms = super::workers::now_ms();
        request.sleeps.timer_ms.set(None);
        let due = request.sleeps.end_due(now_ms);
        if let Some(until_ms) = request.sleeps.next_ms() {
            set_timer(request, until_ms, now_ms);
        }
        due.into_iter().for_each(Waker::wake);
    });
}
