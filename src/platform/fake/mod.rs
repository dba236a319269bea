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

use crate::core::attempt::{AnswerHeaders, Outbound, OutboundBody, SendError, Timeouts};
use crate::core::config::{Authority, Config};
use crate::core::error::ApiError;
use crate::core::memory::Memory;
use crate::core::secret::Secret;
use crate::core::stream::{Close, Forward, Opened, Opening, Scanner};
use crate::gateway;
use crate::platform::{
    Answer, AnswerBody, BodyError, Delivery, Head, Left, Page, Platform, Reply, ReplyBody, StoreError,
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
    timeouts: Timeouts,
    sent_ms: u64,
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
        let (timeouts, sent_ms) = (request.timeouts, self.world.now_ms());
        let (number, script) = self.world.arrive(self.arrived(request));
        let hang = || {
            self.world.drop_connection(number);
            if watched && self.client.leaves_now() {
                return SendError::Cancelled;
            }
            self.world.pass_ms(timeouts.first_byte_ms.into());
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
            match self.open(&mut pieces) {
                (Opened::Begun, _) => AnswerBody::Stream(Stream { pieces, end, number, timeouts, sent_ms }),
                (Opened::Failed, opening) => {
                    self.world.drop_connection(number);
                    AnswerBody::Whole(opening.error())
                }
                (Opened::Garbage, _) => {
                    self.world.drop_connection(number);
                    return Err(SendError::BadStream);
                }
                (Opened::NotYet, _) => match end {
                    // Comments are no content.
                    End::Stall | End::Endless => return Err(hang()),
                    End::Clean | End::Cut | End::Reset => return Err(SendError::Broken),
                },
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
        let unread = |ending| Delivery { ending, scanner: None, open: false };
        match body {
            ReplyBody::Bytes(bytes) | ReplyBody::Answered(bytes) => {
                let there = !self.client.has_left() && self.client.receive(&bytes);
                unread(if there { Ending::Complete } else { Ending::Cancelled })
            }
            ReplyBody::Relay(stream) => unread(self.relay(&stream)),
            ReplyBody::Pump(stream, scanner) => self.pump(&stream, scanner),
        }
    }

    async fn sleep(&self, ms: u64) -> Result<(), Left> {
        if self.client.leaves_now() {
            return Err(Left);
        }
        self.world.pass_ms(ms);
        Ok(())
    }

    fn memory<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        self.world.memory(f)
    }

    async fn go_on(&self, stream: Stream, scanner: Scanner) -> Delivery {
        self.pump(&stream, scanner)
    }

    async fn finish(&self, last: String) -> Result<(), Left> {
        if self.client.has_left() || !self.client.receive(last.as_bytes()) { Err(Left) } else { Ok(()) }
    }

    async fn remember(&self, key: &str, value: &str, _seconds: u64) {
        self.world.remember(key, value);
    }

    async fn recall(&self, key: &str) -> Option<String> {
        self.world.recall(key)
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

    /// Takes pieces until the stream has begun, and puts them back as one chunk.
    fn open(&self, pieces: &mut Vec<Piece>) -> (Opened, Opening) {
        let mut opening = Opening::default();
        let (mut opened, mut first) = (Opened::NotYet, Vec::new());
        let mut rest = std::mem::take(pieces).into_iter();
        while opened == Opened::NotYet {
            match rest.next() {
                Some(Piece::Bytes(bytes)) => {
                    opened = opening.push(&bytes);
                    first.extend_from_slice(&bytes);
                }
                Some(Piece::Until(bytes)) => self.must_have(bytes),
                None => break,
            }
        }
        *pieces = std::iter::once(Piece::Bytes(first)).chain(rest).collect();
        (opened, opening)
    }

    fn relay(&self, stream: &Stream) -> Ending {
        for piece in &stream.pieces {
            match piece {
                Piece::Bytes(bytes) if self.client.receive(bytes) => {}
                Piece::Bytes(_) => return self.left(stream),
                Piece::Until(bytes) => self.must_have(*bytes),
            }
        }
        let close = match stream.end {
            End::Clean => return Ending::Complete,
            End::Cut | End::Reset => Close::Broken,
            End::Stall => self.late(stream),
            End::Endless => match self.comments(stream) {
                Some(close) => close,
                None => return self.left(stream),
            },
        };
        self.client.receive(ApiError::cut_off_event(close).as_bytes());
        Ending::Truncated
    }

    fn pump(&self, stream: &Stream, mut scanner: Scanner) -> Delivery {
        let left = |scanner| Delivery { ending: self.left(stream), scanner: Some(scanner), open: false };
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
                return left(scanner);
            }
            if scanner.is_over() {
                self.world.drop_connection(stream.number);
                break;
            }
        }
        let close = match stream.end {
            _ if scanner.is_over() => Close::Broken,
            End::Clean => Close::Clean,
            End::Cut | End::Reset => Close::Broken,
            End::Stall => {
                self.world.drop_connection(stream.number);
                let idle_ms = u64::from(stream.timeouts.idle_ms);
                if self.world.now_ms() + idle_ms >= stream.sent_ms + u64::from(stream.timeouts.total_ms) {
                    self.late(stream)
                } else {
                    self.world.pass_ms(idle_ms);
                    Close::Idle
                }
            }
            End::Endless => match self.comments(stream) {
                Some(close) => close,
                None => return left(scanner),
            },
        };
        let finale = scanner.end(close);
        if !finale.open && !finale.last.is_empty() {
            self.client.receive(finale.last.as_bytes());
        }
        Delivery { ending: finale.ending, scanner: Some(scanner), open: finale.open }
    }

    /// The request's time passes.
    fn late(&self, stream: &Stream) -> Close {
        self.world.drop_connection(stream.number);
        let until_ms = stream.sent_ms + u64::from(stream.timeouts.total_ms);
        self.world.pass_ms(until_ms.saturating_sub(self.world.now_ms()));
        Close::Late
    }

    /// Comments until the time is over. `None`: the client has left.
    fn comments(&self, stream: &Stream) -> Option<Close> {
        let until_ms = stream.sent_ms + u64::from(stream.timeouts.total_ms);
        while self.world.now_ms() < until_ms {
            if !self.client.receive(COMMENT.as_bytes()) {
                return None;
            }
            self.world.pass_ms(20);
        }
        Some(self.late(stream))
    }

    fn left(&self, stream: &Stream) -> Ending {
        self.world.drop_connection(stream.number);
        Ending::Cancelled
    }

    /// What an origin waits for must be there already, since nothing else happens meanwhile.
    fn must_have(&self, bytes: usize) {
        let has = self.client.received();
        assert!(has >= bytes, "the origin waits until the client has {bytes} bytes, but it has {has}");
    }
}
