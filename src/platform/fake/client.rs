//! The client's side of a connection: what it sends, how it takes the reply, and when it leaves.

use super::clock::NEVER;
use super::world::World;
use crate::platform::{Left, Payload};
use http::Response;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Deref;
use std::task::{Poll, Waker};

/// Asked after each chunk, with all that has come so far: whether the client stays.
type Stays<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// A client that sends one request and takes the reply.
pub struct Client<'a> {
    pub(super) body: Vec<u8>,
    pub(super) breaks_off: bool,
    /// Its request's body takes so long.
    pub(super) sends_for_ms: u64,
    pub(super) starts_after_ms: u64,
    leaves_after_ms: Option<u64>,
    stays: Box<Stays<'a>>,
    pace: Option<Pace>,
    takes_at_most: usize,
    cancelled_at_step: Option<usize>,
    cancelled_after_ms: Option<u64>,
    /// Which instance of the gateway serves it.
    pub(super) instance: usize,
    state: RefCell<State>,
    got: RefCell<Got>,
    /// Those who wait for something to change here.
    watching: RefCell<Vec<Waker>>,
    pub(super) body_is_read: Cell<bool>,
}

/// So many bytes every so many milliseconds.
#[derive(Clone, Copy)]
struct Pace {
    bytes: usize,
    every_ms: u64,
}

#[derive(Default)]
struct State {
    begun_ms: u64,
    has_left: bool,
    /// On its way to the client.
    queue: Vec<u8>,
    /// The reply's body is over once the queue is empty.
    closed: bool,
    next_take_ms: Option<u64>,
    leaves_at_ms: Option<u64>,
    cancelled_at_ms: Option<u64>,
    work_is_cancelled: bool,
}

/// What a client got.
#[derive(Debug, Clone, Default)]
pub struct Got {
    /// `None`: not even a head.
    pub reply: Option<Response<()>>,
    pub body: Vec<u8>,
    /// The body ended in an orderly way and the client has all of it.
    pub is_whole: bool,
    /// The gateway broke the connection off.
    pub is_broken_off: bool,
    /// The client left before it had all.
    pub has_left: bool,
    /// When the head was there, in milliseconds since the request.
    pub head_ms: Option<u64>,
    /// When the reply was over or the client left, in milliseconds since the request.
    pub end_ms: Option<u64>,
    /// Operations of the platform that the request's work began, for [`Client::cancelled_at_step`].
    pub steps: usize,
}

impl<'a> Client<'a> {
    /// One that sends `body`, stays to the end and takes whatever comes at once.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            breaks_off: false,
            sends_for_ms: 0,
            starts_after_ms: 0,
            leaves_after_ms: None,
            stays: Box::new(|_| true),
            pace: None,
            takes_at_most: usize::MAX,
            cancelled_at_step: None,
            cancelled_after_ms: None,
            instance: 0,
            state: RefCell::default(),
            got: RefCell::default(),
            watching: RefCell::default(),
            body_is_read: Cell::new(false),
        }
    }

    /// What it sends.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Breaks off within its request's body.
    #[must_use]
    pub fn breaking_off(self) -> Self {
        Self { breaks_off: true, ..self }
    }

    /// Needs so many milliseconds to send its request's body.
    #[must_use]
    pub fn sending_for(self, ms: u64) -> Self {
        Self { sends_for_ms: ms, ..self }
    }

    /// Sends its request so many milliseconds after the beginning; for [`super::serve_all`].
    #[must_use]
    pub fn starting_after(self, ms: u64) -> Self {
        Self { starts_after_ms: ms, ..self }
    }

    /// Leaves as soon as an origin has the request.
    #[must_use]
    pub fn leaving_before_answer(self) -> Self {
        self.leaving_after(0)
    }

    /// Leaves so many milliseconds after an origin has the request, whatever has come by then.
    #[must_use]
    pub fn leaving_after(self, ms: u64) -> Self {
        Self { leaves_after_ms: Some(ms), ..self }
    }

    /// Leaves when `stays` says so, which sees the body that has come so far.
    #[must_use]
    pub fn staying_while(self, stays: impl Fn(&[u8]) -> bool + 'a) -> Self {
        Self { stays: Box::new(stays), ..self }
    }

    /// Takes so many bytes every so many milliseconds.
    #[must_use]
    pub fn taking(self, bytes: usize, every_ms: u64) -> Self {
        Self { pace: Some(Pace { bytes: bytes.max(1), every_ms: every_ms.max(1) }), ..self }
    }

    /// Takes so many bytes of the body and no more, and stays.
    #[must_use]
    pub fn taking_nothing_after(self, bytes: usize) -> Self {
        Self { takes_at_most: bytes, ..self }
    }

    /// The runtime drops the work behind this request when it begins its operation of that number, from 0.
    #[must_use]
    pub fn cancelled_at_step(self, step: usize) -> Self {
        Self { cancelled_at_step: Some(step), ..self }
    }

    /// The runtime drops the work behind this request when it is so old.
    #[must_use]
    pub fn cancelled_after(self, ms: u64) -> Self {
        Self { cancelled_after_ms: Some(ms), ..self }
    }

    /// Served by the instance of that number; the first is 0.
    #[must_use]
    pub fn in_instance(self, number: usize) -> Self {
        Self { instance: number, ..self }
    }

    pub(super) fn into_got(self) -> Got {
        let state = self.state.into_inner();
        Got { has_left: state.has_left, ..self.got.into_inner() }
    }

    pub(super) fn begin(&self, now_ms: u64) {
        let mut state = self.state.borrow_mut();
        state.begun_ms = now_ms;
        state.cancelled_at_ms = self.cancelled_after_ms.map(|ms| now_ms + ms);
    }

    /// Counts an operation. False where the runtime drops the work instead.
    pub(super) fn step(&self) -> bool {
        let mut got = self.got.borrow_mut();
        let goes_on = self.cancelled_at_step.is_none_or(|step| got.steps < step);
        self.state.borrow_mut().work_is_cancelled |= !goes_on;
        got.steps += 1;
        goes_on
    }

    pub(super) fn is_work_cancelled(&self) -> bool {
        self.state.borrow().work_is_cancelled
    }

    /// When the client, or the runtime with its request, does something next.
    pub(super) fn next_ms(&self, work_is_over: bool) -> Option<u64> {
        let state = self.state.borrow();
        let takes = state.next_take_ms;
        // Nobody waits for those who have nothing more to come.
        let other = if work_is_over && takes.is_none() {
            [None, None]
        } else {
            [state.leaves_at_ms, state.cancelled_at_ms.filter(|_| !work_is_over)]
        };
        other.into_iter().flatten().chain(takes).min()
    }

    /// Does what is due.
    pub(super) fn happen(&self, world: &World, now_ms: u64, work_is_over: bool) {
        let is_due = |at: Option<u64>| at.is_some_and(|at| at <= now_ms);
        let (leaves, takes) = {
            let mut state = self.state.borrow_mut();
            state.work_is_cancelled |= !work_is_over && is_due(state.cancelled_at_ms);
            (is_due(state.leaves_at_ms), is_due(state.next_take_ms))
        };
        if takes {
            self.state.borrow_mut().next_take_ms = None;
            self.take(world, self.pace.map_or(usize::MAX, |pace| pace.bytes));
        }
        if leaves {
            self.leave(world);
        }
    }

    /// An origin has its request.
    pub(super) fn arrived(&self, world: &World) {
        let Some(after_ms) = self.leaves_after_ms else { return };
        if after_ms == 0 {
            self.leave(world);
        } else {
            let at_ms = world.clock.now_ms().saturating_add(after_ms);
            self.state.borrow_mut().leaves_at_ms.get_or_insert(at_ms);
        }
    }

    pub(super) fn has_left(&self) -> bool {
        self.state.borrow().has_left
    }

    fn leave(&self, world: &World) {
        let mut state = self.state.borrow_mut();
        state.leaves_at_ms = None;
        if state.has_left || self.got.borrow().is_whole {
            return;
        }
        state.has_left = true;
        state.queue.clear();
        state.next_take_ms = None;
        self.got.borrow_mut().end_ms = Some(self.age_ms_since(world, state.begun_ms));
        drop(state);
        world.client_left();
        self.changed();
    }

    /// The reply's head is there.
    ///
    /// # Panics
    /// If there has been one.
    pub(super) fn head(&self, world: &World, head: Response<()>) {
        if self.has_left() {
            return;
        }
        let mut got = self.got.borrow_mut();
        assert!(got.reply.is_none(), "a second reply");
        got.head_ms = Some(self.age_ms(world));
        got.reply = Some(head);
    }

    /// Sends a chunk on its way. An error: the client had left before.
    pub(super) fn send<B: Deref<Target = [u8]>>(
        &self,
        world: &World,
        chunk: &Payload<B>,
    ) -> Result<(), Left> {
        let mut state = self.state.borrow_mut();
        if state.has_left {
            return Err(Left);
        }
        let before = state.queue.len();
        chunk.pieces(|piece| state.queue.extend_from_slice(piece));
        let has_more = state.queue.len() > before;
        drop(state);
        if has_more {
            match self.pace {
                None => self.take(world, usize::MAX),
                Some(_) => self.take_later(world),
            }
        }
        Ok(())
    }

    fn take_later(&self, world: &World) {
        let mut state = self.state.borrow_mut();
        let wants = self.got.borrow().body.len() < self.takes_at_most;
        if let Some(pace) = self.pace.filter(|_| wants && !state.queue.is_empty()) {
            state.next_take_ms.get_or_insert(world.clock.now_ms() + pace.every_ms);
        }
    }

    /// Takes what has come, at most so many bytes.
    fn take(&self, world: &World, bytes: usize) {
        {
            let (mut state, mut got) = (self.state.borrow_mut(), self.got.borrow_mut());
            let room = self.takes_at_most.saturating_sub(got.body.len());
            let count = bytes.min(room).min(state.queue.len());
            got.body.extend(state.queue.drain(..count));
        }
        if !(self.stays)(&self.got.borrow().body) {
            self.leave(world);
            return;
        }
        self.take_later(world);
        self.ended(world);
        self.changed();
    }

    /// Nothing more is sent; the reply is whole when the client has what is on its way.
    pub(super) fn close(&self, world: &World) {
        self.state.borrow_mut().closed = true;
        self.ended(world);
    }

    fn ended(&self, world: &World) {
        let state = self.state.borrow();
        if state.closed && state.queue.is_empty() && !state.has_left {
            let mut got = self.got.borrow_mut();
            got.is_whole = true;
            got.end_ms = Some(self.age_ms(world));
        }
    }

    /// The gateway breaks the connection off; what is on its way is lost.
    pub(super) fn break_off(&self, world: &World) {
        let mut state = self.state.borrow_mut();
        state.queue.clear();
        state.next_take_ms = None;
        if !state.has_left {
            let mut got = self.got.borrow_mut();
            got.is_broken_off = true;
            got.end_ms = Some(self.age_ms_since(world, state.begun_ms));
        }
    }

    /// Waits until the client has taken all that was sent to it.
    pub(super) async fn taken(&self) -> Result<(), Left> {
        self.until(|client| {
            let state = client.state.borrow();
            if state.has_left { Some(Err(Left)) } else { state.queue.is_empty().then_some(Ok(())) }
        })
        .await
    }

    /// Waits until the client has so many bytes of the body. One that has left will not have more, and is not waited for.
    pub(super) async fn has(&self, bytes: usize) {
        self.until(|client| (client.has_left() || client.got.borrow().body.len() >= bytes).then_some(()))
            .await;
    }

    pub(super) async fn left(&self) {
        self.until(|client| client.has_left().then_some(())).await;
    }

    async fn until<T>(&self, found: impl Fn(&Self) -> Option<T>) -> T {
        poll_fn(|context| match found(self) {
            Some(found) => Poll::Ready(found),
            None => {
                let mut watching = self.watching.borrow_mut();
                if !watching.iter().any(|waker| waker.will_wake(context.waker())) {
                    watching.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }

    fn changed(&self) {
        let watching = self.watching.take();
        watching.into_iter().for_each(Waker::wake);
    }

    fn age_ms(&self, world: &World) -> u64 {
        self.age_ms_since(world, self.state.borrow().begun_ms)
    }

    fn age_ms_since(&self, world: &World, begun_ms: u64) -> u64 {
        world.clock.now_ms().saturating_sub(begun_ms)
    }

    /// When its request's body is there.
    pub(super) fn sent_at_ms(&self) -> u64 {
        if self.sends_for_ms == NEVER { NEVER } else { self.state.borrow().begun_ms + self.sends_for_ms }
    }
}
