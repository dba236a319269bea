//! The client's side of a connection.

use crate::platform::{BodyError, Reply};
use std::cell::{Cell, RefCell};

/// Asked after each chunk, with all that has come so far: whether the client stays.
type Stays<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// A client that sends one request and takes the reply.
pub struct Client<'a> {
    body: Vec<u8>,
    breaks_off: bool,
    leaves_before_answer: bool,
    stays: Box<Stays<'a>>,
    left: Cell<bool>,
    got: RefCell<Got>,
}

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Got {
    /// `None`: not even a head.
    pub reply: Option<Reply>,
    pub body: Vec<u8>,
}

impl<'a> Client<'a> {
    /// One that sends `body` and stays to the end.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            breaks_off: false,
            leaves_before_answer: false,
            stays: Box::new(|_| true),
            left: Cell::new(false),
            got: RefCell::default(),
        }
    }

    /// Breaks off within its request's body.
    #[must_use]
    pub fn breaking_off(self) -> Self {
        Self { breaks_off: true, ..self }
    }

    /// Leaves while the origin is silent.
    #[must_use]
    pub fn leaving_before_answer(self) -> Self {
        Self { leaves_before_answer: true, ..self }
    }

    /// Leaves when `stays` says so, which sees the body that has come so far.
    #[must_use]
    pub fn staying_while(self, stays: impl Fn(&[u8]) -> bool + 'a) -> Self {
        Self { stays: Box::new(stays), ..self }
    }

    pub(super) fn body(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        if self.body.len() > limit {
            Err(BodyError::TooLarge)
        } else if self.breaks_off {
            Err(BodyError::Broken)
        } else {
            Ok(self.body.clone())
        }
    }

    /// Nothing once the reply has begun: that is how long the other platforms keep it.
    pub(super) fn sent(&self) -> &[u8] {
        if self.got.borrow().reply.is_some() { &[] } else { &self.body }
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// The origin is silent: a client that leaves before the answer leaves now.
    pub(super) fn leaves_now(&self) -> bool {
        self.left.set(self.left.get() || self.leaves_before_answer);
        self.left.get()
    }

    pub(super) fn head(&self, reply: Reply) {
        if !self.left.get() {
            self.got.borrow_mut().reply = Some(reply);
        }
    }

    /// Takes a chunk. False if the client has left.
    pub(super) fn receive(&self, bytes: &[u8]) -> bool {
        if self.left.get() {
            return false;
        }
        self.got.borrow_mut().body.extend_from_slice(bytes);
        let stays = (self.stays)(&self.got.borrow().body);
        self.left.set(!stays);
        stays
    }

    pub(super) fn received(&self) -> usize {
        self.got.borrow().body.len()
    }

    pub(super) fn into_got(self) -> Got {
        self.got.into_inner()
    }
}
