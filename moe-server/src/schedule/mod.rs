//! Which sequences run in the next step, sampling, cancellation.
//!
//! One thread owns the engine (`worker`) and takes requests from a bounded queue; every step mixes the decodes of
//! all running sequences with a bounded chunk of prompts ([`plan`]). A request is cancelled by dropping the receiver
//! of its events, and is released before the next step. While the server sleeps (`rest`), the thread has no engine.

mod admit;
mod candidates;
#[cfg(test)]
mod candidates_tests;
pub mod meter;
pub mod output;
pub mod plan;
mod rebuild;
mod rest;
mod rows;
pub mod sample;
mod shared;
pub mod stats;
pub mod text;
pub mod track;
mod warm;
mod work;
mod worker;

pub(crate) use shared::{Message, Queued, Shared};
pub(crate) use worker::log;

use crate::engine::{Engine, Factory, TokenId};
use crate::sleep::{Asleep, Rules};
use crate::snapshot;
use meter::Meter;
use moegate_wire::{Ending, OriginState, OriginStatus};
use output::Output;
use sample::Sampling;
use stats::Stats;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;
use track::{Finish, Track};

/// How often a step that does not end is looked for.
const STUCK_TICK: Duration = Duration::from_secs(1);

/// Limits and aims of the scheduler.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests that may wait; more are refused.
    pub max_queue: usize,
    /// Sequences that run at once.
    pub max_batch: usize,
    /// How long a step may take while others decode; prompts are cut into chunks accordingly.
    pub step_target: Duration,
    /// How long a step with prompts only may take: bounds what a cancellation or a newcomer waits for.
    pub prompt_step_target: Duration,
    /// How long a step may take at all: beyond that, the engine is held for one that never answers.
    pub step_limit: Duration,
    /// When the process began to load: from then on the time counts as cold.
    pub started: Instant,
    /// When to sleep by itself, and whether a request wakes.
    pub sleep: Rules,
    /// Where the prefix cache is kept while the server sleeps or is not there.
    pub warm_state: Option<snapshot::Options>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_queue: 128,
            max_batch: 32,
            step_target: Duration::from_millis(100),
            prompt_step_target: Duration::from_millis(400),
            step_limit: Duration::from_mins(5),
            started: Instant::now(),
            sleep: Rules::default(),
            warm_state: None,
        }
    }
}

/// One request for generation.
pub struct Job {
    /// Not empty, and within the vocabulary.
    pub prompt: Vec<TokenId>,
    /// Tokens of the answer that another server has generated; `output` has taken them and has not ended.
    pub resumed: Vec<TokenId>,
    /// What [`Engine::begin`] is told: only requests with the same one share keys and values.
    pub cache_salt: Arc<str>,
    pub sampling: Sampling,
    /// Its limit of tokens, with the prompt, is within the context.
    pub output: Output,
    /// Whether events list their tokens.
    pub list_tokens: bool,
    /// Unbounded, since an answer is bounded by its tokens: a slow reader costs at most that much memory.
    pub events: UnboundedSender<Event>,
    pub track: Arc<Track>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("track", &self.track).finish_non_exhaustive()
    }
}

/// What a request hears. `Finished` or `Failed` is the last; a channel that closes without either means that the
/// compute thread died. The request's [`Track`] is up to date before each is sent.
///
/// Where a [`Job`] lists tokens, the `tokens` of all events up to any one are exactly those that were generated when it
/// was sent; else they are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The text is not empty and is complete UTF-8.
    Text {
        text: String,
        tokens: Vec<TokenId>,
    },
    Finished {
        finish: Finish,
        tokens: Vec<TokenId>,
    },
    Failed(Failure),
}

/// Ends a request whose resumed tokens are the whole answer. Nothing is computed, so that all of its `prompt` tokens
/// (those resumed included) count as cached.
pub fn conclude(finish: Finish, prompt: usize, events: &UnboundedSender<Event>, track: &Track) {
    track.change(|progress| {
        progress.usage.prompt = prompt as u64;
        progress.usage.cached = prompt as u64;
        progress.finish = Some(finish);
    });
    track.end_generation(Ending::Complete);
    // A closed channel means that the client has left, which its delivery notes.
    let _ = events.send(Event::Finished { finish, tokens: Vec::new() });
}

/// Why a generation could not be ended properly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The model computed logits from which nothing can be chosen.
    NotANumber,
    /// The KV cache cannot hold this sequence, even alone.
    KvExhausted,
    /// The engine broke as it computed this request, and did so again as it computed nothing else.
    EngineBroke,
    /// The compute thread died, or no engine can be made any more.
    EngineDead,
    /// The engine refused the sequence in a way it should not.
    Internal,
    ShuttingDown,
    /// It fell asleep, or could not be woken, before the request had its turn.
    Asleep(Asleep),
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    QueueFull,
    EngineDead,
    ShuttingDown,
    Asleep(Asleep),
}

/// Why the scheduler is not [`Scheduler::ready`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// [`MAX_NAN_STREAK`] generations or more in a row. Requests are still taken: one that is completed ends it.
    NotANumber,
    /// Requests are refused.
    Refusing(Refused),
}

/// One failure may be a request's own; so many without an answer between them are the model's or the machine's.
pub const MAX_NAN_STREAK: u32 = 3;

/// The handle to the scheduler's thread. The thread ends when the last handle is gone or after [`Self::shut_down`].
#[derive(Debug, Clone)]
pub struct Scheduler {
    sender: SyncSender<Message>,
    places: Arc<Semaphore>,
    max_queue: usize,
    shared: Arc<Shared>,
    vocab_size: usize,
    context_length: usize,
    step_limit: Duration,
}

impl Scheduler {
    /// Starts the thread that owns `engine` from now on, and makes others of `factory` after it has slept. It is ready
    /// once the factory has warmed the first one.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        engine: Box<dyn Engine>,
        factory: Box<dyn Factory>,
        config: &Config,
    ) -> std::io::Result<Self> {
        let max_queue = config.max_queue.max(1);
        // A place for each request, and one for a look.
        let (sender, receiver) = sync_channel(max_queue + 1);
        let shared = Arc::new(Shared::new(config));
        let capabilities = engine.capabilities();
        let vocab_size = capabilities.vocab_size;
        // What does not fit an empty cache can never run.
        let context_length = capabilities.context_length.min(engine.free_tokens());
        let worker = worker::Worker::new(engine, factory, config, receiver, shared.clone());
        std::thread::Builder::new().name("scheduler".into()).spawn(move || worker.run())?;
        let places = Arc::new(Semaphore::new(max_queue));
        Ok(Self {
            sender,
            places,
            max_queue,
            shared,
            vocab_size,
            context_length,
            step_limit: config.step_limit,
        })
    }

    /// Queues a request.
    ///
    /// # Errors
    /// See [`Refused`]; nothing is sent to the job's events then.
    pub fn submit(&self, job: Job) -> Result<(), Refused> {
        self.taking()?;
        self.shared.switch.admit().map_err(Refused::Asleep)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| Refused::QueueFull)?;
        let queued = Queued { job, since: Instant::now(), place };
        let ended = self.shared.ended();
        // The channel has room for all places: it can only be closed.
        if *ended || self.sender.try_send(Message::Job(Box::new(queued))).is_err() {
            drop(ended);
            return Err(self.taking().err().unwrap_or(Refused::EngineDead));
        }
        Ok(())
    }

    /// Whether requests are taken, and likely to be answered (the queue may still be full).
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Unready> {
        self.taking().map_err(Unready::Refusing)?;
        if self.shared.switch.state() != OriginState::Ready {
            return Err(Unready::Refusing(Refused::Asleep(self.shared.switch.asleep())));
        }
        if self.shared.nan_streak.load(Ordering::Relaxed) >= MAX_NAN_STREAK {
            return Err(Unready::NotANumber);
        }
        Ok(())
    }

    fn taking(&self) -> Result<(), Refused> {
        // In this order: where the thread ended because of a shutdown, `closing` was set before.
        let gone = self.shared.dead.get().is_some() || *self.shared.ended();
        if self.shared.closing.load(Ordering::Acquire) {
            return Err(Refused::ShuttingDown);
        }
        if gone {
            return Err(Refused::EngineDead);
        }
        Ok(())
    }

    /// Why the engine is dead, if it is.
    #[must_use]
    pub fn dead(&self) -> Option<&'static str> {
        self.shared.dead.get().copied()
    }

    /// Returns once the thread has ended, and with it every request that it had; or once it is stuck in a step for longer than
    /// [`Config::step_limit`], and is as good as dead.
    pub async fn ended(&self) {
        let mut gone = self.shared.gone.subscribe();
        // An error means that nobody will tell, and then nobody is there.
        while timeout(STUCK_TICK, gone.wait_for(|gone| *gone)).await.is_err() {
            if self.is_stuck() {
                self.shared.dead.get_or_init(|| "a step of the engine does not end");
                return;
            }
        }
    }

    /// Whether a step is going on that has taken longer than [`Config::step_limit`].
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.shared.is_stuck(self.step_limit)
    }

    /// Fails everything that runs or waits with [`Failure::ShuttingDown`] and ends the thread.
    pub fn shut_down(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.switch.progress().cancel(true);
        self.look();
    }

    /// From cold to ready and back.
    #[must_use]
    pub fn status(&self) -> OriginStatus {
        self.shared.switch.status()
    }

    /// Loads, if nothing is loaded; takes back a [`Self::sleep`].
    #[must_use]
    pub fn wake(&self) -> OriginStatus {
        let status = self.shared.switch.wake();
        self.look();
        status
    }

    /// Refuses what comes from now on, finishes what there is, and lets go of the engine.
    #[must_use]
    pub fn sleep(&self) -> OriginStatus {
        let status = self.shared.switch.sleep();
        self.look();
        status
    }

    /// Does not sleep by itself for so long.
    #[must_use]
    pub fn lease(&self, length: Duration) -> OriginStatus {
        self.shared.switch.lease(length)
    }

    /// Makes the thread look at what is in no message.
    fn look(&self) {
        if !self.shared.told.swap(true, Ordering::AcqRel) {
            // There is room for one; a closed channel means that the thread has ended.
            let _ = self.sender.try_send(Message::Look);
        }
    }

    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// What the time goes to.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.shared.meter
    }

    /// Requests that wait for their first step.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.max_queue - self.places.available_permits()
    }

    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The most tokens of prompt and answer together.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.context_length
    }
}
