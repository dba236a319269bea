//! Which of the waiting requests join the batch, and what the KV cache holds.

use super::stats::{add, set};
use super::work::Work;
use super::worker::{Dead, Worker, failure_of};
use crate::engine::EngineError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Worker {
    /// KV that must be free beyond its own tokens before a sequence joins others: without it, one that has just given
    /// its KV away would come back at once and give it away again.
    const HEADROOM_TOKENS: usize = 32;
    /// How often the GPU's memory is asked for while there is work.
    const GPU_EVERY: Duration = Duration::from_secs(1);

    /// Starts waiting requests in their order while there is room; alone, one may always try.
    ///
    /// # Errors
    /// As [`Self::rebuild`].
    pub(super) fn admit(&mut self) -> Result<(), Dead> {
        while self.running.len() < self.max_batch {
            let (Some(next), Some(engine)) = (self.waiting.front(), &mut self.engine) else { return Ok(()) };
            let promised: usize = self.running.iter().map(Work::remaining).sum();
            let headroom = (self.running.len() + 1) * Self::HEADROOM_TOKENS;
            let sequence = match engine.begin(&next.job.cache_salt, &next.tokens) {
                Ok(sequence) => sequence,
                Err(EngineError::OutOfBlocks { .. }) if !self.running.is_empty() => return Ok(()),
                Err(EngineError::Broken(why)) => return self.rebuild(&why, &[]),
                Err(error) => {
                    if let Some(work) = self.waiting.pop_front() {
                        work.fail(failure_of(&error));
                    }
                    continue;
                }
            };
            // What it shares with those that run takes no room.
            let known = engine.len(sequence).unwrap_or(0);
            let wanted = next.tokens.len() - known + promised + headroom;
            if !self.running.is_empty() && wanted > engine.free_tokens() {
                engine.release(sequence);
                return Ok(());
            }
            let Some(mut work) = self.waiting.pop_front() else { return Ok(()) };
            work.sequence = Some(sequence);
            work.computed = known;
            work.place = None;
            let stats = &self.shared.stats;
            add(&stats.begun, 1);
            add(&stats.cache_hits, usize::from(known > 0));
            add(&stats.cached_tokens, known);
            if work.admitted.is_none() {
                work.cached = known;
                let now = Instant::now();
                work.admitted = Some(now);
                work.job.track.change(|progress| progress.queue = now - work.since);
            }
            self.running.push(work);
        }
        Ok(())
    }

    /// What there is of the KV and of the GPU's memory, for `/metrics`.
    pub(super) fn tell_kv(&mut self) {
        let stats = &self.shared.stats;
        let (free, known) = self.engine.as_ref().map(|e| (e.free_tokens(), e.known())).unwrap_or_default();
        set(&stats.kv_free_tokens, free);
        set(&stats.known_blocks, known.blocks);
        set(&stats.known_tokens, known.tokens);
        // An engine that is made anew begins at zero.
        let more = known.evictions.saturating_sub(std::mem::replace(&mut self.evictions, known.evictions));
        stats.evictions.fetch_add(more, Ordering::Relaxed);
        self.tell_gpu();
    }

    /// Only this thread asks the engine's driver, and only so often.
    fn tell_gpu(&mut self) {
        let (Some(engine), stats) = (&self.engine, &self.shared.stats) else {
            self.gpu_told = None;
            set(&self.shared.stats.gpu_total, 0);
            return;
        };
        if self.gpu_told.is_some_and(|told| told.elapsed() < Self::GPU_EVERY) {
            return;
        }
        self.gpu_told = Some(Instant::now());
        let memory = engine.device_memory();
        set(&stats.gpu_free, memory.map_or(0, |memory| memory.free));
        set(&stats.gpu_total, memory.map_or(0, |memory| memory.total));
    }
}
