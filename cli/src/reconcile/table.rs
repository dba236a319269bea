//! A CSV file with a header row.

use super::figures;
use csv::StringRecord;

pub(super) struct Table {
    /// In lower case.
    columns: Vec<String>,
    records: Vec<StringRecord>,
}

/// One line of the file below its header.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    table: &'a Table,
    cells: &'a StringRecord,
}

/// One cell, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) text: &'a str,
    column: &'a str,
    line: u64,
}

impl Table {
    /// Commas, semicolons or tabs; quotes as in RFC 4180; a byte order mark and blank lines are skipped.
    ///
    /// # Errors
    /// It is no text, or no table.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err("it is UTF-16: save it as CSV in UTF-8".to_owned());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| {
            "it is not UTF-8: save it as CSV in UTF-8; a spreadsheet's own file is no CSV".to_owned()
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(text))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let columns: Vec<_> =
            reader.headers().map_err(problem)?.iter().map(str::to_ascii_lowercase).collect();
        if columns.is_empty() {
            return Err("it is empty: a header row is expected".to_owned());
        }
        let is_again = |(at, column): (usize, &String)| !column.is_empty() && columns[..at].contains(column);
        if let Some((_, column)) = columns.iter().enumerate().find(|place| is_again(*place)) {
            return Err(format!("it has two columns `{column}`"));
        }
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(problem)?;
            // Spreadsheets leave lines of nothing but commas at the end.
            if record.iter().any(|cell| !cell.is_empty()) {
                records.push(record);
            }
        }
        Ok(Self { columns, records })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|cells| Record { table: self, cells })
    }
}

/// The character of the three that the header has most of.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start().lines().next().unwrap_or_default();
    let how_many = |delimiter: &u8| header.bytes().filter(|b| b == delimiter).count();
    // Of equals the last one would be taken.
    b"\t;,".iter().copied().max_by_key(how_many).unwrap_or(b',')
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn problem(error: csv::Error) -> String {
    let line = error.position().map(|position| format!("line {}: ", position.line())).unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}{len} cells where the header has {expected_len}")
        }
        _ => format!("{line}{error}"),
    }
}

impl<'a> Record<'a> {
    /// `None`: there is no such column, or the cell is empty.
    pub(super) fn cell(&self, column: &str) -> Option<Cell<'a>> {
        let at = self.table.columns.iter().position(|name| name == column)?;
        let text = self.cells.get(at).filter(|text| !text.is_empty())?;
        Some(Cell { text, column: &self.table.columns[at], line: self.line() })
    }

    /// The text of a cell; empty where there is none.
    pub(super) fn text(&self, column: &str) -> &'a str {
        self.cell(column).map_or("", |cell| cell.text)
    }

    /// A count; 0 where there is none.
    ///
    /// # Errors
    /// It is no whole number.
    pub(super) fn count(&self, column: &str) -> Result<i128, String> {
        self.cell(column).map_or(Ok(0), |cell| {
            figures::count(cell.text).ok_or_else(|| cell.problem("no whole number, such as 1200"))
        })
    }

    /// An amount in 10^-30 dollars; 0 where there is none.
    ///
    /// # Errors
    /// It is no amount.
    pub(super) fn dollars(&self, column: &str) -> Result<i128, String> {
        self.cell(column).map_or(Ok(0), |cell| {
            figures::dollars(cell.text).ok_or_else(|| cell.problem("no amount of dollars, such as 0.0125"))
        })
    }

    /// The UTC day of the first of these columns that says one: the date itself, or a time in UTC.
    ///
    /// # Errors
    /// There is none, or it is no day.
    pub(super) fn day(&self, columns: &[&str]) -> Result<String, String> {
        let cell = columns
            .iter()
            .find_map(|column| self.cell(column))
            .ok_or_else(|| format!("line {}: there is no day in {}", self.line(), columns.join(" or ")))?;
        day(cell.text).ok_or_else(|| cell.problem("no day in UTC, such as 2026-11-27"))
    }

    pub(super) fn line(&self) -> u64 {
        self.cells.position().map_or(0, csv::Position::line)
    }
}

impl Cell<'_> {
    pub(super) fn problem(&self, what: &str) -> String {
        format!("line {}, {}: `{}` is {what}", self.line, self.column, self.text)
    }
}

/// `2026-11-27`, alone or before a time of day in UTC; or Unix seconds.
fn day(text: &str) -> Option<String> {
    if let Some(seconds) = figures::count(text).filter(|seconds| *seconds > 100_000_000) {
        return Some(moegate::metering::record::day(u64::try_from(seconds).ok()?.checked_mul(1000)?));
    }
    let date = text.get(..10)?;
    let number = |from: usize, to: usize| {
        let digits = date.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u32>().ok())
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let days = match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    let bytes = date.as_bytes();
    let is_date = bytes[4] == b'-' && bytes[7] == b'-' && (1..=days).contains(&day);
    let time = &text[10..];
    let is_utc = time.is_empty() || time.starts_with(['T', ' ']) && !has_offset(time);
    (is_date && is_utc).then(|| date.to_owned())
}

/// Whether the time of day is one of another zone.
fn has_offset(time: &str) -> bool {
    let at = time.find(['+', '-']);
    at.is_some_and(|at| time[at + 1..].bytes().any(|b| !matches!(b, b'0' | b':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        for (text, expected) in [
            ("2026-11-27", Some("2026-11-27")),
            ("2026-11-27T15:00:00+00:00", Some("2026-11-27")),
            ("2026-11-27T15:00:00Z", Some("2026-11-27")),
            ("2026-11-27 15:00", Some("2026-11-27")),
            ("2024-02-29", Some("2024-02-29")),
            ("1759622400", Some("2025-10-05")),
            ("1759622400.0", Some("2025-10-05")),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-11-00", None),
            ("2026-11-27T15:00:00+02:00", None),
            ("2026-11-27T15:00:00-08:00", None),
            ("27.11.2026", None),
            ("2026-11-2", None),
            ("2026-11-277", None),
            ("é026-11-27", None),
            ("5", None),
        ] {
            assert_eq!(day(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn tables_as_spreadsheets_write_them() {
        for text in [
            "A,b\r\n1,\"x, y\"\r\n\r\n,\r\n",
            "\u{feff}A;b\n1;\"x, y\"\n",
            "A\tb\n1\tx, y\n",
            "\"A\",\"b\"\n\"1\",\"x, y\"",
            " A , b \n 1 ,\"x, y\"\n",
        ] {
            let table = Table::read(text.as_bytes()).unwrap();
            assert_eq!(table.columns(), ["a", "b"], "{text}");
            let cells: Vec<_> = table.records().map(|record| (record.text("a"), record.text("b"))).collect();
            assert_eq!(cells, [("1", "x, y")], "{text}");
        }
    }

    #[test]
    fn what_is_no_table() {
        let problem = |bytes: &[u8]| Table::read(bytes).err().unwrap();
        assert!(problem(b"").contains("empty"));
        assert!(problem(b"\xFF\xFEa\0").contains("UTF-16"));
        assert!(problem(b"a,b\n\xE9,1\n").contains("not UTF-8"));
        assert!(problem(b"a,b,A\n").contains("two columns `a`"));
        assert_eq!(problem(b"a,b\n1,2\n1\n"), "line 3: 1 cells where the header has 2");
    }
}
