//! One line of the outbox's files: 16 hex digits of a checksum, a space, JSON, a line feed.

use moegate_wire::{Period, Receipt, sign::to_hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Entry {
    Receipt(Receipt),
    Period(Period),
}

/// An entry and its running number: 1 and up within one outbox, without end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbered {
    pub(super) n: u64,
    #[serde(flatten)]
    pub(super) entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Entry(Numbered),
    /// Everything up to this number is delivered.
    Acked {
        acked: u64,
    },
}

/// The first 8 bytes of SHA-256: against chance, not against anybody.
fn checksum(json: &[u8]) -> String {
    let mut hex = to_hex(&Sha256::digest(json));
    hex.truncate(16);
    hex
}

/// With its line feed.
pub(super) fn encode(line: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(line)?;
    Ok(format!("{} {json}\n", checksum(json.as_bytes())))
}

/// A line without its line feed; `None` where it is not what was written.
pub(super) fn decode(line: &[u8]) -> Option<Line> {
    let (sum, json) = (line.get(..16)?, line.get(17..)?);
    let whole = line[16] == b' ' && sum == checksum(json).as_bytes();
    whole.then(|| serde_json::from_slice(json).ok()).flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use moegate_wire::{Ending, Nanodollars, Usage};

    pub(in crate::outbox) fn receipt(id: &str) -> Receipt {
        Receipt {
            id: id.to_owned(),
            model: "m".to_owned(),
            usage: Usage::default(),
            ending: Ending::Complete,
            finish_reason: None,
            created_ms: 1,
            queue_us: 2,
            prefill_us: 3,
            decode_us: 4,
            busy_us: 5,
            cost: Nanodollars(6),
        }
    }

    pub(in crate::outbox) fn period(hour_ms: u64, busy_us: u64) -> Period {
        Period { origin_instance: "i".to_owned(), hour_ms, busy_us, idle_us: 0, cold_us: 0 }
    }

    #[test]
    fn lines_come_back_and_anything_else_does_not() {
        let lines = [
            Line::Entry(Numbered { n: 1, entry: Entry::Receipt(receipt("é\n\"")) }),
            Line::Entry(Numbered { n: u64::MAX, entry: Entry::Period(period(3_600_000, 7)) }),
            Line::Acked { acked: 3 },
        ];
        for line in lines {
            let text = encode(&line).unwrap();
            let text = text.strip_suffix('\n').unwrap().as_bytes();
            assert!(!text.contains(&b'\n'));
            assert_eq!(decode(text), Some(line));
            for at in 0..text.len() {
                assert_eq!(decode(&text[..at]), None);
                let mut other = text.to_vec();
                other[at] ^= 1;
                assert_eq!(decode(&other), None, "{at}");
            }
        }
        assert_eq!(decode(&[0; 40]), None);
    }
}
