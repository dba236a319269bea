//! One request inside the scheduler: its tokens, its sampler, what its client hears.

use super::output::Pushed;
use super::sample::Sampler;
use super::track::Finish;
use super::{Event, Failure, Job, Queued};
use crate::engine::{SequenceId, TokenId};
use moegate_wire::Ending;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// A request on its way: waiting while it has no sequence, else running.
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) sampler: Sampler,
    /// The prompt, what was resumed and what was generated.
    pub(super) tokens: Vec<TokenId>,
    /// How many of `tokens` were not generated here.
    pub(super) prompt: usize,
    /// Generated since the last event, where events list tokens.
    unlisted: Vec<TokenId>,
    pub(super) sequence: Option<SequenceId>,
    /// How many of `tokens` the engine holds.
    pub(super) computed: usize,
    /// How many must be computed before the request is not held any more for what broke the engine; 0 where nothing did.
    pub(super) suspect_until: usize,
    /// How many of the prompt's it held when the request was first admitted.
    pub(super) cached: usize,
    pub(super) since: Instant,
    pub(super) admitted: Option<Instant>,
    first_token: Option<Instant>,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Work {
    pub(super) fn new(queued: Queued) -> Self {
        let Queued { mut job, since, place } = queued;
        let sampler = Sampler::after(job.sampling, &job.resumed);
        let mut tokens = std::mem::take(&mut job.prompt);
        tokens.append(&mut job.resumed);
        Self {
            sampler,
            prompt: tokens.len(),
            tokens,
            unlisted: Vec::new(),
            sequence: None,
            computed: 0,
            suspect_until: 0,
            cached: 0,
            since,
            admitted: None,
            first_token: None,
            place: Some(place),
            job,
        }
    }

    pub(super) fn remaining(&self) -> usize {
        self.tokens.len() - self.computed
    }

    pub(super) fn cancelled(&self) -> bool {
        self.job.events.is_closed()
    }

    /// Takes a sampled token; answers how the generation ends if it ends with it.
    pub(super) fn take(&mut self, token: TokenId) -> Option<Finish> {
        let now = Instant::now();
        let first = *self.first_token.get_or_insert(now);
        self.job.track.change(|progress| {
            progress.usage.completion += 1;
            progress.prefill = first - self.admitted.unwrap_or(first);
            progress.decode = now - first;
        });
        let Pushed { text, rest, finish } = self.job.output.push(token);
        if self.job.list_tokens {
            self.unlisted.push(token);
            // In one event: between two, the list would be ahead of the text.
            self.show(text + &rest);
        } else {
            self.show(text);
            self.show(rest);
        }
        if finish.is_none() {
            self.tokens.push(token);
        }
        finish
    }

    fn show(&mut self, text: String) {
        if !text.is_empty() {
            let tokens = std::mem::take(&mut self.unlisted);
            // A closed channel is a cancellation, seen before the next step.
            let _ = self.job.events.send(Event::Text { text, tokens });
        }
    }

    pub(super) fn finish(self, finish: Finish) {
        self.job.track.change(|progress| progress.finish = Some(finish));
        self.job.track.end_generation(Ending::Complete);
        let _ = self.job.events.send(Event::Finished { finish, tokens: self.unlisted });
    }

    pub(super) fn fail(self, failure: Failure) {
        self.job.track.end_generation(Ending::Error);
        let _ = self.job.events.send(Event::Failed(failure));
    }
}
