//! When to try again.

use std::time::Duration;

/// What nobody but an operator can mend is tried at such times.
pub(crate) const SLOW: Duration = Duration::from_secs(300);
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(60);

/// How long to wait after so many failures in a row: 1 s, doubled up to 60 s, of which a random part up to the half is
/// taken off, so that servers which failed together do not come back together.
pub(crate) fn wait(failures: u32, random: u64) -> Duration {
    let doubled = LEAST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(MOST);
    // 16 bits are enough of a spread.
    let part = u32::try_from(random & 0xFFFF).unwrap_or(0);
    doubled - doubled * part / 0x1_0000 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_within_its_bounds() {
        let most: Vec<u64> = (1..=9).map(|failures| wait(failures, 0).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for failures in [0, 1, 5, 7, u32::MAX] {
            for random in [1, 0x7FFF, 0xFFFF, u64::MAX] {
                let (full, wait) = (wait(failures, 0), wait(failures, random));
                assert!(wait <= full && wait >= full / 2, "{failures} {random}: {wait:?}");
            }
        }
    }
}
