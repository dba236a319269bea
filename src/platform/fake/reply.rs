//! The body of a reply that is being written.

use super::Client;
use super::world::World;

/// Breaks the client's connection off when it is dropped before it is closed.
pub struct Outgoing<'a> {
    client: &'a Client<'a>,
    world: &'a World,
    is_open: bool,
    writing: Writing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// All that was written is out.
    Idle,
    /// A write has begun and is not ready.
    Begun,
    /// One was dropped, and the last one has begun.
    Last,
    /// One was dropped, and the last one is out.
    Over,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(client: &'a Client<'a>, world: &'a World) -> Self {
        Self { client, world, is_open: true, writing: Writing::Idle }
    }

    /// # Panics
    /// If a write was dropped, and this is neither the first nor the last after it.
    pub(super) fn begin_write(&mut self) {
        self.writing = match self.writing {
            Writing::Idle => Writing::Begun,
            Writing::Begun => Writing::Last,
            Writing::Last | Writing::Over => panic!("it is written on, though a write was dropped"),
        };
    }

    pub(super) fn written(&mut self) {
        self.writing = if self.writing == Writing::Begun { Writing::Idle } else { Writing::Over };
    }

    pub(super) fn closed(&mut self) {
        self.is_open = false;
        self.client.close(self.world);
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.client.break_off(self.world);
        }
    }
}
