//! The platform as a request sees it: each call leaves an operation and waits.

use super::op::{Input, Op, Way};
use crate::core::attempt::{AnswerHeaders, Outbound, SendError};
use crate::core::memory::Memory;
use crate::core::secret::Secret;
use crate::core::stream::{Opening, Scanner};
use crate::platform::{
    Answer, AnswerBody, BodyError, Delivery, Left, Page, Platform, Reply, ReplyBody, StoreError,
};
use moegate_wire::Ending;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;

thread_local! {
    /// All secrets that the configuration names, put here once per instance: a Worker's environment does not change
    /// while it lives.
    pub(super) static SECRETS: RefCell<HashMap<String, String>> = RefCell::default();
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// Where one request and the glue meet.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) op: RefCell<Op>,
    pub(super) input: RefCell<Option<Input>>,
    /// Of the stream that may begin.
    pub(super) opening: RefCell<Opening>,
    /// Whether the glue has the bytes of the whole answer that came last: an error event it has not.
    answered: Cell<bool>,
    /// Of the stream being pumped.
    pub(super) scanner: RefCell<Option<Scanner>>,
    /// Unix milliseconds at the last crossing; Workers' clock stands still between two events anyway.
    pub(super) now_ms: Cell<u64>,
}

pub(super) struct Workers {
    pub(super) slot: Rc<Slot>,
    pub(super) random: [u8; 10],
}

impl Workers {
    async fn perform(&self, op: Op) -> Input {
        self.slot.op.replace(op);
        std::future::poll_fn(|_| self.slot.input.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    async fn deliver(&self, op: Op) -> Delivery {
        let outcome = self.perform(op).await.outcome;
        let ending = match outcome {
            0 => Ending::Complete,
            1 => Ending::Cancelled,
            2 | 5 => Ending::Error,
            _ => Ending::Truncated,
        };
        Delivery { ending, scanner: self.slot.scanner.take(), open: outcome >= 4 }
    }
}

impl Platform for Workers {
    type Body = Vec<u8>;
    /// The glue holds it.
    type Stream = ();

    fn now_ms(&self) -> u64 {
        self.slot.now_ms.get()
    }

    fn random(&self) -> [u8; 10] {
        self.random
    }

    async fn secret(&self, name: &str) -> Option<Secret> {
        SECRETS.with_borrow(|secrets| secrets.get(name).and_then(|value| Secret::new(value)))
    }

    async fn read_body(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let input = self.perform(Op::read_body(limit)).await;
        match input.outcome {
            0 => Ok(input.bytes),
            1 => Err(BodyError::TooLarge),
            _ => Err(BodyError::Broken),
        }
    }

    async fn sleep(&self, ms: u64) -> Result<(), Left> {
        match self.perform(Op::sleep(ms)).await.outcome {
            0 => Ok(()),
            _ => Err(Left),
        }
    }

    fn memory<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        MEMORY.with_borrow_mut(f)
    }

    async fn send(&self, request: Outbound, limit: usize) -> Result<Answer<()>, SendError> {
        self.slot.opening.replace(Opening::default());
        let mut input = self.perform(Op::send(request, limit)).await;
        self.slot.answered.set(input.outcome == 0);
        let streams = match input.outcome {
            0 => false,
            1 => true,
            2 => return Err(SendError::Connect),
            3 => return Err(SendError::Timeout),
            4 => return Err(SendError::Broken),
            5 => return Err(SendError::TooLarge),
            7 => {
                input.bytes = self.slot.opening.take().error();
                input.text_length = 0;
                false
            }
            8 => return Err(SendError::BadStream),
            _ => return Err(SendError::Cancelled),
        };
        let text = input.split_text();
        let mut lines = text.split('\n').map(str::to_owned);
        let mut line = || lines.next().unwrap_or_default();
        let headers = AnswerHeaders {
            content_type: line(),
            retry_after: line(),
            retry_after_ms: line(),
            signature: line(),
        };
        let body = if streams { AnswerBody::Stream(()) } else { AnswerBody::Whole(input.bytes) };
        Ok(Answer { status: u16::try_from(input.a).unwrap_or(502), headers, body })
    }

    async fn respond(&self, reply: Reply, body: ReplyBody<()>) -> Delivery {
        let op = match body {
            ReplyBody::Bytes(bytes) => Op::respond(&reply, Way::Bytes, bytes),
            ReplyBody::Answered(bytes) if !self.slot.answered.get() => Op::respond(&reply, Way::Bytes, bytes),
            ReplyBody::Answered(_) => Op::respond(&reply, Way::Answered, Vec::new()),
            ReplyBody::Relay(()) => Op::respond(&reply, Way::Relay, Vec::new()),
            ReplyBody::Pump((), scanner) => {
                self.slot.scanner.replace(Some(scanner));
                Op::respond(&reply, Way::Pump, Vec::new())
            }
        };
        self.deliver(op).await
    }

    async fn go_on(&self, (): (), scanner: Scanner) -> Delivery {
        self.slot.scanner.replace(Some(scanner));
        self.deliver(Op::go_on()).await
    }

    async fn finish(&self, last: String) -> Result<(), Left> {
        match self.perform(Op::finish(last)).await.outcome {
            0 => Ok(()),
            _ => Err(Left),
        }
    }

    async fn remember(&self, key: &str, value: &str, seconds: u64) {
        self.perform(Op::remember(key, value, seconds)).await;
    }

    async fn recall(&self, key: &str) -> Option<String> {
        let mut input = self.perform(Op::recall(key)).await;
        (input.outcome == 0).then(|| input.split_text())
    }

    async fn put_record(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        match self.perform(Op::put(key, value, summary)).await.outcome {
            0 => Ok(()),
            _ => Err(StoreError),
        }
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        let input = self.perform(Op::list(prefix, cursor)).await;
        if input.outcome != 0 {
            return Err(StoreError);
        }
        serde_json::from_slice(&input.bytes).map_err(|_| StoreError)
    }
}
