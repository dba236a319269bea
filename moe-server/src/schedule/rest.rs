//! The thread without an engine: it lets go of one and makes it again.

use super::rows::Rows;
use super::warm::TICK;
use super::worker::{Dead, Worker, log};
use super::{Failure, Message};
use crate::engine::{Engine, LoadFailure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

impl Worker {
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// The next message, or [`TryRecvError::Empty`] once something is to be done without one.
    pub(super) fn wait(&mut self) -> Result<Message, TryRecvError> {
        let patience = self.shared.switch.patience();
        let tick = self.coming.as_ref().map(|_| TICK);
        let patience = patience.into_iter().chain(tick).min();
        if patience == Some(Duration::ZERO) {
            return self.receiver.try_recv();
        }
        let meter = &self.shared.meter;
        if self.engine.is_some() {
            meter.rest();
        }
        let message = match patience {
            None => self.receiver.recv().map_err(|_| TryRecvError::Disconnected),
            Some(time) => self.receiver.recv_timeout(time).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            }),
        };
        if self.engine.is_some() {
            meter.wake();
        }
        message
    }

    /// Makes an engine and brings its weights into memory; where there is a first one, only that.
    ///
    /// # Errors
    /// An engine that broke could not be replaced.
    pub(super) fn load(&mut self, first: Option<Box<dyn Engine>>) -> Result<(), Dead> {
        let rebuilding = std::mem::take(&mut self.rebuilding);
        let Self { factory, shared, .. } = self;
        shared.meter.load();
        let (switch, is_first) = (&shared.switch, first.is_some());
        let progress = switch.progress();
        let made = catch_unwind(AssertUnwindSafe(|| {
            let engine = first.map_or_else(|| factory.load(progress), Ok)?;
            factory.warm(progress)?;
            Ok(engine)
        }));
        let panicked =
            |_| Err(LoadFailure::Failed("loading the model panicked; the log says where".to_owned()));
        match made.unwrap_or_else(panicked) {
            Ok(engine) => {
                self.engine = Some(engine);
                shared.meter.rest();
                if let Some(took) = switch.loaded().filter(|_| !is_first) {
                    log(format_args!("awake after {} ms", took.as_millis()));
                }
                self.fetch_warm_state();
                self.tell_kv();
            }
            Err(LoadFailure::Cancelled) => {
                shared.meter.sleep();
                switch.unloaded();
            }
            Err(LoadFailure::Failed(why)) => {
                log(format_args!("the model could not be loaded: {why}"));
                shared.meter.sleep();
                switch.failed(why);
                if rebuilding {
                    return Err(Dead("the engine broke, and another one could not be made"));
                }
            }
        }
        Ok(())
    }

    /// Lets go of the engine, its weights and its KV.
    pub(super) fn unload(&mut self) {
        self.keep_warm_state();
        self.shared.meter.sleep();
        drop(self.engine.take());
        self.rows = Rows::default();
        self.tell_kv();
        self.shared.switch.unloaded();
        log("asleep");
    }

    /// Requests that came when it was too late, or whose wake failed.
    pub(super) fn turn_away(&mut self) {
        let asleep = self.shared.switch.asleep();
        for work in self.waiting.drain(..) {
            work.fail(Failure::Asleep(asleep));
        }
    }
}
