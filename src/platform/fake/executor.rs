//! Runs the work behind requests on one thread, in virtual time.
//!
//! While some work is awake it is polled. When none is, the clock jumps to the next timer or to the next thing that a
//! client does. Where there is nothing of that kind left, the work waits for ever, and the executor says so by a panic.

use super::client::Client;
use super::world::World;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// More polls than that without any time passing: the work wakes itself again and again.
const POLLS: usize = 10_000_000;
/// Nothing that a gateway does takes longer, in virtual milliseconds.
const PATIENCE_MS: u64 = 60 * 60 * 1000;

/// In which order things happen that may happen in any.
pub(super) struct Turns(Option<RefCell<u64>>);

impl Turns {
    /// One request: there is nothing to interleave, and no operation waits longer than it has to.
    pub(super) fn alone() -> Self {
        Self(None)
    }

    /// Several at once: the same order for the same seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Some(RefCell::new(seed)))
    }

    /// From `0..bound`.
    fn below(&self, bound: usize) -> usize {
        let Some(state) = &self.0 else { return 0 };
        let mut state = state.borrow_mut();
        ((u128::from(split_mix(&mut state)) * bound as u128) >> 64) as usize
    }

    /// Lets the others do something in between, or not.
    pub(super) async fn others(&self) {
        let mut left = if self.0.is_some() { self.below(3) } else { 0 };
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// `SplitMix64`.
pub(super) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The work behind one request.
pub(super) struct Task<'a> {
    /// `None`: done, or dropped.
    work: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    client: &'a Client<'a>,
    begun: bool,
    awake: Arc<Awake>,
}

struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Task<'a> {
    pub(super) fn new(client: &'a Client<'a>, work: Pin<Box<dyn Future<Output = ()> + 'a>>) -> Self {
        Self { work: Some(work), client, begun: false, awake: Arc::new(Awake(AtomicBool::new(false))) }
    }

    fn is_ready(&self) -> bool {
        self.work.is_some() && self.begun && self.awake.0.load(Ordering::Relaxed)
    }

    fn poll(&mut self) {
        self.awake.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.awake));
        let polled = self.work.as_mut().map(|work| work.as_mut().poll(&mut Context::from_waker(&waker)));
        if polled == Some(Poll::Ready(())) || self.client.is_work_cancelled() {
            self.work = None;
        }
    }

    /// When something happens next that is not the work's own doing.
    fn next_ms(&self, start_ms: u64) -> Option<u64> {
        if self.begun {
            self.client.next_ms(self.work.is_none())
        } else {
            Some(start_ms + self.client.starts_after_ms)
        }
    }

    fn happen(&mut self, world: &World, start_ms: u64) {
        let now_ms = world.clock.now_ms();
        if !self.begun {
            if start_ms + self.client.starts_after_ms <= now_ms {
                self.begun = true;
                self.client.begin(now_ms);
                self.awake.0.store(true, Ordering::Relaxed);
            }
            return;
        }
        self.client.happen(world, now_ms, self.work.is_none());
        if self.client.is_work_cancelled() {
            self.work = None;
        }
    }
}

/// Runs all of it to its end, and the clients until they have what is on its way to them.
///
/// # Panics
/// If some of it waits for ever.
pub(super) fn run(world: &World, turns: &Turns, tasks: &mut [Task<'_>]) {
    let start_ms = world.clock.now_ms();
    for task in &mut *tasks {
        task.happen(world, start_ms);
    }
    let mut polls = 0;
    loop {
        let ready = tasks.iter().filter(|task| task.is_ready()).count();
        if ready > 0 {
            polls += 1;
            assert!(polls < POLLS, "the work wakes itself without end");
            let chosen = turns.below(ready);
            if let Some(task) = tasks.iter_mut().filter(|task| task.is_ready()).nth(chosen) {
                task.poll();
            }
            continue;
        }
        let is_pending = tasks.iter().any(|task| task.work.is_some());
        let happens = tasks.iter().filter_map(|task| task.next_ms(start_ms)).min();
        // Timers of those that are done are gone with them.
        let Some(next_ms) = happens.into_iter().chain(world.clock.next_ms()).min() else {
            let waiting: Vec<_> = (0..tasks.len()).filter(|&at| tasks[at].work.is_some()).collect();
            assert!(!is_pending, "it waits for ever: {waiting:?} of {} requests", tasks.len());
            return;
        };
        assert!(next_ms <= start_ms + PATIENCE_MS, "an hour has passed, and it goes on");
        polls = if next_ms > world.clock.now_ms() { 0 } else { polls };
        world.clock.pass_until(next_ms);
        for task in &mut *tasks {
            task.happen(world, start_ms);
        }
    }
}
