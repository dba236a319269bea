//! A platform for tests, in process: a manual clock, a store in memory, scripted origins.
//!
//! It means the same as `cloudflare` does (glue.mjs, stream.mjs): the contract suite holds both to it. Every future is
//! ready when it is first polled, so [`serve`] needs no runtime. What would wait for ever panics instead.

mod client;
mod script;
mod world;

pub use client::{Client, Got};
pub use script::{Arrived, COMMENT, End, Piece, Responder, Script, Scripted};
pub use world::{Stored, World};

use crate::core::attempt::{AnswerHeaders, Outbound, OutboundBody, SendError};
use crate::core::config::{Authority, Config};
use crate::core::error::ApiError;
use crate::core::secret::Secret;
use crate::core::stream::{Forward, Scanner};
use crate::gateway;
use crate::platform::{
    Answer, AnswerBody, BodyError, Delivery, Head, Page, Platform, Reply, ReplyBody, StoreError,
};
use moegate_wire::Ending;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Serves one request and says what the client got.
///
/// # Panics
/// If the request would wait for ever.
pub fn serve(world: &World, config: &Config, head: &Head, client: Client<'_>) -> Got {
    let fake = Fake { world, client };
    {
        let mut future = pin!(gateway::handle(&fake, config, head));
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(()), "the fake platform has no future that waits");
    }
    fake.client.into_got()
}

/// The platform for one request.
struct Fake<'a> {
    world: &'a World,
    client: Client<'a>,
}

/// The rest of a scripted answer; its first chunk is the first piece.
struct Stream {
    pieces: Vec<Piece>,
    end: End,
    /// Which of the world's arrived requests it answers.
    number: usize,
}

impl Platform for Fake<'_> {
    type Body = Vec<u8>;
    type Stream = Stream;

    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    fn random(&self) -> [u8; 10] {
        self.world.random()
    }

    async fn secret(&self, name: &str) -> Option<Secret> {
        self.world.secret(name)
    }

    async fn read_body(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        self.client.body(limit)
    }

    async fn send(&self, request: Outbound, limit: usize) -> Result<Answer<Stream>, SendError> {
        // A receipt is still asked for when the client has gone; an answer is not.
        let watched = request.method != "GET";
        if watched && self.client.has_left() {
            return Err(SendError::Cancelled);
        }
        let timeout_ms = request.first_byte_timeout_ms;
        let (number, script) = self.world.arrive(self.arrived(request));
        let hang = || {
            self.world.drop_connection(number);
            if watched && self.client.leaves_now() {
                return SendError::Cancelled;
            }
            self.world.pass_ms(timeout_ms.into());
            SendError::Timeout
        };
        let Scripted { status, headers, mut pieces, end } = match script {
            // Neither can Workers tell a reset before the answer from a refusal.
            Script::Refuse | Script::Reset => return Err(SendError::Connect),
            Script::Silence => return Err(hang()),
            Script::Answer(scripted) => scripted,
        };
        let header = |name: &str| {
            let found = headers.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let headers = AnswerHeaders {
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            retry_after_ms: header("retry-after-ms"),
            signature: header(moegate_wire::header::SIGNATURE),
        };
        let body = if status == 200 && headers.content_type.starts_with("text/event-stream") {
            while let Some(Piece::Until(bytes)) = pieces.first() {
                self.must_have(*bytes);
                pieces.remove(0);
            }
            match (pieces.is_empty(), end) {
                (true, End::Stall) => return Err(hang()),
                (true, End::Clean | End::Cut | End::Reset) => return Err(SendError::Broken),
                (_, _) => AnswerBody::Stream(Stream { pieces, end, number }),
            }
        } else {
            let mut whole = Vec::new();
            for piece in &pieces {
                match piece {
                    Piece::Bytes(bytes) => whole.extend_from_slice(bytes),
                    Piece::Until(bytes) => self.must_have(*bytes),
                }
            }
            match end {
                _ if whole.len() > limit => return Err(SendError::TooLarge),
                End::Stall | End::Endless => return Err(hang()),
                End::Cut | End::Reset => return Err(SendError::Broken),
                End::Clean => AnswerBody::Whole(whole),
            }
        };
        Ok(Answer { status, headers, body })
    }

    async fn respond(&self, reply: Reply, body: ReplyBody<Stream>) -> Delivery {
        self.client.head(reply);
        let unread = |ending| Delivery { ending, seen: None };
        match body {
            ReplyBody::Bytes(bytes) | ReplyBody::Answered(bytes) => {
                let there = !self.client.has_left() && self.client.receive(&bytes);
                unread(if there { Ending::Complete } else { Ending::Cancelled })
            }
            ReplyBody::Relay(stream) => unread(self.relay(&stream)),
            ReplyBody::Pump(stream, mut scanner) => {
                let ending = self.pump(&stream, &mut scanner);
                Delivery { ending, seen: Some(scanner.seen()) }
            }
        }
    }

    async fn put_record(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        self.world.put(key, value, summary)
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        self.world.list(prefix, cursor)
    }
}

impl Fake<'_> {
    fn arrived(&self, request: Outbound) -> Arrived {
        let authority = Authority::of(&request.url).map_or("", |found| found.authority);
        let path_at = request.url.find(authority).map_or(0, |at| at + authority.len());
        Arrived {
            authority: authority.to_owned(),
            method: request.method.to_owned(),
            path: request.url[path_at..].to_owned(),
            headers: request.headers,
            body: match request.body {
                OutboundBody::Empty => Vec::new(),
                OutboundBody::AsReceived => self.client.sent().to_vec(),
                OutboundBody::Bytes(bytes) => bytes,
            },
        }
    }

    fn relay(&self, stream: &Stream) -> Ending {
        for piece in &stream.pieces {
            match piece {
                Piece::Bytes(bytes) if self.client.receive(bytes) => {}
                Piece::Bytes(_) => return self.left(stream),
                Piece::Until(bytes) => self.must_have(*bytes),
            }
        }
        match stream.end {
            End::Clean => Ending::Complete,
            End::Cut | End::Reset => {
                self.client.receive(ApiError::truncated_event().as_bytes());
                Ending::Truncated
            }
            End::Stall | End::Endless => self.goes_on(stream),
        }
    }

    fn pump(&self, stream: &Stream, scanner: &mut Scanner) -> Ending {
        for piece in &stream.pieces {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Until(bytes) => {
                    self.must_have(*bytes);
                    continue;
                }
            };
            let there = match scanner.push(bytes) {
                Forward::Whole => self.client.receive(bytes),
                Forward::Bytes([]) => true,
                Forward::Bytes(bytes) => self.client.receive(bytes),
            };
            if !there {
                return self.left(stream);
            }
        }
        if matches!(stream.end, End::Stall | End::Endless) {
            return self.goes_on(stream);
        }
        let (ending, last) = scanner.end(stream.end == End::Clean);
        if !last.is_empty() {
            self.client.receive(last.as_bytes());
        }
        ending
    }

    fn left(&self, stream: &Stream) -> Ending {
        self.world.drop_connection(stream.number);
        Ending::Cancelled
    }

    /// The stream has no end of its own: the client has to leave.
    fn goes_on(&self, stream: &Stream) -> Ending {
        for _ in 0..1000 {
            if stream.end == End::Endless && !self.client.receive(COMMENT.as_bytes()) {
                return self.left(stream);
            }
        }
        panic!("the origin's stream does not end and the client stays: this would wait for ever")
    }

    /// What an origin waits for must be there already, since nothing else happens meanwhile.
    fn must_have(&self, bytes: usize) {
        let has = self.client.received();
        assert!(has >= bytes, "the origin waits until the client has {bytes} bytes, but it has {has}");
    }
}
