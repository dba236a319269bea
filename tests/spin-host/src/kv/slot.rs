//! The one connection that every instance shares, and who holds it.
//!
//! The real runtime keeps its SQLite connection in a `std::sync::Mutex`: a panic while it is held poisons it for good,
//! and a `get_keys` stream holds it until the last key is taken. This is that mutex with a bound on the waiting, so
//! that a test which walks into the deadlock ends.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct State<T> {
    value: Option<T>,
    poisoned: bool,
    held_by_stream: bool,
}

/// A value that one caller at a time may hold.
pub(crate) struct Slot<T>(Arc<(Mutex<State<T>>, Condvar)>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Why a [`Slot`] could not be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A holder panicked. The real runtime panics here too, at every later call.
    Poisoned,
    /// A `get_keys` stream kept it for longer than the bound. The real runtime would wait for ever.
    HeldByStream,
}

impl<T> Slot<T> {
    pub(crate) fn new(value: T) -> Self {
        let state = State { value: Some(value), poisoned: false, held_by_stream: false };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// Waits for the value: without limit behind another call, up to `bound` behind a stream.
    pub(crate) fn hold(&self, bound: Duration) -> Result<Held<T>, Refused> {
        self.take(bound, false)
    }

    /// Waits for the value without limit, and says to those who wait that a stream has it.
    pub(crate) fn hold_for_stream(&self) -> Result<Held<T>, Refused> {
        self.take(Duration::MAX, true)
    }

    /// The same where nobody holds it.
    pub(crate) fn hold_for_stream_now(&self) -> Option<Held<T>> {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.poisoned {
            return None;
        }
        let value = state.value.take()?;
        state.held_by_stream = true;
        Some(Held { value: Some(value), slot: self.clone() })
    }

    fn take(&self, bound: Duration, for_stream: bool) -> Result<Held<T>, Refused> {
        let (mutex, freed) = &*self.0;
        // Nothing panics while this inner mutex is held, so its own poison means nothing.
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let mut behind_stream_since: Option<Instant> = None;
        loop {
            if state.poisoned {
                return Err(Refused::Poisoned);
            }
            if let Some(value) = state.value.take() {
                state.held_by_stream = for_stream;
                return Ok(Held { value: Some(value), slot: self.clone() });
            }
            if state.held_by_stream {
                let since = *behind_stream_since.get_or_insert_with(Instant::now);
                let left = bound.saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(Refused::HeldByStream);
                }
                state = freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                behind_stream_since = None;
                state = freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// The value while it is held; given back when dropped, poisoned when dropped by a panic.
pub(crate) struct Held<T> {
    /// `None` only inside `drop`.
    value: Option<T>,
    slot: Slot<T>,
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Only `drop` empties it.
        self.value.as_ref().expect("held")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        // Only `drop` empties it.
        self.value.as_mut().expect("held")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let (mutex, freed) = &*self.slot.0;
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        state.value = self.value.take();
        state.held_by_stream = false;
        state.poisoned |= std::thread::panicking();
        drop(state);
        freed.notify_all();
    }
}
