//! What readers of the account ask for: the part of the path behind `?`.

use super::record::{PREFIX, day};
use super::{DAY_MS, HOUR_MS};
use crate::config::Day;
use crate::error::{ApiError, shown_name};
use crate::ledger::operation::{By, Filter};
use crate::request_id;

/// The end of the year 9999.
const LAST_MS: u64 = 253_402_300_800_000;

/// Which sums or records are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// `2026`, `2026-11`, `2026-11-21`, `2026-11-21T16`; empty for all.
    pub period: String,
    /// Where an earlier answer left off.
    pub cursor: Option<String>,
    pub by: Option<By>,
    pub filter: Filter,
    /// Of records: from the first moment, before the second one (Unix milliseconds).
    pub since_ms: Option<u64>,
    pub until_ms: Option<u64>,
    /// Records as CSV.
    pub csv: bool,
}

/// The parameters of `GET /usage`, and those of `GET /usage/export`.
const OF_SUMS: &[&str] =
    &["period", "cursor", "by", "key_name", "tenant", "model", "origin", "route", "user", "tag"];
const OF_RECORDS: &[&str] = &[
    "period", "since", "until", "format", "cursor", "key_name", "tenant", "model", "origin", "route", "user",
    "tag",
];

impl Query {
    /// Of `GET /usage`.
    ///
    /// # Errors
    /// 400 for an unknown parameter or a value of another form.
    pub fn of_sums(query: &str) -> Result<Self, ApiError> {
        Self::parse(query, OF_SUMS)
    }

    /// Of `GET /usage/export`.
    ///
    /// # Errors
    /// As for [`Self::of_sums`].
    pub fn of_records(query: &str) -> Result<Self, ApiError> {
        Self::parse(query, OF_RECORDS)
    }

    /// Of lists that come in pages.
    ///
    /// # Errors
    /// As for [`Self::of_sums`].
    pub fn of_pages(query: &str) -> Result<Self, ApiError> {
        Self::parse(query, &["cursor"])
    }

    fn parse(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(ApiError::invalid(
                    "unknown_parameter",
                    None,
                    format!(
                        "there is no parameter {}; there are {}",
                        serde_json::Value::from(shown_name(name)),
                        known.join(", ")
                    ),
                ));
            }
            let value = crate::routing::decode_name(value).unwrap_or_default();
            parsed.set(name, value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        let invalid = |code, param, text: &'static str| Err(ApiError::invalid(code, Some(param), text));
        let filter = &mut self.filter;
        let filtered = match name {
            // `key` would be a secret in a URL, which is refused.
            "key_name" => &mut filter.key,
            "tenant" => &mut filter.tenant,
            "model" => &mut filter.model,
            "origin" => &mut filter.origin,
            "route" => &mut filter.route,
            "user" => &mut filter.user,
            "tag" => &mut filter.tag,
            _ => {
                match name {
                    "period" if is_period(&value) => self.period = value,
                    "period" => {
                        return invalid(
                            "invalid_period",
                            "period",
                            "`period` must be a year, month, day or hour in UTC, such as 2026, 2026-11, 2026-11-21 or 2026-11-21T16",
                        );
                    }
                    "cursor" => match decode_cursor(&value) {
                        Some(cursor) => self.cursor = Some(cursor),
                        None => {
                            return invalid(
                                "invalid_cursor",
                                "cursor",
                                "`cursor` must be the `next_cursor` of an earlier answer",
                            );
                        }
                    },
                    "by" => match value.as_str() {
                        "hour" => self.by = Some(By::Hour),
                        "day" => self.by = Some(By::Day),
                        "user" => self.by = Some(By::User),
                        "tag" => self.by = Some(By::Tag),
                        // These are there in any case.
                        "key" | "tenant" | "model" | "origin" | "route" | "ending" => self.by = None,
                        _ => {
                            return invalid(
                                "invalid_by",
                                "by",
                                "`by` must be hour, day, user or tag (key, tenant, model, origin, route and ending are always there)",
                            );
                        }
                    },
                    "since" | "until" => {
                        let Some(ms) = moment_ms(&value) else {
                            return invalid(
                                "invalid_time",
                                "since",
                                "`since` and `until` must be Unix seconds or a day or hour in UTC, such as 2026-11-21 or 2026-11-21T16",
                            );
                        };
                        let place = if name == "since" { &mut self.since_ms } else { &mut self.until_ms };
                        *place = Some(ms);
                    }
                    _ => match value.as_str() {
                        "jsonl" => self.csv = false,
                        "csv" => self.csv = true,
                        _ => return invalid("invalid_format", "format", "`format` must be jsonl or csv"),
                    },
                }
                return Ok(());
            }
        };
        *filtered = Some(value);
        Ok(())
    }

    /// What the storage keys begin with, where there is no ledger.
    #[must_use]
    pub fn prefix(&self) -> String {
        let whole = match self.period.len() {
            0 => "",
            10 => "/",
            _ => "-",
        };
        format!("{PREFIX}{}{whole}", self.period)
    }

    /// Whether only a ledger can answer it.
    #[must_use]
    pub fn needs_ledger(&self) -> bool {
        self.by.is_some() || self.filter != Filter::default() || self.period.len() > 10
    }

    /// The period, or the time between `since` and `until` (Unix milliseconds).
    #[must_use]
    pub fn range_ms(&self) -> (u64, u64) {
        let (from_ms, to_ms) = period_ms(&self.period).unwrap_or((0, LAST_MS));
        (self.since_ms.unwrap_or(from_ms).max(from_ms), self.until_ms.unwrap_or(to_ms).min(to_ms))
    }

    /// The same as ids: those of the time's records lie between them.
    #[must_use]
    pub fn range_ids(&self) -> (String, String) {
        let (from_ms, to_ms) = self.range_ms();
        (request_id::make(from_ms, [0; 10]), request_id::make(to_ms, [0; 10]))
    }
}

/// Beginning and end.
fn period_ms(period: &str) -> Option<(u64, u64)> {
    let start = |text: &str| Day::parse(text).ok().map(Day::start_ms);
    Some(match period.len() {
        4 => {
            let year: u64 = period.parse().ok()?;
            (start(&format!("{period}-01-01"))?, start(&format!("{:04}-01-01", year + 1)).unwrap_or(LAST_MS))
        }
        7 => {
            let first = start(&format!("{period}-01"))?;
            (first, start(&format!("{}-01", &day(first + 31 * DAY_MS)[..7]))?)
        }
        10 => {
            let first = start(period)?;
            (first, first + DAY_MS)
        }
        13 => {
            let hour: u64 = period[11..].parse().ok().filter(|hour| *hour < 24)?;
            let first = start(&period[..10])? + hour * HOUR_MS;
            (first, first + HOUR_MS)
        }
        _ => return None,
    })
}

/// Unix seconds, or a day or an hour.
fn moment_ms(text: &str) -> Option<u64> {
    match text.parse::<u64>() {
        Ok(seconds) if text.len() > 4 => seconds.checked_mul(1000).filter(|ms| *ms <= LAST_MS),
        _ => period_ms(text).filter(|_| text.len() >= 10).map(|(from_ms, _)| from_ms),
    }
}

fn is_period(text: &str) -> bool {
    let parts: Vec<_> = text.split(['-', 'T']).collect();
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let formed = matches!(parts.len(), 1..=4)
        && digits(parts[0], 4)
        && parts[1..].iter().all(|part| digits(part, 2))
        && text.find('T').is_none_or(|at| at == 10)
        && (parts.len() < 4 || text.contains('T'));
    formed && period_ms(text).is_some()
}

/// The store's cursor in hex, so that it passes through a URL whatever it holds.
#[must_use]
pub fn encode_cursor(cursor: &str) -> String {
    moegate_wire::sign::to_hex(cursor.as_bytes())
}

fn decode_cursor(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    String::from_utf8(bytes.collect::<Result<_, _>>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let prefix = |query: &str| Query::of_sums(query).map(|q| (q.prefix(), q.cursor)).map_err(|e| e.code);
        let cursor = format!("period=2026-11-21&cursor={}", encode_cursor("a=/é"));
        assert_eq!(prefix(""), Ok(("usage/".into(), None)));
        assert_eq!(prefix("period=2026"), Ok(("usage/2026-".into(), None)));
        assert_eq!(prefix("period=2026-11"), Ok(("usage/2026-11-".into(), None)));
        assert_eq!(prefix(&cursor), Ok(("usage/2026-11-21/".into(), Some("a=/é".into()))));
        for query in ["cursor=", "cursor=x", "cursor=abc", "cursor=ff", "cursor=é1"] {
            assert_eq!(prefix(query), Err("invalid_cursor"), "{query}");
        }
        for period in [
            "",
            "26",
            "2026-1",
            "2026-11-21-00",
            "../..",
            "2026-13",
            "2026-02-30",
            "2026-11-21T24",
            "2026T11",
        ] {
            assert_eq!(prefix(&format!("period={period}")), Err("invalid_period"), "{period}");
        }
        assert_eq!(prefix("since=1"), Err("unknown_parameter"));
        assert_eq!(prefix("by=colour"), Err("invalid_by"));
        let records = |query| Query::of_records(query).map_err(|error| error.code);
        assert_eq!(records("by=hour"), Err("unknown_parameter"));
        assert_eq!(records("format=xml"), Err("invalid_format"));
        assert_eq!(records("since=yesterday"), Err("invalid_time"));
        let filtered = Query::of_sums("by=user&key_name=app&model=a%2Fb").unwrap();
        assert_eq!((filtered.by, filtered.filter.key.as_deref()), (Some(By::User), Some("app")));
        assert_eq!(filtered.filter.model.as_deref(), Some("a/b"));
        assert!(filtered.needs_ledger() && !Query::of_sums("period=2026-11-21").unwrap().needs_ledger());
    }

    #[test]
    fn times() {
        let range = |query| Query::of_records(query).unwrap().range_ms();
        let november = 1_793_491_200_000;
        for (query, expected) in [
            ("", (0, LAST_MS)),
            ("period=2026-11", (november, 1_796_083_200_000)),
            ("period=2026-11-02", (november + DAY_MS, november + 2 * DAY_MS)),
            ("period=2026-11-02T03", (november + DAY_MS + 3 * HOUR_MS, november + DAY_MS + 4 * HOUR_MS)),
            ("since=2026-11-01&until=2026-11-01T05", (november, november + 5 * HOUR_MS)),
            ("since=1793491200", (november, LAST_MS)),
            ("period=2026-11&since=1970-01-01", (november, 1_796_083_200_000)),
        ] {
            assert_eq!(range(query), expected, "{query}");
        }
        assert_eq!(range("period=2026").1 - range("period=2026").0, 365 * DAY_MS);
    }
}
