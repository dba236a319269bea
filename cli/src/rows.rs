//! The ledger's export, a row of JSON for each attempt at an origin (`docs/concepts/usage.md`).

use serde::Deserialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What the commands read of an attempt. Members that say nothing may be absent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) origin: String,
    /// The model's name at the origin.
    #[serde(default)]
    pub(crate) served_model: String,
    /// 0: there was none.
    #[serde(default)]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) ending: String,
    #[serde(default)]
    pub(crate) usage: Tokens,
    /// Whether the counts are known.
    #[serde(default = "yes")]
    pub(crate) metered: bool,
    #[serde(default)]
    pub(crate) cost_nanodollars: u64,
    /// What the origin itself says that it costs.
    pub(crate) upstream_cost_nanodollars: Option<u64>,
    /// What it can cost at most.
    #[serde(default)]
    pub(crate) bound_nanodollars: u64,
    /// Unix milliseconds.
    pub(crate) started_ms: u64,
    /// Milliseconds.
    #[serde(default)]
    pub(crate) ended_after_ms: u64,
    /// Micro-seconds in which an own origin computed for it: its share where several ran at once.
    pub(crate) busy_us: Option<u64>,
    /// An answer out of the cache: its origin was not asked.
    #[serde(default)]
    cache_hit: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    #[default]
    Settled,
    /// What it used is not known exactly: it stands at what was seen of it, or at its bound where nothing was.
    Estimated,
    /// Not over, or not reconciled yet: it stands at its bound.
    Pending,
}

/// `cached` and `cache_write` are parts of `prompt`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Tokens {
    #[serde(default)]
    pub(crate) prompt: u64,
    #[serde(default)]
    pub(crate) cached: u64,
    #[serde(default)]
    pub(crate) cache_write: u64,
    #[serde(default)]
    pub(crate) completion: u64,
}

fn yes() -> bool {
    true
}

impl Row {
    /// Nano-dollars at which the attempt is booked.
    pub(crate) fn booked(&self) -> u64 {
        match self.state {
            State::Pending => self.highest(),
            State::Settled | State::Estimated => self.cost_nanodollars,
        }
    }

    /// Nano-dollars that it can have cost at most.
    pub(crate) fn highest(&self) -> u64 {
        match self.state {
            State::Settled => self.cost_nanodollars,
            State::Estimated | State::Pending => self.cost_nanodollars.max(self.bound_nanodollars),
        }
    }

    pub(crate) fn used_something(&self) -> bool {
        self.usage.prompt > 0 || self.usage.completion > 0 || self.cost_nanodollars > 0
    }
}

/// The last line of an answer that does not hold everything (`GET /usage/export`).
#[derive(Deserialize)]
struct More {
    next_cursor: String,
}

/// Gives each attempt's row to `take`; answers out of the cache are none.
///
/// # Errors
/// The file (`-`: standard input) cannot be read, a line is no row, a row is there twice, or the export goes on.
pub(crate) fn read(file: &Path, mut take: impl FnMut(Row) -> Result<(), String>) -> Result<(), String> {
    let name = name(file);
    let input: Box<dyn BufRead> = if is_standard_input(file) {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        Box::new(BufReader::new(opened))
    };
    let (mut ids, mut more) = (HashSet::new(), None);
    for (number, line) in (1u64..).zip(input.lines()) {
        let line = line.map_err(|error| format!("cannot read {name}, line {number}: {error}"))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let row: Row = match serde_json::from_str(line) {
            Ok(row) => row,
            Err(error) => {
                let Ok(found) = serde_json::from_str::<More>(line) else {
                    return Err(format!(
                        "{name}, line {number} is no row of the ledger's export as JSONL: {error}"
                    ));
                };
                more = Some(found.next_cursor);
                continue;
            }
        };
        more = None;
        if !ids.insert(row.id.clone()) {
            return Err(format!(
                "{name}, line {number}: the attempt {} is there twice; export again, once for each time and tenant",
                row.id
            ));
        }
        if !row.cache_hit {
            take(row)?;
        }
    }
    more.map_or(Ok(()), |cursor| {
        Err(format!(
            "{name} is only the beginning of the export: fetch the same address with &cursor={cursor} too and append that; if \
             nothing comes, delete the last line"
        ))
    })
}

pub(crate) fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// What messages call it.
pub(crate) fn name(file: &Path) -> String {
    if is_standard_input(file) { "standard input".to_owned() } else { file.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moegate::metering::record::Record;

    /// A record as the gateway writes it is a row.
    #[test]
    fn records_are_rows() {
        let text = r#"{"id":"01J-2","state":"estimated","attempt":2,"last":true,"key":"app","tenant":"acme","model":"chat",
            "route":"chat","served_model":"scout","origin":"gpu","stream":true,"status":200,"ending":"cancelled",
            "usage":{"prompt":10,"cached":4,"cache_write":3,"completion":7,"reasoning":2},"metered":false,"inferred":true,
            "cost_nanodollars":25,"bound_nanodollars":900,"upstream_cost_nanodollars":26,"started_ms":1793707200000,
            "head_after_ms":5,"ended_after_ms":900,"busy_us":1234}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        let row: Row = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        let usage = row.usage;
        assert_eq!((usage.prompt, usage.cached, usage.cache_write, usage.completion), (10, 4, 3, 7));
        assert_eq!((&*row.id, &*row.origin, &*row.served_model), ("01J-2", "gpu", "scout"));
        assert_eq!(
            (row.state, row.metered, row.status, &*row.ending),
            (State::Estimated, false, 200, "cancelled")
        );
        assert_eq!((row.booked(), row.highest(), row.upstream_cost_nanodollars), (25, 900, Some(26)));
        assert_eq!((row.started_ms, row.ended_after_ms, row.busy_us), (1_793_707_200_000, 900, Some(1234)));
    }
}
