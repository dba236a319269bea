//! Bytes that came in, and bodies that go out.

use super::exchange::Exchange;
use super::operation::Settled;
use crate::platform::Payload;
use js_sys::Uint8Array;
use std::ops::Deref;
use std::rc::Rc;
use wasm_bindgen::JsCast;

/// Above this many bytes the copy in wasm is the only one: two of a large body at a time are all that an isolate's 128 MB
/// have room for. `entry.js` puts no larger body together from its chunks either.
const LARGE: usize = 1 << 20;

/// A copy in wasm; and, unless it is large, the array that it came as, to be passed on.
#[derive(Clone)]
pub(super) struct Bytes(Rc<Inner>);

struct Inner {
    copy: Vec<u8>,
    array: Option<Uint8Array>,
}

impl Bytes {
    /// Takes over what an operation was settled with: the length, and the bytes in whatever way they came.
    pub(super) fn take(exchange: &Exchange, settled: Settled) -> Self {
        let length = usize::try_from(settled.code).unwrap_or_default();
        if length == 0 {
            return Self(Rc::new(Inner { copy: Vec::new(), array: None }));
        }
        if length > LARGE {
            let mut copy = vec![0; length];
            exchange.fill(&mut copy, &settled.value);
            return Self(Rc::new(Inner { copy, array: None }));
        }
        let array: Uint8Array = settled.value.unchecked_into();
        let copy = array.to_vec();
        Self(Rc::new(Inner { copy, array: Some(array) }))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.copy
    }
}

/// A body as JavaScript takes it. Nothing is put together in wasm that is large.
pub(super) fn outgoing(payload: &Payload<Bytes>) -> Option<Uint8Array> {
    match payload {
        Payload::Empty => None,
        Payload::Passed(bytes) => {
            Some(bytes.0.array.clone().unwrap_or_else(|| Uint8Array::new_from_slice(&bytes.0.copy)))
        }
        Payload::Own(bytes) => Some(Uint8Array::new_from_slice(bytes)),
        Payload::Edited(..) => {
            let length = payload.len();
            if length <= LARGE {
                let mut whole = Vec::with_capacity(length);
                payload.pieces(|piece| whole.extend_from_slice(piece));
                return Some(Uint8Array::new_from_slice(&whole));
            }
            // wasm32: a length fits.
            let whole = Uint8Array::new_with_length(length as u32);
            let mut at = 0;
            payload.pieces(|piece| {
                let end = at + piece.len() as u32;
                whole.subarray(at, end).copy_from(piece);
                at = end;
            });
            Some(whole)
        }
    }
}
