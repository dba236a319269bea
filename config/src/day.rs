//! Days of the calendar.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// A day in UTC, written as `"2026-11-01"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Day {
    /// A day from 1970 to 9999 as year, month and day, of four, two and two digits.
    ///
    /// # Errors
    /// A sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text)
            .ok_or_else(|| format!("`{text}` is not a day: write year-month-day, such as \"2026-11-01\""))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shape =
            |(at, byte): (usize, &u8)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() };
        if bytes.len() != 10 || !bytes.iter().enumerate().all(shape) {
            return None;
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0, |number: u16, digit| number * 10 + u16::from(digit - b'0'))
        };
        // Two digits fit.
        let (year, month, day) = (number(0, 4), number(5, 7) as u8, number(8, 10) as u8);
        let february = if is_leap(year) { 29 } else { 28 };
        let days = match month {
            2 => february,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (year >= 1970 && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }

    /// Its beginning in Unix milliseconds.
    #[must_use]
    pub fn start_ms(self) -> u64 {
        // Years that begin in March have their leap day at the end.
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let month = (u64::from(self.month) + 9) % 12;
        let of_year = (153 * month + 2) / 5 + u64::from(self.day) - 1;
        let since_0000_03_01 = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
        (since_0000_03_01 - 719_468) * DAY_MS
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "authoring")]
impl schemars::JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "description": "A day in UTC, such as \"2026-11-01\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1970-12-31", 364),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2024-02-29", 19_782),
            ("2026-11-01", 20_758),
            ("2100-03-01", 47_541),
            ("9999-12-31", 2_932_896),
        ] {
            let day = Day::parse(text).unwrap();
            assert_eq!((day.start_ms(), day.to_string()), (days * DAY_MS, text.to_owned()));
        }
        for text in [
            "",
            "2026-11",
            "2026-11-1",
            "2026-11-001",
            "2026/11/01",
            "26-11-01",
            "2026-13-01",
            "2026-00-01",
            "2026-11-31",
            "2026-11-00",
            "2026-02-29",
            "2100-02-29",
            "1969-12-31",
            "2026-11-01T00:00:00Z",
            "+026-11-01",
            "2026-1١-01",
        ] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = Day::parse("1970-01-01").unwrap();
        for year in 1970..2110 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let Ok(next) = Day::parse(&format!("{year}-{month:02}-{day:02}")) else { continue };
                    if next != last {
                        assert!(next > last && next.start_ms() == last.start_ms() + DAY_MS, "{next}");
                    }
                    last = next;
                }
            }
        }
    }
}
