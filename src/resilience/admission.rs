//! How many bytes of request bodies an instance holds at once. A Worker has 128 MB in all; past that the runtime ends the
//! instance with everything in flight.

/// Bytes of the bodies that are being read or kept.
#[derive(Debug, Default)]
pub struct BytesInFlight(u64);

impl BytesInFlight {
    /// Reserves `bytes` more if they fit under `limit`.
    pub fn reserve(&mut self, bytes: u64, limit: u64) -> bool {
        let fits = self.0.saturating_add(bytes) <= limit;
        if fits {
            self.0 += bytes;
        }
        fits
    }

    /// Gives back what was reserved.
    pub fn release(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_reserves_nothing() {
        let mut bytes = BytesInFlight::default();
        assert!(bytes.reserve(6, 10) && !bytes.reserve(5, 10) && bytes.reserve(4, 10));
        assert_eq!(bytes.bytes(), 10);
        bytes.release(6);
        assert!(bytes.reserve(6, 10) && !bytes.reserve(u64::MAX, 10));
    }
}
