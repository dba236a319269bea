//! The requests in flight: a future each, polled when the glue brings what it waits for.
//!
//! There is no waker and no queue: a request waits for exactly one operation at a time.

use super::op::{Code, Input, Op};
use super::workers::{Slot, Workers};
use crate::core::config::Config;
use crate::gateway;
use crate::platform::Head;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

struct Task {
    slot: Rc<Slot>,
    /// `None` while it is being polled, and for good if that panicked.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

thread_local! {
    static TASKS: RefCell<Vec<Option<Task>>> = const { RefCell::new(Vec::new()) };
}

/// Starts a request and runs it to its first operation. The result names it from now on.
pub(super) fn begin(config: &'static Config, head: Head, random: [u8; 10], now_ms: u64) -> usize {
    let slot = Rc::new(Slot::default());
    let workers = Workers { slot: Rc::clone(&slot), random };
    let future = Box::pin(async move { gateway::handle(&workers, config, &head).await });
    let handle = TASKS.with_borrow_mut(|tasks| {
        let task = Some(Task { slot, future: Some(future) });
        match tasks.iter().position(Option::is_none) {
            Some(free) => {
                tasks[free] = task;
                free
            }
            None => {
                tasks.push(task);
                tasks.len() - 1
            }
        }
    });
    poll(handle, None, now_ms);
    handle
}

/// Hands a request what it waited for and runs it to its next operation.
pub(super) fn resume(handle: usize, input: Input, now_ms: u64) {
    poll(handle, Some(input), now_ms);
}

/// Runs `f` on the request's slot.
pub(super) fn with_slot<T>(handle: usize, f: impl FnOnce(&Slot) -> T) -> Option<T> {
    let slot = TASKS.with_borrow(|tasks| tasks.get(handle)?.as_ref().map(|task| Rc::clone(&task.slot)))?;
    Some(f(&slot))
}

/// Forgets a request whose glue has given up on it.
pub(super) fn abandon(handle: usize) {
    TASKS.with_borrow_mut(|tasks| {
        if let Some(task) = tasks.get_mut(handle) {
            *task = None;
        }
    });
}

fn poll(handle: usize, input: Option<Input>, now_ms: u64) {
    let taken = TASKS.with_borrow_mut(|tasks| {
        let task = tasks.get_mut(handle)?.as_mut()?;
        Some((Rc::clone(&task.slot), task.future.take()?))
    });
    let Some((slot, mut future)) = taken else { return };
    slot.now_ms.set(now_ms);
    slot.input.replace(input);
    slot.op.replace(Op { code: Code::Done, ..Op::default() });
    // The future is out of the table while it runs, so a panic in it leaves the others untouched.
    let ready = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    if !ready {
        TASKS.with_borrow_mut(|tasks| {
            if let Some(Some(task)) = tasks.get_mut(handle) {
                task.future = Some(future);
            }
        });
    }
}
