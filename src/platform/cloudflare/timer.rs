//! The sleeps of a request, over one timer of the runtime's.
//!
//! A stream sets a limit for each chunk and drops it when the chunk comes. So a sleep that is dropped leaves the timer
//! alone, and one that ends later than the timer needs none: setting and clearing one costs more than a chunk's reading.

use super::request::Request;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

/// The longest that `setTimeout` takes, in milliseconds.
const LONGEST_MS: u64 = i32::MAX as u64;

#[derive(Default)]
pub(super) struct Timers {
    sleeps: RefCell<Vec<Entry>>,
    next: Cell<u64>,
    /// When the runtime's timer comes, in Unix milliseconds.
    armed_ms: Cell<Option<u64>>,
}

struct Entry {
    number: u64,
    until_ms: u64,
    waker: Waker,
}

impl Timers {
    pub(super) fn armed_ms(&self) -> Option<u64> {
        self.armed_ms.get()
    }
}

/// Ready at `until_ms`.
pub(super) struct Sleep {
    request: Rc<Request>,
    until_ms: u64,
    number: Option<u64>,
}

impl Sleep {
    pub(super) fn new(request: Rc<Request>, until_ms: u64) -> Self {
        Self { request, until_ms, number: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let request = Rc::clone(&self.request);
        let timers = &request.timers;
        if let Some(number) = self.number {
            let mut sleeps = timers.sleeps.borrow_mut();
            return match sleeps.iter_mut().find(|entry| entry.number == number) {
                Some(entry) => {
                    entry.waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            };
        }
        let number = timers.next.get();
        timers.next.set(number + 1);
        let (until_ms, waker) = (self.until_ms, context.waker().clone());
        timers.sleeps.borrow_mut().push(Entry { number, until_ms, waker });
        self.number = Some(number);
        if timers.armed_ms.get().is_none_or(|armed| until_ms < armed) {
            arm(&request, until_ms);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.request.timers.sleeps.borrow_mut().retain(|entry| entry.number != number);
        }
    }
}

fn arm(request: &Request, until_ms: u64) {
    let now_ms = super::workers::now_ms();
    let ms = until_ms.saturating_sub(now_ms).clamp(1, LONGEST_MS);
    request.timers.armed_ms.set(Some(now_ms + ms));
    request.exchange.wake(i32::try_from(ms).unwrap_or(i32::MAX));
}

/// `entry.js` calls this when a request's timer comes.
#[wasm_bindgen]
pub fn tick(id: u32) {
    Request::with(id, |request| {
        let timers = &request.timers;
        timers.armed_ms.set(None);
        let now_ms = super::workers::now_ms();
        // The runtime's clock stands still between two events and may be a hair behind its timers.
        let (due, later): (Vec<_>, Vec<_>) =
            timers.sleeps.take().into_iter().partition(|entry| entry.until_ms <= now_ms + 1);
        let next = later.iter().map(|entry| entry.until_ms).min();
        timers.sleeps.replace(later);
        if let Some(until_ms) = next {
            arm(request, until_ms);
        }
        for entry in due {
            entry.waker.wake();
        }
    });
}
