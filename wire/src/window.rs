//! Hours of the week in which an origin stays warm: what its server keeps, and what a plan counts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const MINUTES_OF_DAY: u64 = 24 * 60;
const MINUTES_OF_WEEK: u64 = 7 * MINUTES_OF_DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// 1970-01-01 was a Thursday.
const EPOCH_DAY: u64 = 3;

/// `Mon-Fri 08:00-18:00`, in UTC: days, each from the first time up to the second one. A second time that is not later
/// is that of the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From Monday on.
    days: [bool; 7],
    /// Minutes of the day.
    from: u64,
    /// Minutes; at most a day.
    length: u64,
}

impl Window {
    /// Whether this Unix time is within it.
    #[must_use]
    pub fn is_open(&self, unix: Duration) -> bool {
        let minute = (unix.as_secs() / 60 + EPOCH_DAY * MINUTES_OF_DAY) % MINUTES_OF_WEEK;
        self.days.iter().zip(0..).filter(|(on, _)| **on).any(|(_, day)| {
            let begin = day * MINUTES_OF_DAY + self.from;
            (minute + MINUTES_OF_WEEK - begin) % MINUTES_OF_WEEK < self.length
        })
    }
}

/// A text that is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadWindow;

impl fmt::Display for BadWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give days and hours in UTC, such as \"Mon-Fri 08:00-18:00\" or \"Sat,Sun 22:00-02:00\"")
    }
}

impl FromStr for Window {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let (names, hours) = text.trim().split_once(char::is_whitespace).ok_or(BadWindow)?;
        let (from, to) = hours.trim().split_once('-').ok_or(BadWindow)?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == MINUTES_OF_DAY {
            return Err(BadWindow);
        }
        let length = if to > from { to - from } else { to + MINUTES_OF_DAY - from };
        let mut days = [false; 7];
        for part in names.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            for number in 0..=(last + 7 - first) % 7 {
                days[(first + number) % 7] = true;
            }
        }
        Ok(Self { days, from, length })
    }
}

fn day(name: &str) -> Result<usize, BadWindow> {
    DAYS.iter().position(|known| name.eq_ignore_ascii_case(known)).ok_or(BadWindow)
}

/// Of the day, up to 24:00.
fn minutes(text: &str) -> Result<u64, BadWindow> {
    let (hours, minutes) = text.split_once(':').ok_or(BadWindow)?;
    let number = |text: &str, below: u64| match text.parse::<u64>() {
        Ok(number) if text.len() == 2 && number < below && !text.starts_with('+') => Ok(number),
        _ => Err(BadWindow),
    };
    let sum = number(hours, 25)? * 60 + number(minutes, 60)?;
    if sum <= MINUTES_OF_DAY { Ok(sum) } else { Err(BadWindow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of the week that began on Monday 2026-11-23, with a time of that day.
    fn at(day: usize, time: &str) -> Duration {
        let monday = 1_795_392_000;
        Duration::from_secs(monday + (day as u64 * MINUTES_OF_DAY + minutes(time).unwrap()) * 60)
    }

    #[test]
    fn open_and_closed() {
        type Case<'a> = (&'a str, &'a [(usize, &'a str, bool)]);
        let cases: &[Case<'_>] = &[
            (
                "Mon-Fri 08:00-18:00",
                &[
                    (0, "08:00", true),
                    (0, "07:59", false),
                    (4, "17:59", true),
                    (4, "18:00", false),
                    (5, "12:00", false),
                ],
            ),
            // Over midnight, and over the end of the week.
            (
                "sat,SUN 22:00-02:00",
                &[
                    (5, "21:59", false),
                    (5, "22:00", true),
                    (6, "01:59", true),
                    (6, "02:00", false),
                    (0, "01:59", true),
                    (0, "02:00", false),
                    (1, "01:00", false),
                ],
            ),
            ("Sat-Mon 10:00-24:00", &[(0, "23:59", true), (1, "10:00", false), (6, "10:00", true)]),
            (
                "Wed 00:00-00:00",
                &[(1, "23:59", false), (2, "00:00", true), (2, "23:59", true), (3, "00:00", false)],
            ),
            ("Mon-Sun 00:00-24:00", &[(0, "00:00", true), (6, "23:59", true)]),
        ];
        for (text, times) in cases {
            let window: Window = text.parse().unwrap();
            for (day, time, open) in *times {
                assert_eq!(window.is_open(at(*day, time)), *open, "{text}: {day} {time}");
            }
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "Mon",
            "08:00-18:00",
            "Mon 8:00-18:00",
            "Mon 08:00",
            "Mon 08:00-18:60",
            "Mon 08:00-24:01",
            "Mon 24:00-01:00",
            "Monday 08:00-18:00",
            "Mon-Tue-Wed 08:00-18:00",
            "Mon,, 08:00-18:00",
            "Mon +8:00-18:00",
        ] {
            assert_eq!(text.parse::<Window>(), Err(BadWindow), "{text:?}");
        }
    }
}
