//! What is not delivered yet, in memory, in the order of its running numbers.

use super::line::{Entry, Numbered};
use moegate_wire::{Period, Receipt};
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Numbered>,
    /// The number of each hour's entry, by instance and hour.
    periods: HashMap<(String, u64), u64>,
}

/// The oldest entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) receipts: Vec<Receipt>,
    pub(super) periods: Vec<Period>,
    /// The number of the last.
    pub(super) upto: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Its number is larger than all before. A period takes the place of an earlier one of its hour.
    pub(super) fn push(&mut self, numbered: Numbered) {
        if let Entry::Period(period) = &numbered.entry {
            let key = (period.origin_instance.clone(), period.hour_ms);
            if let Some(before) = self.periods.insert(key, numbered.n)
                && let Ok(at) = self.entries.binary_search_by_key(&before, |entry| entry.n)
            {
                self.entries.remove(at);
            }
        }
        self.entries.push_back(numbered);
    }

    pub(super) fn batch(&self, most: usize) -> Option<Batch> {
        let mut batch = Batch { receipts: Vec::new(), periods: Vec::new(), upto: 0 };
        for Numbered { n, entry } in self.entries.iter().take(most) {
            batch.upto = *n;
            match entry {
                Entry::Receipt(receipt) => batch.receipts.push(receipt.clone()),
                Entry::Period(period) => batch.periods.push(period.clone()),
            }
        }
        (batch.upto > 0).then_some(batch)
    }

    /// Takes out everything up to this number.
    pub(super) fn take_upto(&mut self, upto: u64) -> Vec<Entry> {
        let count = self.entries.partition_point(|entry| entry.n <= upto);
        let taken: Vec<Entry> = self.entries.drain(..count).map(|numbered| numbered.entry).collect();
        if count > 0 {
            self.periods.retain(|_, n| *n > upto);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::{period, receipt};
    use super::*;

    #[test]
    fn batches_are_the_oldest_and_hours_are_in_it_once() {
        let mut queue = Queue::default();
        assert_eq!(queue.batch(9), None);
        let entries = [
            Entry::Receipt(receipt("a")),
            Entry::Period(period(0, 1)),
            Entry::Receipt(receipt("b")),
            Entry::Period(period(3_600_000, 1)),
            Entry::Period(period(0, 2)),
            Entry::Receipt(receipt("c")),
        ];
        for (n, entry) in (1..).zip(entries) {
            queue.push(Numbered { n, entry });
        }
        let first = queue.batch(3).unwrap();
        assert_eq!(first.receipts, [receipt("a"), receipt("b")]);
        assert_eq!((first.periods.as_slice(), first.upto), ([period(3_600_000, 1)].as_slice(), 4));
        assert_eq!(queue.batch(3), Some(first), "until it is taken out");
        queue.push(Numbered { n: 7, entry: Entry::Period(period(3_600_000, 9)) });
        assert_eq!(queue.take_upto(4).len(), 2, "the hour has a newer entry by now");
        let rest = queue.batch(9).unwrap();
        assert_eq!((rest.receipts.len(), rest.periods.len(), rest.upto), (1, 2, 7));
        assert_eq!((queue.take_upto(7).len(), queue.len()), (3, 0));
        assert!(queue.periods.is_empty());
    }
}
