//! Bodies that come in: the client's, and an origin's answer, whole or as a stream.

use super::bindings::wasi::http::types::{ErrorCode, Headers, Request, Response, Trailers};
use super::bindings::wit_future;
use super::clock::Limits;
use crate::core::stream::Close;
use crate::platform::BodyError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// What one read takes at most; the host's own buffers are not larger.
pub(super) const CHUNK: usize = 16 * 1024;

/// A body that comes in. Dropping it closes the connection if the body is not at its end.
pub(super) struct Incoming {
    stream: StreamReader<u8>,
    end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
}

/// The connection broke before the body was whole.
pub(super) struct Broken;

impl Incoming {
    pub(super) fn of_answer(answer: Response) -> Self {
        // Nobody waits for what we made of it: the default stands.
        let (_, done) = wit_future::new(|| Ok(()));
        let (stream, end) = Response::consume_body(answer, done);
        Self { stream, end }
    }

    /// Adds the next chunk to `buffer`. Whether there was one. Where this is dropped before it is ready, the host has
    /// taken its hands off the buffer, and what it had written there is lost: so only before the body is dropped too.
    pub(super) async fn read(&mut self, mut buffer: Vec<u8>) -> (bool, Vec<u8>) {
        if buffer.capacity() == buffer.len() {
            buffer.reserve(CHUNK);
        }
        let (result, buffer) = self.stream.read(buffer).await;
        (matches!(result, StreamResult::Complete(_)), buffer)
    }

    /// After the last chunk: whether the body is whole.
    async fn end(self) -> Result<(), Broken> {
        drop(self.stream);
        self.end.await.map(drop).map_err(|_| Broken)
    }

    /// All of it; `None` where it is over the limit. `whole`: the length at which nothing more can come.
    pub(super) async fn collect(
        mut self,
        limit: usize,
        declared: Option<usize>,
        whole: Option<usize>,
    ) -> Result<Option<Vec<u8>>, Broken> {
        if declared.is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let mut body = Vec::with_capacity(declared.map_or(CHUNK, |length| length + 1));
        while whole != Some(body.len()) {
            let more;
            (more, body) = self.read(body).await;
            if body.len() > limit {
                return Ok(None);
            }
            if !more {
                return self.end().await.map(|()| Some(body));
            }
        }
        Ok(Some(body))
    }
}

/// The client's body.
pub(super) async fn receive(request: Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let declared = length(&request.get_headers());
    let (_, done) = wit_future::new(|| Ok(()));
    let (stream, end) = Request::consume_body(request, done);
    // The host takes a length away that stands beside a transfer coding (of a request; not of an answer), so it is to be
    // trusted, and to ask for the end as well would be two more waits.
    match (Incoming { stream, end }).collect(limit, declared, declared).await {
        Ok(Some(body)) => Ok(body),
        Ok(None) => Err(BodyError::TooLarge),
        Err(Broken) => Err(BodyError::Broken),
    }
}

/// An origin's stream that has begun.
pub(super) struct OriginStream {
    /// What has come so far, to be taken before [`OriginStream::next`].
    pub(super) first: Vec<u8>,
    /// Gone, and the connection with it, once the stream has closed.
    rest: Option<Incoming>,
    pub(super) limits: Limits,
}

impl OriginStream {
    pub(super) fn new(first: Vec<u8>, rest: Incoming, limits: Limits) -> Self {
        Self { first, rest: Some(rest), limits }
    }

    /// Waits for the client to take what it was given. If time runs out meanwhile the origin is let go at once: a client
    /// may take its time, or be dead.
    pub(super) async fn while_taken<T>(&mut self, taken: impl Future<Output = T>) -> T {
        let mut taken = pin!(taken);
        poll_fn(|context| {
            let polled = taken.as_mut().poll(context);
            if polled.is_pending() && self.rest.is_some() && self.limits.poll_late(context).is_ready() {
                self.rest = None;
            }
            polled
        })
        .await
    }

    /// Adds the next chunk to `buffer`.
    ///
    /// # Errors
    /// How the stream has closed, if there is no more.
    pub(super) async fn next(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Close> {
        let Some(rest) = &mut self.rest else { return Err(Close::Late) };
        let read = self.limits.keep(rest.read(buffer)).await;
        if let Ok((true, chunk)) = read {
            return Ok(chunk);
        }
        // Where time has run out, this closes the connection.
        let rest = self.rest.take();
        match (read, rest) {
            (Err(close), _) => Err(close),
            (Ok(_), Some(rest)) => Err(rest.end().await.map_or(Close::Broken, |()| Close::Clean)),
            (Ok(_), None) => Err(Close::Broken),
        }
    }
}

/// The length that the headers declare.
pub(super) fn length(headers: &Headers) -> Option<usize> {
    text(headers, "content-length").parse().ok()
}

/// A header's values, joined as the Fetch standard does; empty where there is none.
pub(super) fn text(headers: &Headers, name: &str) -> String {
    let mut values = headers.get(name).into_iter().map(|value| match String::from_utf8(value) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    });
    let mut joined = values.next().unwrap_or_default();
    for value in values {
        joined.push_str(", ");
        joined.push_str(&value);
    }
    joined
}
