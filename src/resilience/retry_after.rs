//! What an origin asks to wait.

use std::ops::RangeInclusive;

/// What is asked for beyond this is absurd, and would not fit into sums.
pub(super) const YEAR_MS: u64 = 366 * 86_400_000;

/// Milliseconds that an origin asks to wait: `retry-after-ms`, else `retry-after` in seconds or as a date (RFC 9110,
/// section 10.2.3); at most a year. `None` where it says nothing that can be read.
#[must_use]
pub fn retry_after_ms(milliseconds: &str, value: &str, now_ms: u64) -> Option<u64> {
    let number = |text: &str| {
        let value: f64 = text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)?;
        Some(value)
    };
    // A float beyond the integers becomes the largest one.
    let asked = if let Some(ms) = number(milliseconds) {
        ms as u64
    } else if let Some(seconds) = number(value) {
        (seconds * 1000.0) as u64
    } else {
        http_date_ms(value.trim())?.saturating_sub(now_ms)
    };
    Some(asked.min(YEAR_MS))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still sent, in Unix milliseconds.
pub(super) fn http_date_ms(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let fields: Vec<_> = text.split([' ', ':']).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = fields[..] else { return None };
    let number = |text: &str, allowed: RangeInclusive<u64>| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| digits && allowed.contains(number))
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let seconds = number(hour, 0..=23)? * 3600 + number(minute, 0..=59)? * 60 + number(second, 0..=60)?;
    // Hinnant's `days_from_civil`, the inverse of `record::day`.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some((days * 86_400 + seconds) * 1000)
}
