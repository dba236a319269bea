//! The threads that compute.

use std::sync::{Mutex, PoisonError};

use moe_kernels::Team;

use crate::model::decoder::ModelError;

/// `threads`, or, for 0, as many as affinity and cgroup quota allow.
pub(super) fn threads_of(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// A fixed number of threads, that of the caller among them.
#[derive(Debug)]
pub(super) struct Pool {
    team: Team,
}

/// Tokens that one thread takes at a time where the work per token is small.
pub(super) const TOKENS: usize = 16;

impl Pool {
    /// [`threads_of`] them.
    pub(super) fn new(threads: usize) -> Result<Self, ModelError> {
        let threads = threads_of(threads);
        let team = Team::new(threads).map_err(|error| {
            ModelError::Resources(format!("{threads} compute threads cannot start: {error}"))
        })?;
        Ok(Self { team })
    }

    pub(super) fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Calls `f` for each row of `x`, `stride` long, with the row's index, on all threads.
    pub(super) fn for_each_row(&self, x: &mut [f32], stride: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
        let parts: Vec<_> = x.chunks_mut(TOKENS * stride).enumerate().collect();
        self.for_each(
            parts,
            || (),
            |(part, rows), ()| {
                for (t, row) in rows.chunks_exact_mut(stride).enumerate() {
                    f(part * TOKENS + t, row);
                }
            },
        );
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
        self.team.run(&|| {
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
            pool.for_each(done.iter_mut().collect(), || (), |n: &mut i32, ()| *n += 1);
            assert_eq!(done, vec![1; 100]);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for threads in 1..4 {
            let pool = Pool::new(threads).unwrap();
            let died = catch_unwind(AssertUnwindSafe(|| {
                pool.for_each((0..50).collect(), || (), |n, ()| assert!(n != 17));
            }));
            assert!(died.is_err());
            let sum = AtomicUsize::new(0);
            pool.for_each(
                (0..10).collect(),
                || (),
                |n: usize, ()| {
                    sum.fetch_add(n, Ordering::Relaxed);
                },
            );
            assert_eq!(sum.into_inner(), 45);
        }
    }
}
