//! Bodies that come in: the client's, and an origin's answer.

use super::bytes::Bytes;
use crate::platform::{BodyError, Broken};
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response, Trailers};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use spin_sdk::wasip3::wit_future;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};

/// Bytes that one read takes at most; the host's own buffers are not larger.
pub(super) const CHUNK: usize = 16 * 1024;

/// What still writes the body of the request that is being answered.
pub(super) type Upload = Pin<Box<dyn Future<Output = ()>>>;

/// A body that comes in. Dropping it closes the connection if the body is not at its end.
pub(super) struct Incoming {
    stream: StreamReader<u8>,
    /// Says after the last chunk whether the body is whole; gone once it was asked.
    end: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
    /// The length that the headers declare, in bytes.
    declared: Option<usize>,
    /// An origin may answer before it has read everything.
    upload: Option<Upload>,
    /// For reads; empty.
    spare: Vec<u8>,
}

impl Incoming {
    pub(super) fn of_answer(answer: Response, declared: Option<usize>, upload: Option<Upload>) -> Self {
        // Nobody waits for what we made of it: the default stands.
        let (_, done) = wit_future::new(|| Ok(()));
        let (stream, end) = Response::consume_body(answer, done);
        Self { stream, end: Some(end), declared, upload, spare: Vec::new() }
    }

    fn of_request(request: Request, declared: Option<usize>) -> Self {
        let (_, done) = wit_future::new(|| Ok(()));
        let (stream, end) = Request::consume_body(request, done);
        Self { stream, end: Some(end), declared, upload: None, spare: Vec::new() }
    }

    /// The next chunk, never empty.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        let spare = std::mem::take(&mut self.spare);
        let (more, mut buffer) = self.fill(spare).await?;
        if !more {
            return Ok(None);
        }
        // A small chunk may be held for long and is copied, so that it does not hold a whole buffer.
        if buffer.len() < CHUNK / 4 {
            let chunk = buffer.as_slice().to_vec();
            buffer.clear();
            self.spare = buffer;
            return Ok(Some(chunk.into()));
        }
        Ok(Some(buffer.into()))
    }

    /// Adds the next bytes to `buffer`. `false`: there are no more, and the body is whole. Where this is dropped before it
    /// is ready, what the host had written into the buffer is lost.
    pub(super) async fn fill(&mut self, mut buffer: Vec<u8>) -> Result<(bool, Vec<u8>), Broken> {
        if buffer.capacity() == buffer.len() {
            buffer.try_reserve(CHUNK).map_err(|_| Broken)?;
        }
        loop {
            let result;
            (result, buffer) = while_uploading(&mut self.upload, self.stream.read(buffer)).await;
            match result {
                StreamResult::Complete(0) => {}
                StreamResult::Complete(_) => return Ok((true, buffer)),
                StreamResult::Dropped | StreamResult::Cancelled => break,
            }
        }
        let end = self.end.take().ok_or(Broken)?;
        end.await.map(|_trailers| (false, buffer)).map_err(|_| Broken)
    }

    /// The rest of it, at most `limit` bytes. `whole`: the length at which nothing more can come.
    async fn all(mut self, limit: usize, whole: Option<usize>) -> Result<Bytes, BodyError> {
        if self.declared.is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge);
        }
        let mut body = Vec::new();
        let expected = self.declared.map_or(CHUNK, |length| length.saturating_add(1));
        body.try_reserve_exact(expected).map_err(|_| BodyError::TooLarge)?;
        while whole != Some(body.len()) {
            let more;
            (more, body) = self.fill(body).await.map_err(|Broken| BodyError::Broken)?;
            if body.len() > limit {
                return Err(BodyError::TooLarge);
            }
            if !more {
                break;
            }
        }
        Ok(body.into())
    }

    /// The rest of it, at most `limit` bytes.
    pub(super) async fn collect(self, limit: usize) -> Result<Bytes, BodyError> {
        self.all(limit, None).await
    }
}

/// The client's body, at most `limit` bytes of it. `declared`: the length that its headers declare.
pub(super) async fn receive(
    request: Request,
    declared: Option<usize>,
    limit: usize,
) -> Result<Bytes, BodyError> {
    let body = Incoming::of_request(request, declared);
    // The host takes a length away that stands beside a transfer coding (of a request; not of an answer), so it is to be
    // trusted, and to ask for the end as well would be two more waits.
    let whole = declared;
    body.all(limit, whole).await
}

/// Waits while the upload, if any, goes on.
pub(super) async fn while_uploading<T>(upload: &mut Option<Upload>, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    poll_fn(|context| {
        if upload.as_mut().is_some_and(|upload| upload.as_mut().poll(context).is_ready()) {
            *upload = None;
        }
        answer.as_mut().poll(context)
    })
    .await
}
