//! How far a load is, and that it is not wanted any more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Written by who loads, read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    loaded: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

/// A load ended because it was not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl Progress {
    /// A load begins.
    pub fn begin(&self) {
        self.set(0, 0);
    }

    pub fn set(&self, loaded: u64, total: u64) {
        self.loaded.store(loaded, Relaxed);
        self.total.store(total, Relaxed);
    }

    /// Some more bytes are loaded.
    pub fn add(&self, bytes: u64) {
        self.loaded.fetch_add(bytes, Relaxed);
    }

    /// Bytes that are loaded, and bytes to load.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.loaded.load(Relaxed), self.total.load(Relaxed))
    }

    pub fn cancel(&self, cancelled: bool) {
        self.cancelled.store(cancelled, Relaxed);
    }

    /// # Errors
    /// [`Cancelled`], where the load is to end now.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.cancelled.load(Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// Seconds until a load is done that has run for `elapsed`: by its rate so far, else by how long the last one took;
/// rounded up.
#[must_use]
pub fn seconds_left((loaded, total): (u64, u64), elapsed: Duration, last: Option<Duration>) -> Option<u64> {
    let left = if loaded > 0 && total >= loaded {
        let nanos = elapsed.as_nanos().saturating_mul(u128::from(total - loaded)) / u128::from(loaded);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    } else {
        last?.saturating_sub(elapsed)
    };
    Some(left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_rate_says() {
        let ms = Duration::from_millis;
        for (bytes, elapsed, last, left) in [
            ((0, 0), ms(5), None, None),
            ((0, 100), ms(5), None, None),
            ((0, 100), ms(500), Some(ms(3_100)), Some(3)),
            ((0, 0), ms(9_000), Some(ms(3_100)), Some(0)),
            ((25, 100), ms(1_000), Some(ms(60_000)), Some(3)),
            ((99, 100), ms(1_000), None, Some(1)),
            ((100, 100), ms(1_000), None, Some(0)),
            ((1, u64::MAX), Duration::from_secs(1 << 40), None, Some(u64::MAX / 1_000_000_000 + 1)),
        ] {
            assert_eq!(seconds_left(bytes, elapsed, last), left, "{bytes:?} {elapsed:?} {last:?}");
        }
    }
}
