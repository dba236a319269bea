//! Byte-pair merging: the lowest-ranked pair first, the leftmost of equals.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::ids::TokenId;

use super::index::Index;

const NONE: usize = usize::MAX;
/// Not a token: marks a symbol that its left neighbour has swallowed.
const DEAD: TokenId = TokenId::MAX;

struct Symbol {
    token: TokenId,
    before: usize,
    after: usize,
}

/// A pair that could be merged when it was seen: its rank, the place of its left symbol, the pair.
type Candidate = Reverse<(u32, usize, TokenId, TokenId)>;

impl Index {
    /// Appends the tokens of one piece of text. Time is n·log n in the piece's length.
    pub(super) fn encode(&self, piece: &[u8], out: &mut Vec<TokenId>) {
        let mut symbols: Vec<Symbol> = (0..)
            .zip(piece)
            .map(|(at, byte): (usize, _)| Symbol {
                token: self.byte_token(*byte),
                before: at.checked_sub(1).unwrap_or(NONE),
                after: if at + 1 < piece.len() { at + 1 } else { NONE },
            })
            .collect();
        let mut candidates: BinaryHeap<Candidate> =
            (1..symbols.len()).filter_map(|right| self.candidate(&symbols, right - 1, right)).collect();

        while let Some(Reverse((_, left, left_token, right_token))) = candidates.pop() {
            let right = symbols[left].after;
            // Either may have been merged with another since.
            if symbols[left].token != left_token || right == NONE || symbols[right].token != right_token {
                continue;
            }
            let Some((_, merged)) = self.merge(left_token, right_token) else { continue };
            let after = symbols[right].after;
            symbols[left].token = merged;
            symbols[left].after = after;
            symbols[right].token = DEAD;
            if after != NONE {
                symbols[after].before = left;
                candidates.extend(self.candidate(&symbols, left, after));
            }
            let before = symbols[left].before;
            if before != NONE {
                candidates.extend(self.candidate(&symbols, before, left));
            }
        }
        out.extend(symbols.iter().map(|symbol| symbol.token).filter(|token| *token != DEAD));
    }

    fn candidate(&self, symbols: &[Symbol], left: usize, right: usize) -> Option<Candidate> {
        let pair = (symbols[left].token, symbols[right].token);
        let (rank, _) = self.merge(pair.0, pair.1)?;
        Some(Reverse((rank, left, pair.0, pair.1)))
    }
}
