//! What JavaScript does and settles later, by a number.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What `entry.js` settles an operation with, besides a length.
pub(super) const END: i32 = -1;
pub(super) const TOO_LARGE: i32 = -3;
pub(super) const LEFT: i32 = -4;

/// What came of an operation.
#[derive(Debug)]
pub(super) struct Settled {
    /// A length or a status; below zero, what went wrong.
    pub(super) code: i32,
    pub(super) value: JsValue,
    pub(super) text: String,
}

enum State {
    Waiting(Option<Waker>),
    Settled(Settled),
}

thread_local! {
    static OPERATIONS: RefCell<BTreeMap<u32, State>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// Ready when JavaScript has settled it. What comes after it was dropped is ignored.
pub(super) struct Operation(u32);

impl Operation {
    /// Has `begin` start it under its number.
    pub(super) fn begin(begin: impl FnOnce(u32)) -> Self {
        let number = NEXT.get();
        NEXT.set(number.wrapping_add(1));
        OPERATIONS.with_borrow_mut(|all| all.insert(number, State::Waiting(None)));
        let operation = Self(number);
        begin(number);
        operation
    }
}

impl Future for Operation {
    type Output = Settled;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        OPERATIONS.with_borrow_mut(|all| match all.get_mut(&self.0) {
            Some(State::Waiting(waker)) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            Some(State::Settled(_)) => match all.remove(&self.0) {
                Some(State::Settled(settled)) => Poll::Ready(settled),
                _ => Poll::Pending,
            },
            None => Poll::Pending,
        })
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let left = OPERATIONS.with_borrow_mut(|all| all.remove(&self.0));
        drop(left);
    }
}

/// `exchange.js` calls this once for each operation but those that were [`answered`].
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn settle(operation: u32, code: i32, value: Option<js_sys::Object>) {
    let value = value.map_or(JsValue::UNDEFINED, JsValue::from);
    put(operation, Settled { code, value, text: String::new() });
}

/// A fetch was answered: the status, and the wanted headers' values, a line each. Or the ledger was: zero, and its answer.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn answered(operation: u32, status: i32, text: String) {
    put(operation, Settled { code: status, value: JsValue::UNDEFINED, text });
}

fn put(operation: u32, settled: Settled) {
    super::workers::event();
    let before = OPERATIONS.with_borrow_mut(|all| {
        all.get_mut(&operation).map(|state| std::mem::replace(state, State::Settled(settled)))
    });
    if let Some(State::Waiting(Some(waker))) = before {
        waker.wake();
    }
}
