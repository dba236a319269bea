//! Threads that compute together, and wait for each other without the system's help while work keeps coming.
//!
//! A model's step is a hundred small jobs; to wake a thread for each would take longer than some of them.

use std::{
    any::Any,
    cell::UnsafeCell,
    fmt,
    hint::spin_loop,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a thread looks for the next job before it sleeps: longer than what lies between two steps of a model.
const PATIENCE: Duration = Duration::from_micros(200);
/// Looks between two readings of the clock.
const LOOKS: u32 = 64;

/// In [`Shared::state`], whether the job may be joined. Below it: how many workers have joined and not left. Above it: the
/// job's number.
const OPEN: u64 = 1 << 31;
const JOB: u64 = 1 << 32;
/// The state when the team is at an end.
const ENDED: u64 = u64::MAX;

type Job = *const (dyn Fn() + Sync);
type Panic = Box<dyn Any + Send>;

struct Shared {
    state: AtomicU64,
    /// Written only while the state is not open and nobody has joined; read only by who has joined.
    job: UnsafeCell<Option<Job>>,
    asleep: AtomicUsize,
    bed: Mutex<()>,
    wake: Condvar,
    panic: Mutex<Option<Panic>>,
}

// SAFETY: what `job` points to is `Sync`, and `state` orders its use as said above.
unsafe impl Send for Shared {}
// SAFETY: likewise.
unsafe impl Sync for Shared {}

/// A fixed number of threads, the caller's among them.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the one caller whose job it is.
    turn: Mutex<()>,
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics while a lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    /// A team of `threads`, of which all but the caller are started now.
    ///
    /// # Errors
    /// The system's, where a thread cannot be started.
    pub fn new(threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            asleep: AtomicUsize::new(0),
            bed: Mutex::new(()),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        });
        let mut team = Self { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 1..threads {
            let shared = Arc::clone(&team.shared);
            let builder = thread::Builder::new().name(format!("compute-{index}"));
            team.workers.push(builder.spawn(move || shared.work())?);
        }
        Ok(team)
    }

    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `f` on this thread and, at the same time, on those of the others that come in time; returns when all calls
    /// have. Where another job is under way, only this thread calls it.
    ///
    /// # Panics
    /// Where `f` does on any thread, after all calls have ended.
    pub fn run(&self, f: &(dyn Fn() + Sync)) {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            // A job has panicked, here and with all calls ended.
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return f(),
        };
        if self.workers.is_empty() {
            return f();
        }
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Nobody calls it after `close` has returned, which is before `f` ends.
        let job: Job = unsafe { std::mem::transmute::<*const (dyn Fn() + Sync + '_), Job>(f) };
        // SAFETY: the state is not open and nobody has joined: so `close` left it, or `new`.
        unsafe { *shared.job.get() = Some(job) };
        let number = shared.state.load(Ordering::Relaxed) / JOB + 1;
        // Numbers stay below that of `ENDED`.
        let number = number % (ENDED / JOB);
        shared.state.store(number * JOB + OPEN, Ordering::SeqCst);
        if shared.asleep.load(Ordering::SeqCst) > 0 {
            let _bed = lock(&shared.bed);
            shared.wake.notify_all();
        }
        let mine = catch_unwind(AssertUnwindSafe(f));
        shared.close();
        let theirs = lock(&shared.panic).take();
        if let Err(panic) = mine {
            resume_unwind(panic);
        }
        if let Some(panic) = theirs {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.state.store(ENDED, Ordering::SeqCst);
        {
            let _bed = lock(&self.shared.bed);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // Workers do not panic.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Lets nobody in any more and waits until all have left.
    fn close(&self) {
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0_u32;
        while !self.state.load(Ordering::Acquire).is_multiple_of(OPEN) {
            looks += 1;
            // Whoever has joined may have lost its processor to another process.
            if looks.is_multiple_of(LOOKS * LOOKS) {
                thread::yield_now();
            }
            spin_loop();
        }
    }

    fn work(&self) {
        let mut done = 0;
        loop {
            let state = self.await_job(done);
            if state == ENDED {
                return;
            }
            done = state / JOB;
            if self.join(done) {
                // SAFETY: joined, so the job is there and its owner waits.
                let job = unsafe { (*self.job.get()).map(|job| &*job) };
                if let Some(Err(panic)) = job.map(|job| catch_unwind(AssertUnwindSafe(job))) {
                    lock(&self.panic).get_or_insert(panic);
                }
                self.state.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Joins job `number` unless it has been closed.
    fn join(&self, number: u64) -> bool {
        let open = |state: u64| state / JOB == number && state & OPEN != 0;
        let joined = |state: u64| open(state).then_some(state + 1);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, joined).is_ok()
    }

    /// The state of an open job other than `done`, or [`ENDED`].
    fn await_job(&self, done: u64) -> u64 {
        let news = || {
            let state = self.state.load(Ordering::SeqCst);
            (state == ENDED || (state / JOB != done && state & OPEN != 0)).then_some(state)
        };
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if let Some(state) = news() {
                    return state;
                }
                spin_loop();
            }
            if start.elapsed() > PATIENCE {
                break;
            }
        }
        let mut bed = lock(&self.bed);
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let state = loop {
            if let Some(state) = news() {
                break state;
            }
            bed = self.wake.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        state
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::Team;

    #[test]
    fn every_task_runs_once_whoever_comes() {
        for threads in 1..5 {
            let team = Team::new(threads).unwrap();
            assert_eq!(team.threads(), threads);
            for round in 0..2000 {
                let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
                team.run(&|| {
                    while next.fetch_add(1, Ordering::Relaxed) < 20 {
                        sum.fetch_add(1, Ordering::Relaxed);
                    }
                });
                assert_eq!(sum.into_inner(), 20, "round {round} of {threads} threads");
                if round % 500 == 0 {
                    // Long enough for the others to fall asleep.
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }

    #[test]
    fn the_others_do_come() {
        let team = Team::new(3).unwrap();
        let here = AtomicUsize::new(0);
        team.run(&|| {
            here.fetch_add(1, Ordering::SeqCst);
            while here.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
        });
        assert_eq!(here.into_inner(), 3);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        let team = Team::new(3).unwrap();
        for _ in 0..50 {
            let next = AtomicUsize::new(0);
            let died = catch_unwind(AssertUnwindSafe(|| {
                team.run(&|| {
                    while let task @ ..40 = next.fetch_add(1, Ordering::Relaxed) {
                        assert!(task != 17);
                    }
                });
            }));
            assert!(died.is_err());
        }
        let here = AtomicUsize::new(0);
        team.run(&|| {
            here.fetch_add(1, Ordering::SeqCst);
            while here.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
        });
        assert_eq!(here.into_inner(), 3, "all of them still come");
    }

    #[test]
    fn a_job_inside_a_job_and_two_callers_at_once_are_served() {
        let team = Team::new(2).unwrap();
        let calls = AtomicUsize::new(0);
        team.run(&|| {
            team.run(&|| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert!(calls.load(Ordering::Relaxed) > 0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mine = AtomicUsize::new(0);
                        team.run(&|| {
                            mine.fetch_add(1, Ordering::Relaxed);
                        });
                        assert!(mine.into_inner() > 0);
                    }
                });
            }
        });
    }
}
