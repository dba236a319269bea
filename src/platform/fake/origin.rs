//! The origin's side of a connection: it plays its script piece by piece, in its own time.

use super::clock::NEVER;
use super::script::{Arrived, COMMENT, End, Piece, Scripted};
use super::world::World;
use super::{Bytes, Client, Fake};
use crate::platform::{Broken, Payload};
use http::Request;
use std::collections::VecDeque;
use std::future::pending;

/// Between two comments of [`End::Endless`].
const COMMENT_MS: u64 = 20;

/// Records that the gateway closed it, unless it was at its end.
pub(super) struct Connection<'a> {
    world: &'a World,
    number: usize,
    is_open: bool,
}

impl<'a> Connection<'a> {
    pub(super) fn new(world: &'a World, number: usize) -> Self {
        Self { world, number, is_open: true }
    }

    pub(super) fn end(&mut self) {
        self.is_open = false;
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.world.drop_connection(self.number);
        }
    }
}

/// What is left of a scripted answer.
pub struct Incoming<'a> {
    connection: Connection<'a>,
    pieces: VecDeque<Piece>,
    end: End,
    /// When the origin sends the next piece, at the earliest.
    next_ms: u64,
    /// A read has begun and is not ready.
    is_reading: bool,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(connection: Connection<'a>, scripted: Scripted) -> Self {
        let next_ms = connection.world.clock.now_ms();
        Self { connection, pieces: scripted.pieces.into(), end: scripted.end, next_ms, is_reading: false }
    }

    /// From here on a future that is dropped may have lost a chunk.
    ///
    /// # Panics
    /// If one was.
    pub(super) fn begin_read(&mut self) {
        assert!(!self.is_reading, "a body is read on, though a read was dropped that may have lost a chunk");
        self.is_reading = true;
    }

    pub(super) async fn next(&mut self, client: &Client<'_>) -> Result<Option<Bytes>, Broken> {
        let next = self.play(client).await;
        self.is_reading = false;
        next
    }

    async fn play(&mut self, client: &Client<'_>) -> Result<Option<Bytes>, Broken> {
        let world = self.connection.world;
        while let Some(piece) = self.pieces.front() {
            match piece {
                Piece::Until(bytes) => {
                    client.has(*bytes).await;
                    self.next_ms = self.next_ms.max(world.clock.now_ms());
                }
                Piece::After(ms) => self.next_ms = self.next_ms.saturating_add(*ms),
                // A chunk of none ends nothing, and is none.
                Piece::Bytes(bytes) if bytes.is_empty() => {}
                Piece::Bytes(_) => world.clock.until(self.next_ms).await,
            }
            if let Some(Piece::Bytes(bytes)) = self.pieces.pop_front().filter(Piece::has_bytes) {
                return Ok(Some(Bytes::from(bytes)));
            }
        }
        world.clock.until(self.next_ms).await;
        match self.end {
            End::Clean => {
                self.connection.end();
                Ok(None)
            }
            End::Cut | End::Reset => {
                self.connection.end();
                Err(Broken)
            }
            End::Stall => {
                self.next_ms = NEVER;
                pending().await
            }
            End::Endless => {
                self.next_ms = world.clock.now_ms() + COMMENT_MS;
                Ok(Some(Bytes::from(COMMENT.as_bytes().to_vec())))
            }
        }
    }
}

impl Fake<'_> {
    /// The request as an origin gets it.
    pub(super) fn arrived(&self, request: Request<Payload<Bytes>>) -> Arrived {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            assert!(
                value.is_sensitive() || !self.world.has_secret(&text),
                "a secret in a header that is not marked as sensitive: {name}"
            );
            (name.as_str().to_owned(), text)
        });
        Arrived {
            at_ms: self.world.now_ms(),
            headers: headers.collect(),
            authority: head.uri.authority().map_or_else(String::new, ToString::to_string),
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            body: body.into_vec(),
        }
    }
}
