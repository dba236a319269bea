//! What clients are told of origins that sleep.

use crate::error::ApiError;
use crate::wake::{Lifecycle, Refused};

/// SDKs heed no longer `Retry-After`.
const LONGEST_HINT_S: u64 = 59;

/// The two retries that SDKs make span no more, as they heed `Retry-After`.
const RETRIED_S: u64 = 2 * LONGEST_HINT_S;

fn hint(seconds: u64) -> Option<u32> {
    u32::try_from(seconds.clamp(1, LONGEST_HINT_S)).ok()
}

fn unavailable(code: &'static str, seconds: u64, message: String) -> ApiError {
    ApiError { retry_after_s: hint(seconds), ..ApiError::new(503, "overloaded", code, message) }
}

/// 503: it wakes.
pub(super) fn waking(row: &Lifecycle, now_ms: u64) -> ApiError {
    let seconds = row.seconds_left(now_ms).unwrap_or(1);
    let retries = if seconds > RETRIED_S { "; an SDK's own retries end before that" } else { "" };
    let text = format!(
        "this model's origin was asleep and is waking: about {seconds} s are left. Ask again then{retries}"
    );
    unavailable("origin_waking", seconds, text)
}

/// 503: as many requests wait as may.
pub(super) fn queue_full(row: &Lifecycle, now_ms: u64) -> ApiError {
    let seconds = row.seconds_left(now_ms).unwrap_or(1);
    let text = format!(
        "this model's origin is waking (about {seconds} s are left), and as many requests wait for it as may (`wake.queue`); ask again in a moment"
    );
    unavailable("origin_waking", seconds, text)
}

/// 503: it sleeps, and may not be woken now.
pub(super) fn not_woken(row: &Lifecycle, refused: &Refused, now_ms: u64) -> ApiError {
    let seconds = refused.until_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
    let why = match (refused.per_hour, row.reason.as_str()) {
        (true, _) => "has been woken as often in the last hour as it may be (`wake.per_hour`)".to_owned(),
        (false, reason) => format!("could not be woken ({reason})"),
    };
    let text = format!("this model's origin sleeps and {why}; the next try may begin in {seconds} s");
    unavailable("origin_not_woken", seconds, text)
}

/// 503: the wake that was waited for has failed.
pub(super) fn failed(row: &Lifecycle, now_ms: u64) -> ApiError {
    let refused = Refused { until_ms: row.not_before_ms, per_hour: false };
    not_woken(row, &refused, now_ms)
}

/// 504: it was waited for as long as may be.
pub(super) fn timeout(waited_s: u64, row: &Lifecycle, now_ms: u64) -> ApiError {
    let left = row.seconds_left(now_ms);
    let hint_s = hint(left.unwrap_or(30));
    let left = left.map_or_else(String::new, |left| format!(" (about {left} s are left)"));
    let text = format!(
        "this model's origin is still waking after {waited_s} s, which is as long as this request may wait{left}; ask again in a moment"
    );
    ApiError { retry_after_s: hint_s, ..ApiError::new(504, "overloaded", "wake_timeout", text) }
}
