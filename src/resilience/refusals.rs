//! What origins have refused of what the gateway adds to a request, so that only one request finds out.

/// How long that holds: an origin may learn.
const HELD_MS: u64 = 3_600_000;

#[derive(Debug, Clone, Default)]
pub struct Refusals {
    /// By origin: until when counts in streams are not asked for there, in Unix milliseconds.
    stream_usage: Vec<u64>,
}

impl Refusals {
    /// Whether the origin is not to be asked for counts in a stream.
    #[must_use]
    pub fn has_refused_usage(&self, origin: usize, now_ms: u64) -> bool {
        self.stream_usage.get(origin).is_some_and(|&until_ms| now_ms < until_ms)
    }

    /// It has refused that.
    pub fn refuse_usage(&mut self, origin: usize, now_ms: u64) {
        if self.stream_usage.len() <= origin {
            self.stream_usage.resize(origin + 1, 0);
        }
        self.stream_usage[origin] = now_ms + HELD_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_an_hour_and_one_origin() {
        let mut refusals = Refusals::default();
        assert!(!refusals.has_refused_usage(1, 0));
        refusals.refuse_usage(1, 0);
        let asked = |origin, now_ms| !refusals.has_refused_usage(origin, now_ms);
        assert_eq!((asked(0, 1), asked(1, 1), asked(1, HELD_MS)), (true, false, true));
    }
}
