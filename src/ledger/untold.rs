//! Operations that the ledger has not taken yet.

use std::collections::VecDeque;

/// Bytes of operations that an instance remembers at most; the oldest go first. All of them are in the log.
const ROOM: usize = 4 * 1024 * 1024;

/// Of one instance, in their order.
#[derive(Debug, Default)]
pub struct Untold {
    operations: VecDeque<(String, String)>,
    bytes: usize,
}

impl Untold {
    pub fn push(&mut self, shard: &str, operation: String) {
        self.bytes += operation.len();
        self.operations.push_back((shard.to_owned(), operation));
        while self.bytes > ROOM && self.pop().is_some() {}
    }

    pub fn pop(&mut self) -> Option<(String, String)> {
        let first = self.operations.pop_front()?;
        self.bytes -= first.1.len();
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut untold = Untold::default();
        for number in 0..5 {
            untold.push("s", format!("{number}{}", "x".repeat(ROOM / 3)));
        }
        let left: Vec<_> =
            std::iter::from_fn(|| untold.pop()).map(|(_, text)| text[..1].to_owned()).collect();
        assert_eq!((left, untold.bytes), (vec!["3".to_owned(), "4".to_owned()], 0));
    }
}
