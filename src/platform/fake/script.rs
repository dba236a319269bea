//! What an origin does with a request, told step by step. The contract suite plays the same scripts at real sockets.

use std::sync::Arc;

/// A request as it arrived at an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The origin's `host:port`.
    pub authority: String,
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Arrived {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Chooses the script for a request.
pub type Responder = Arc<dyn Fn(&Arrived) -> Script + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Nothing listens. Only the fake can play it; in the suite's configuration one origin is always so.
    Refuse,
    /// The connection breaks before a byte of the answer.
    Reset,
    /// Never answers.
    Silence,
    /// The same, so many milliseconds after the request has arrived.
    After(u64, Box<Script>),
    Answer(Scripted),
}

/// An answer, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripted {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub pieces: Vec<Piece>,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One chunk of the body.
    Bytes(Vec<u8>),
    /// Nothing more before the client has this many bytes of the reply's body, or has left.
    Until(usize),
    /// Nothing more for so many milliseconds.
    After(u64),
}

impl Piece {
    pub(super) fn has_bytes(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if !bytes.is_empty())
    }
}

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As HTTP wants it.
    Clean,
    /// The connection closes though the body is not whole.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// Comments of server-sent events, again and again, until the connection is closed.
    Endless,
}

/// What [`End::Endless`] sends.
pub const COMMENT: &str = ": still here\n\n";

impl Scripted {
    /// An answer of one type with the whole body in one piece.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            pieces: vec![Piece::Bytes(body.into())],
            end: End::Clean,
        }
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl From<Scripted> for Script {
    fn from(scripted: Scripted) -> Self {
        Self::Answer(scripted)
    }
}
