//! One request inside the scheduler: its tokens, its sampler, what its client hears.

use super::sample::Sampler;
use super::text::StopFilter;
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
    filter: StopFilter,
    /// The prompt and what was generated.
    pub(super) tokens: Vec<TokenId>,
    pub(super) prompt: usize,
    pub(super) sequence: Option<SequenceId>,
    /// How many of `tokens` the engine holds.
    pub(super) computed: usize,
    pub(super) since: Instant,
    pub(super) admitted: Option<Instant>,
    first_token: Option<Instant>,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Work {
    pub(super) fn new(queued: Queued) -> Self {
        let Queued { mut job, since, place } = queued;
        let tokens = std::mem::take(&mut job.prompt);
        Self {
            sampler: Sampler::new(job.sampling),
            filter: StopFilter::new(std::mem::take(&mut job.stop)),
            prompt: tokens.len(),
            tokens,
            sequence: None,
            computed: 0,
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
        if (self.job.is_end)(token) {
            self.flush();
            return Some(Finish::Stop);
        }
        let text = self.job.decoder.push(token);
        let (shown, stopped) = self.filter.push(&text);
        self.show(shown);
        if stopped {
            return Some(Finish::Stop);
        }
        self.tokens.push(token);
        if self.tokens.len() - self.prompt < self.job.max_tokens {
            return None;
        }
        Some(if self.flush() { Finish::Stop } else { Finish::Length })
    }

    /// Shows what was held back; answers whether the last bytes completed a stop string.
    fn flush(&mut self) -> bool {
        let text = self.job.decoder.finish();
        let (mut shown, stopped) = self.filter.push(&text);
        if !stopped {
            shown.push_str(&self.filter.finish());
        }
        self.show(shown);
        stopped
    }

    fn show(&self, text: String) {
        if !text.is_empty() {
            // A closed channel is a cancellation, seen before the next step.
            let _ = self.job.events.send(Event::Text(text));
        }
    }

    pub(super) fn finish(self, finish: Finish) {
        self.job.track.change(|progress| progress.finish = Some(finish));
        self.job.track.end_generation(Ending::Complete);
        let _ = self.job.events.send(Event::Finished(finish));
    }

    pub(super) fn fail(self, failure: Failure) {
        self.job.track.end_generation(Ending::Error);
        let _ = self.job.events.send(Event::Failed(failure));
    }
}
