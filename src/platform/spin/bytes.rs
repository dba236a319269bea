//! Bytes that came in.

use std::ops::Deref;
use std::rc::Rc;

/// A body or chunk. A clone shares it; the last holder can have the buffer itself.
#[derive(Clone, Debug)]
pub(super) struct Bytes(Rc<Vec<u8>>);

impl Bytes {
    /// The buffer, if nobody else holds it.
    pub(super) fn into_buffer(self) -> Result<Vec<u8>, Self> {
        Rc::try_unwrap(self.0).map_err(Self)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(buffer: Vec<u8>) -> Self {
        Self(Rc::new(buffer))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
