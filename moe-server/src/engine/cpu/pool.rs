//! The threads that compute.

use std::sync::{Mutex, PoisonError};

use crate::model::decoder::ModelError;

/// `threads`, or, for 0, as many as affinity and cgroup quota allow.
pub(super) fn threads_of(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// A fixed number of threads.
#[derive(Debug)]
pub(super) struct Pool {
    threads: rayon_core::ThreadPool,
}

impl Pool {
    /// [`threads_of`] them.
    pub(super) fn new(threads: usize) -> Result<Self, ModelError> {
        let threads = threads_of(threads);
        let threads = rayon_core::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| {
                ModelError::Resources(format!("{threads} compute threads cannot start: {error}"))
            })?;
        Ok(Self { threads })
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Runs `f` on one of the threads, so that [`Self::for_each`] inside it need not wake another one first.
    pub(super) fn enter<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.threads.install(f)
    }

    /// Calls `f` once for each task, in no order, on all threads; `scratch` makes each thread's own working memory.
    ///
    /// # Panics
    /// Where `f` does, after all threads have ended.
    pub(super) fn for_each<T: Send, S>(
        &self,
        tasks: Vec<T>,
        scratch: impl Fn() -> S + Sync,
        f: impl Fn(T, &mut S) + Sync,
    ) {
        if self.threads() == 1 || tasks.len() < 2 {
            let mut scratch = scratch();
            for task in tasks {
                f(task, &mut scratch);
            }
            return;
        }
        let queue = Mutex::new(tasks.into_iter());
        self.threads.broadcast(|_| {
            let mut scratch = scratch();
            loop {
                // Nothing panics while the lock is held.
                let task = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(task) = task else { break };
                f(task, &mut scratch);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::Pool;

    #[test]
    fn every_task_runs_once() {
        for threads in 1..4 {
            let pool = Pool::new(threads).unwrap();
            let mut done = vec![0; 100];
            pool.enter(|| pool.for_each(done.iter_mut().collect(), || (), |n: &mut i32, ()| *n += 1));
            assert_eq!(done, vec![1; 100]);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for threads in 1..4 {
            let pool = Pool::new(threads).unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| {
                pool.enter(|| pool.for_each((0..50).collect(), || (), |n, ()| assert!(n != 17)));
            }));
            assert!(died.is_err());
            let sum = AtomicUsize::new(0);
            pool.enter(|| {
                pool.for_each(
                    (0..10).collect(),
                    || (),
                    |n: usize, ()| {
                        sum.fetch_add(n, Ordering::Relaxed);
                    },
                );
            });
            assert_eq!(sum.into_inner(), 45);
        }
    }
}
