//! Bytes on their way out: as they came, with changes, or made here.

use std::ops::{Deref, Range};

/// A span of a body to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    pub text: String,
}

/// In the order of their spans.
pub fn sort_edits(edits: &mut [Edit]) {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
}

/// A body or a chunk to send. A platform writes [`Payload::pieces`] one after the other, or passes on its own handle of
/// what is [`Payload::Passed`]; nobody has to put a large body together first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<B> {
    Empty,
    /// Bytes that came in, as they are.
    Passed(B),
    /// Bytes made here.
    Own(Vec<u8>),
    /// Bytes that came in, with spans replaced; the spans are sorted and do not overlap.
    Edited(B, Vec<Edit>),
}

/// `base` with the edits put in; they are sorted and do not overlap.
#[must_use]
pub fn edited(base: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    Payload::Edited(base, edits).into_vec()
}

impl<B: Deref<Target = [u8]>> Payload<B> {
    /// Calls `f` with what to send, piece by piece.
    pub fn pieces(&self, mut f: impl FnMut(&[u8])) {
        match self {
            Self::Empty => {}
            Self::Passed(bytes) => f(bytes),
            Self::Own(bytes) => f(bytes),
            Self::Edited(bytes, edits) => {
                let mut from = 0;
                for edit in edits {
                    f(&bytes[from..edit.span.start]);
                    f(edit.text.as_bytes());
                    from = edit.span.end;
                }
                f(&bytes[from..]);
            }
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut sum = 0;
        self.pieces(|piece| sum += piece.len());
        sum
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it in one piece.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if let Self::Own(bytes) = self {
            return bytes;
        }
        let mut out = Vec::with_capacity(self.len());
        self.pieces(|piece| out.extend_from_slice(piece));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_put_in_their_places() {
        let edit = |span, text: &str| Edit { span, text: text.to_owned() };
        for (edits, expected) in [
            (vec![], "abcdef"),
            (vec![edit(0..0, "x"), edit(2..4, "")], "xabef"),
            (vec![edit(1..2, "yy"), edit(6..6, "!")], "ayycdef!"),
        ] {
            let payload = Payload::Edited(&b"abcdef"[..], edits);
            assert_eq!(payload.len(), expected.len());
            assert_eq!(payload.into_vec(), expected.as_bytes());
        }
    }
}
