//! What a client got of a stream, where it may have to be given again.

use crate::resilience::idempotency::LARGEST;

/// Nothing once it is too much.
#[derive(Debug, Default)]
pub struct Transcript(Option<Vec<u8>>);

impl Transcript {
    /// An empty one, to be filled.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Vec::new()))
    }

    pub fn add(&mut self, bytes: &[u8]) {
        let fits = self.0.as_ref().is_some_and(|copy| copy.len() + bytes.len() <= LARGEST);
        if fits {
            self.0.iter_mut().for_each(|copy| copy.extend_from_slice(bytes));
        } else {
            self.0 = None;
        }
    }

    /// The text, if it did not get too large.
    #[must_use]
    pub fn text(self) -> Option<String> {
        String::from_utf8(self.0?).ok()
    }
}
