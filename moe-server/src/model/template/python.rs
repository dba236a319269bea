//! What Hugging Face's template environment offers beyond Jinja, as Python would print it.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, ValueKind},
};
use serde_json::Value as Json;

/// `tojson` as `json.dumps(value, ensure_ascii=False, indent=…)` writes it: `", "` and `": "`, and no HTML escapes.
#[allow(clippy::needless_pass_by_value, reason = "the form that minijinja takes filters in")]
pub(super) fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<Value>>("indent")?,
    };
    let indent = match indent {
        Some(indent) if indent.kind() == ValueKind::Number => Some(usize::try_from(indent)?.min(16)),
        _ => None,
    };
    // Often written out, as they are by default.
    for option in ["ensure_ascii", "sort_keys"] {
        if options.get::<Option<bool>>(option)? == Some(true) {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson does not support {option}")));
        }
    }
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut out = String::new();
    dump(&json, indent, 0, &mut out);
    Ok(Value::from(out))
}

fn dump(value: &Json, indent: Option<usize>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| match indent {
        Some(width) => {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
        None if out.ends_with(',') => out.push(' '),
        None => {}
    };
    match value {
        Json::Array(values) if !values.is_empty() => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                dump(value, indent, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Json::Object(entries) if !entries.is_empty() => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                dump_string(key, out);
                out.push_str(": ");
                dump(value, indent, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Json::String(text) => dump_string(text, out),
        other => {
            // Writing to a string does not fail.
            let _ = write!(out, "{other}");
        }
    }
}

fn dump_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Python's `datetime.strftime` in UTC for the directives that chat templates use.
pub(super) fn strftime(format: &str, now: SystemTime) -> Result<String, Error> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let month_name =
        usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or("");
    let day_name = usize::try_from(days % 7).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or("");

    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let directive = characters.next();
        let written = match directive {
            Some('Y') => write!(out, "{year}"),
            Some('y') => write!(out, "{:02}", year % 100),
            Some('m') => write!(out, "{month:02}"),
            Some('d') => write!(out, "{day:02}"),
            Some('B') => write!(out, "{month_name}"),
            Some('b') => write!(out, "{}", &month_name[..3]),
            Some('A') => write!(out, "{day_name}"),
            Some('a') => write!(out, "{}", &day_name[..3]),
            Some('H') => write!(out, "{:02}", second / 3600),
            Some('M') => write!(out, "{:02}", second / 60 % 60),
            Some('S') => write!(out, "{:02}", second % 60),
            Some('F') => write!(out, "{year}-{month:02}-{day:02}"),
            Some('T') => write!(out, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
            Some('%') => write!(out, "%"),
            _ => {
                let directive = directive.map_or_else(String::new, String::from);
                let why = format!("strftime_now does not support %{directive}");
                return Err(Error::new(ErrorKind::InvalidOperation, why));
            }
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    Ok(out)
}

/// Year, month and day from days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "Thu 01 Jan 1970 00:00:00"),
            (951_782_400, "Tue 29 Feb 2000 00:00:00"),
            (1_735_689_599, "Tue 31 Dec 2024 23:59:59"),
            (1_743_811_200, "Sat 05 Apr 2025 00:00:00"),
            (4_107_542_400, "Mon 01 Mar 2100 00:00:00"),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(strftime("%a %d %b %Y %H:%M:%S", now).unwrap(), expected);
        }
        let now = UNIX_EPOCH + Duration::from_secs(1_743_811_200);
        assert_eq!(
            strftime("%A %B %y %F %T 100%%", now).unwrap(),
            "Saturday April 25 2025-04-05 00:00:00 100%"
        );
        assert!(strftime("%Q", now).unwrap_err().to_string().contains("%Q"));
        assert!(strftime("%", now).is_err());
    }
}
