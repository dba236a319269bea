//! A request from its first poll to its last.

use super::exchange::Exchange;
use super::sleep::Sleeps;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

/// How late a sleep may end, or how long after its client a request may be silent, in milliseconds. Past that
/// the runtime has let go of it (it waits 30 s after the client has left or is served) and will never poll it again.
const GONE_MS: u64 = 60_000;
/// How often such requests are looked for: each look goes through all that are in flight.
const LOOK_MS: u64 = 1_000;

thread_local! {
    static IN_FLIGHT: RefCell<BTreeMap<u32, Weak<Request>>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    /// Unix milliseconds of the last look.
    static LOOKED_MS: Cell<u64> = const { Cell::new(0) };
}

/// What belongs to one request.
pub(super) struct Request {
    pub(super) id: u32,
    pub(super) exchange: Exchange,
    pub(super) sleeps: Sleeps,
    /// Unix milliseconds when it was last seen at work.
    pub(super) seen_ms: Cell<u64>,
    /// Whether the client is served, or has left.
    pub(super) served: Cell<bool>,
    left: Cell<bool>,
    listens: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
    reply: RefCell<Reply>,
    /// Whether the runtime has let go of it.
    gone: Cell<bool>,
    work: RefCell<Option<Waker>>,
}

enum Reply {
    Awaited(Option<Waker>),
    Made(web_sys::Response),
    /// Taken, or there will be none.
    Over,
}

impl Request {
    pub(super) fn begin(exchange: Exchange, now_ms: u64) -> Rc<Self> {
        release_gone(now_ms);
        let id = NEXT.get();
        NEXT.set(id.wrapping_add(1));
        let request = Rc::new(Self {
            id,
            exchange,
            sleeps: Sleeps::default(),
            seen_ms: Cell::new(now_ms),
            served: Cell::new(false),
            left: Cell::new(false),
            listens: Cell::new(false),
            wakers: RefCell::default(),
            reply: RefCell::new(Reply::Awaited(None)),
            gone: Cell::new(false),
            work: RefCell::default(),
        });
        IN_FLIGHT.with_borrow_mut(|all| all.insert(id, Rc::downgrade(&request)));
        request
    }

    /// Runs `f` on the request of that number, if it is still at work.
    pub(super) fn with(id: u32, f: impl FnOnce(&Self)) {
        let request = IN_FLIGHT.with_borrow(|all| all.get(&id).and_then(Weak::upgrade));
        if let Some(request) = request {
            f(&request);
        }
    }

    pub(super) fn give(&self, response: web_sys::Response) {
        if let Reply::Awaited(Some(waker)) = self.reply.replace(Reply::Made(response)) {
            waker.wake();
        }
    }

    /// The reply; `None` if the work ended without one.
    pub(super) async fn reply(&self) -> Option<web_sys::Response> {
        poll_fn(|context| {
            let mut reply = self.reply.borrow_mut();
            match std::mem::replace(&mut *reply, Reply::Over) {
                Reply::Awaited(_) => {
                    *reply = Reply::Awaited(Some(context.waker().clone()));
                    Poll::Pending
                }
                Reply::Made(response) => Poll::Ready(Some(response)),
                Reply::Over => Poll::Ready(None),
            }
        })
        .await
    }

    /// From now on none will come. One that was made stays.
    fn end_reply(&self) {
        let mut reply = self.reply.borrow_mut();
        if let Reply::Awaited(waker) = &mut *reply {
            let waker = waker.take();
            *reply = Reply::Over;
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    pub(super) async fn left(&self) {
        poll_fn(|context| {
            if !self.listens.replace(true) && self.exchange.listen() {
                self.left.set(true);
            }
            if self.left.get() {
                return Poll::Ready(());
            }
            let mut wakers = self.wakers.borrow_mut();
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether the runtime must have let go of it.
    fn is_gone(&self, now_ms: u64) -> bool {
        let silent = self.served.get() && now_ms > self.seen_ms.get() + GONE_MS;
        silent || self.sleeps.are_late(now_ms, GONE_MS)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        IN_FLIGHT.with_borrow_mut(|all| all.remove(&self.id));
        self.exchange.end();
    }
}

/// Has the work of requests dropped that the runtime has let go of: what it holds of the instance's is free again.
fn release_gone(now_ms: u64) {
    if now_ms < LOOKED_MS.get() + LOOK_MS {
        return;
    }
    LOOKED_MS.set(now_ms);
    IN_FLIGHT.with_borrow(|all| {
        for request in all.values().filter_map(Weak::upgrade).filter(|request| request.is_gone(now_ms)) {
            request.gone.set(true);
            if let Some(waker) = request.work.take() {
                waker.wake();
            }
        }
    });
}

/// `entry.js` calls this when the client of a request has left.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn left(id: u32) {
    super::workers::event();
    Request::with(id, |request| {
        request.left.set(true);
        request.served.set(true);
        for waker in request.wakers.take() {
            waker.wake();
        }
    });
}

/// All that is done for a request. It ends when the gateway is through with it or the runtime has let go of it.
pub(super) struct Work<F> {
    request: Rc<Request>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Work<F> {
    pub(super) fn new(request: Rc<Request>, future: F) -> Self {
        Self { request, future: Some(Box::pin(future)) }
    }
}

impl<F: Future<Output = ()>> Future for Work<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        if !this.request.gone.get() && future.as_mut().poll(context).is_pending() {
            let mut work = this.request.work.borrow_mut();
            if !work.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                *work = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        this.future = None;
        this.request.end_reply();
        Poll::Ready(())
    }
}
