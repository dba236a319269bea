//! What an instance knows of origins that sleep. All of it may be lost at any time.

use super::Lifecycle;
use std::collections::HashMap;

/// By the origin's place in the configuration.
#[derive(Debug, Default)]
pub struct OriginCache(HashMap<usize, Known>);

/// Of one origin; moments in Unix milliseconds.
#[derive(Debug, Default)]
pub struct Known {
    /// When it last took work.
    pub ready_ms: u64,
    /// When its row was last told that it is being used.
    pub told_ms: u64,
    /// Its row, and when that was looked at.
    pub seen: Option<(u64, Lifecycle)>,
    /// Until then somebody is finding out how it is.
    pub asked_until_ms: u64,
    /// Requests that wait for it.
    pub held: u32,
}

impl OriginCache {
    pub fn of(&mut self, origin: usize) -> &mut Known {
        self.0.entry(origin).or_default()
    }
}

impl Known {
    /// The row, if it was looked at so recently.
    #[must_use]
    pub fn fresh(&self, now_ms: u64, for_ms: u64) -> Option<&Lifecycle> {
        let (seen_ms, row) = self.seen.as_ref()?;
        (now_ms < seen_ms + for_ms).then_some(row)
    }
}
