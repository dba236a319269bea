//! The thread that owns the engine.

use super::meter::divide;
use super::plan::{Budget, Pace, Share, plan};
use super::rows::Rows;
use super::stats::{add, set};
use super::track::Finish;
use super::warm::Coming;
use super::work::Work;
use super::{Config, Failure, Message, Shared};
use crate::engine::{Engine, EngineError, Factory, SequenceId, Span, Wanted};
use crate::sleep::Turn;
use crate::snapshot;
use moegate_wire::Ending;
use std::collections::VecDeque;
use std::fmt::Display;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

/// No engine can be had any more, and why (for operators, without detail of any request).
pub(super) struct Dead(pub(super) &'static str);

/// For operators. Whoever read stderr may have gone: that must not end the engine, as a panic of `eprintln!` would.
pub(crate) fn log(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "moe-server: {message}");
}

/// Tells the handles that the thread has gone, for whatever reason.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        *self.0.ended() = true;
        self.0.dead.get_or_init(|| "the compute thread has ended");
        self.0.gone.send_replace(true);
    }
}

pub(super) struct Worker {
    /// None while asleep; nothing runs then.
    pub(super) engine: Option<Box<dyn Engine>>,
    pub(super) factory: Box<dyn Factory>,
    pub(super) receiver: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    /// In order of arrival; those that gave their KV away come first.
    pub(super) waiting: VecDeque<Work>,
    /// In order of admission.
    pub(super) running: Vec<Work>,
    pub(super) max_batch: usize,
    /// Prompt tokens in one step, while others decode and while none does.
    beside: Pace,
    alone: Pace,
    pub(super) rows: Rows,
    pub(super) warm_state: Option<snapshot::Options>,
    /// What is on its way from there.
    pub(super) coming: Option<Coming>,
    /// Of the present engine's, how many are told.
    pub(super) evictions: u64,
    /// Engines that broke since a generation was completed.
    pub(super) breaks: u32,
    /// Whether the next load is to replace an engine that broke.
    pub(super) rebuilding: bool,
    /// When its GPU's memory was.
    pub(super) gpu_told: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        engine: Box<dyn Engine>,
        factory: Box<dyn Factory>,
        config: &Config,
        receiver: Receiver<Message>,
        shared: Arc<Shared>,
    ) -> Self {
        let most = engine.capabilities().max_batch_tokens.max(1);
        Self {
            engine: Some(engine),
            factory,
            receiver,
            shared,
            waiting: VecDeque::new(),
            running: Vec::new(),
            // Each decode takes one token of a step: all must fit.
            max_batch: config.max_batch.clamp(1, most),
            beside: Pace::new(config.step_target, most),
            alone: Pace::new(config.prompt_step_target, most),
            rows: Rows::default(),
            warm_state: config.warm_state.clone(),
            coming: None,
            evictions: 0,
            breaks: 0,
            rebuilding: false,
            gpu_told: None,
        }
    }

    /// Works until the last handle is gone, the scheduler is shut down, or the engine dies.
    pub(super) fn run(mut self) {
        let _gone = Gone(self.shared.clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let dead = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(Dead(why))) => Some(why),
            Err(_) => Some("the compute thread panicked"),
        };
        let failure = if let Some(why) = dead {
            let _ = self.shared.dead.set(why);
            log(format_args!("{why}; no request can be served by this process any more"));
            Failure::EngineDead
        } else {
            Failure::ShuttingDown
        };
        self.shared.meter.end();
        // Whatever was sent is in the channel then, and nothing comes after it.
        *self.shared.ended() = true;
        let queued = self.receiver.try_iter().filter_map(|message| match message {
            Message::Job(queued) => Some(Work::new(*queued)),
            Message::Look => None,
        });
        for work in self.running.drain(..).chain(self.waiting.drain(..)).chain(queued) {
            work.fail(failure);
        }
        set(&self.shared.stats.running, 0);
        if dead.is_some() {
            // Its destructor cannot be trusted either; the memory is the process's until the restart.
            std::mem::forget(self.engine);
        } else {
            self.keep_warm_state();
            // Before anybody is told that the thread has gone, and ends the process.
            self.engine = None;
        }
    }

    fn serve(&mut self) -> Result<(), Dead> {
        let first = self.engine.take();
        self.load(first)?;
        while self.take_messages() {
            self.drop_cancelled();
            self.take_warm_state();
            match self.shared.switch.turn(self.is_idle()) {
                Turn::Run => self.run_once()?,
                Turn::Load => self.load(None)?,
                Turn::Unload => self.unload(),
                Turn::Rest => self.turn_away(),
            }
        }
        Ok(())
    }

    fn run_once(&mut self) -> Result<(), Dead> {
        self.admit()?;
        set(&self.shared.stats.running, self.running.len());
        if !self.running.is_empty() {
            self.step()?;
        }
        set(&self.shared.stats.running, self.running.len());
        self.tell_kv();
        Ok(())
    }

    /// Empties the channel, and sleeps on it while there is nothing to do. False at the end.
    fn take_messages(&mut self) -> bool {
        loop {
            let idle = self.is_idle();
            let message = if idle { self.wait() } else { self.receiver.try_recv() };
            if matches!(message, Ok(Message::Look)) {
                self.shared.told.store(false, Ordering::Release);
            }
            if self.shared.closing.load(Ordering::Acquire) {
                if let Ok(Message::Job(queued)) = message {
                    self.waiting.push_back(Work::new(*queued));
                }
                return false;
            }
            match message {
                Ok(Message::Job(queued)) => self.waiting.push_back(Work::new(*queued)),
                Ok(Message::Look) if !idle => {}
                Ok(Message::Look) | Err(TryRecvError::Empty) => return true,
                // Nobody can hear an answer any more.
                Err(TryRecvError::Disconnected) => return !idle,
            }
        }
    }

    fn drop_cancelled(&mut self) {
        let mut engine = self.engine.as_mut();
        let mut keep = |work: &mut Work| {
            // Asked once: a client may leave at any moment, and must not be forgotten without an ending.
            let cancelled = work.cancelled();
            if cancelled {
                if let (Some(sequence), Some(engine)) = (work.sequence.take(), &mut engine) {
                    engine.release(sequence);
                }
                work.job.track.end_generation(Ending::Cancelled);
            }
            !cancelled
        };
        self.running.retain_mut(&mut keep);
        self.waiting.retain_mut(&mut keep);
    }

    fn step(&mut self) -> Result<(), Dead> {
        let remaining = self.remaining();
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let budget = Budget {
            step: engine.capabilities().max_batch_tokens,
            beside_decodes: self.beside.chunk(),
            alone: self.alone.chunk(),
        };
        let shares = plan(&remaining, &budget);
        let spans: Vec<Span<'_>> = shares
            .iter()
            .filter_map(|share| {
                let work = &self.running[share.index];
                let tokens = &work.tokens[work.computed..work.computed + share.tokens];
                let whole = share.tokens == work.remaining();
                let logits = if whole { Wanted::Last } else { Wanted::None };
                work.sequence.map(|sequence| Span { sequence, tokens, logits })
            })
            .collect();
        let start = Instant::now();
        self.shared.step_began_ms.store(self.shared.now_ms(), Ordering::Relaxed);
        let result = engine.step(&spans, &mut self.rows.outcomes);
        self.shared.step_began_ms.store(0, Ordering::Relaxed);
        let elapsed = start.elapsed();
        let Err(error) = result else {
            self.shared.stats.count_step(elapsed);
            let prompt: usize = shares.iter().filter(|s| remaining[s.index] > 1).map(|s| s.tokens).sum();
            if prompt > 0 {
                let decodes = shares.iter().any(|share| remaining[share.index] == 1);
                let pace = if decodes { &mut self.beside } else { &mut self.alone };
                pace.observe(prompt, elapsed);
            }
            self.advance(&shares);
            return Ok(());
        };
        self.share_out(&shares);
        let at_fault: Vec<SequenceId> = match error {
            EngineError::Broken(why) => return self.rebuild(&why, &shares),
            EngineError::OutOfBlocks { .. } => {
                self.make_room();
                return Ok(());
            }
            EngineError::NotANumber { sequence } | EngineError::UnknownSequence(sequence)
                if spans.iter().any(|span| span.sequence == sequence) =>
            {
                vec![sequence]
            }
            // Whose fault it is cannot be told: end them all rather than try the same for ever.
            _ => spans.iter().map(|span| span.sequence).collect(),
        };
        log(format_args!("a step failed: {error}"));
        for sequence in at_fault {
            self.fail(sequence, failure_of(&error));
        }
        Ok(())
    }

    /// After a step, before any of its sequences ends: adds its time to their requests.
    fn share_out(&self, shares: &[Share]) {
        let parts = divide(self.shared.meter.step(), shares.iter().map(|share| share.tokens));
        for (share, us) in shares.iter().zip(parts) {
            self.running[share.index].job.track.add_busy(us);
        }
    }

    /// After a step: counts, and samples where a sequence's last token was computed.
    fn advance(&mut self, shares: &[Share]) {
        let Some(engine) = &mut self.engine else { return };
        let stats = &self.shared.stats;
        let mut rows = 0;
        let mut over: Vec<(SequenceId, Result<Finish, Failure>)> = Vec::new();
        for share in shares {
            let work = &mut self.running[share.index];
            let Some(sequence) = work.sequence else { continue };
            let seen = work.computed.min(work.prompt);
            work.computed += share.tokens;
            let prompt = work.computed.min(work.prompt);
            if prompt > seen {
                add(&stats.prompt_tokens, prompt - seen);
                // Not less than before: after a preemption the prompt is computed again, and counts once.
                let usage = |usage: &mut u64| *usage = (*usage).max(prompt as u64);
                let (since, cached) = (work.admitted, work.cached);
                work.job.track.change(|progress| {
                    usage(&mut progress.usage.prompt);
                    progress.usage.cached = cached as u64;
                    if progress.usage.completion == 0 {
                        progress.prefill = since.map(|at| at.elapsed()).unwrap_or_default();
                    }
                });
            }
            if work.remaining() > 0 {
                continue;
            }
            let chosen = self.rows.choose(rows, &mut work.sampler, &mut **engine);
            rows += 1;
            match chosen {
                Ok(token) => {
                    add(&stats.completion_tokens, 1);
                    if let Some(finish) = work.take(token) {
                        over.push((sequence, Ok(finish)));
                    }
                }
                Err(failure) => over.push((sequence, Err(failure))),
            }
        }
        self.share_out(shares);
        for (sequence, outcome) in over {
            match outcome {
                Ok(finish) => {
                    if let Some(work) = self.remove(sequence) {
                        self.shared.nan_streak.store(0, Ordering::Relaxed);
                        self.breaks = 0;
                        work.finish(finish);
                    }
                }
                Err(failure) => self.fail(sequence, failure),
            }
        }
    }

    /// The KV cache is full: the youngest sequence gives its own away and waits, to be computed again later (its
    /// logits will be the same). The oldest always goes on, so that there is always progress.
    fn make_room(&mut self) {
        let Some(sequence) = self.running.last().and_then(|work| work.sequence) else { return };
        if self.running.len() == 1 {
            self.fail(sequence, Failure::KvExhausted);
        } else if let Some(work) = self.remove(sequence) {
            add(&self.shared.stats.preemptions, 1);
            self.waiting.push_front(work);
        }
    }

    fn fail(&mut self, sequence: SequenceId, failure: Failure) {
        if failure == Failure::NotANumber {
            // Before its client hears of it.
            self.shared.nan_streak.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(work) = self.remove(sequence) {
            work.fail(failure);
        }
    }

    /// Takes the sequence out of the batch and frees its KV.
    fn remove(&mut self, sequence: SequenceId) -> Option<Work> {
        let index = self.running.iter().position(|work| work.sequence == Some(sequence))?;
        let mut work = self.running.remove(index);
        work.sequence = None;
        work.computed = 0;
        if let Some(engine) = &mut self.engine {
            engine.release(sequence);
        }
        Some(work)
    }
}

pub(super) fn failure_of(error: &EngineError) -> Failure {
    match error {
        EngineError::NotANumber { .. } => Failure::NotANumber,
        EngineError::OutOfBlocks { .. } => Failure::KvExhausted,
        _ => Failure::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_lost_is_seen() {
        let shared = Arc::new(Shared::new(&Config::default()));
        let gone = Gone(shared.clone());
        let lost = std::thread::spawn(move || {
            let _gone = gone;
            std::panic::panic_any("lost");
        });
        assert!(lost.join().is_err());
        assert!(*shared.ended());
        assert_eq!(shared.dead.get(), Some(&"the compute thread has ended"));
    }
}
