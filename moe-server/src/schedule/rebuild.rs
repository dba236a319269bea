//! An engine that broke: another one is made in its place, which computes again what the requests had.
//!
//! Tokens that were told stay as they are, and since logits do not depend on the engine that computes them, answers go on as
//! if nothing had happened. Requests that may have broken the engine are computed one at a time, and nothing else, until they
//! are past the place: where the engine breaks there again, that request has failed, and no other.

use super::Failure;
use super::plan::Share;
use super::rows::Rows;
use super::stats::add;
use super::work::Work;
use super::worker::{Dead, Worker, log};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Engines that may break one after another without a generation completed between them.
const MOST_BREAKS: u32 = 3;

impl Worker {
    /// Takes everything back from the engine, which broke in a step of these shares; the next turn makes another one.
    ///
    /// # Errors
    /// It has broken too often.
    pub(super) fn rebuild(&mut self, why: &str, shares: &[Share]) -> Result<(), Dead> {
        log(format_args!("the engine broke: {why}"));
        self.breaks += 1;
        if self.breaks > MOST_BREAKS {
            return Err(Dead("the engine breaks again and again"));
        }
        if let [share] = shares
            && self.running[share.index].is_suspect()
        {
            self.running.remove(share.index).fail(Failure::EngineBroke);
        } else {
            for share in shares {
                let work = &mut self.running[share.index];
                work.suspect_until = work.computed + share.tokens;
            }
        }
        for mut work in self.running.drain(..).rev() {
            work.sequence = None;
            work.computed = 0;
            self.waiting.push_front(work);
        }
        let engine = self.engine.take();
        if catch_unwind(AssertUnwindSafe(|| drop(engine))).is_err() {
            log("the broken engine could not even be thrown away");
        }
        self.rows = Rows::default();
        self.coming = None;
        self.rebuilding = true;
        self.tell_kv();
        add(&self.shared.stats.rebuilds, 1);
        self.shared.meter.sleep();
        self.shared.switch.lost(why.to_owned());
        Ok(())
    }

    /// Tokens that are to be computed of each running request: of a suspect alone, while there is one.
    pub(super) fn remaining(&self) -> Vec<usize> {
        let suspect = self.running.iter().position(Work::is_suspect);
        let is_asked = |index| suspect.is_none_or(|suspect| suspect == index);
        let remaining = |(index, work): (usize, &Work)| if is_asked(index) { work.remaining() } else { 0 };
        self.running.iter().enumerate().map(remaining).collect()
    }
}

impl Work {
    /// Whether the engine broke in a step of this request, which is not past that step yet.
    fn is_suspect(&self) -> bool {
        self.computed < self.suspect_until
    }
}
