//! Bodies that go out: the reply's, and that of a request to an origin.

use super::bytes::Bytes;
use super::headers::fields;
use crate::payload::Payload;
use crate::platform::Left;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Response};
use spin_sdk::wasip3::wit_bindgen::{FutureWriter, StreamWriter};
use spin_sdk::wasip3::{wit_future, wit_stream};

/// Bytes that are handed to the host at a time where they have to be copied.
const PIECE: usize = 64 * 1024;

type Trailers = Result<Option<Fields>, ErrorCode>;

/// A reply's body that is being written. Dropped without [`Outgoing::close`], it tells the host in place of the trailers
/// that something went wrong, and the host breaks the connection off.
pub(super) struct Outgoing {
    body: StreamWriter<u8>,
    trailers: FutureWriter<Trailers>,
}

impl Outgoing {
    /// The response whose body is to be written.
    pub(super) fn new(head: &http::Response<()>) -> (Self, Response) {
        let (trailers, end) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
        let (body, contents) = wit_stream::new();
        // What it says of the transmission does not come with the client's leaving or staying: it tells nothing here.
        let (response, _transmitted) = Response::new(fields(head.headers()), Some(contents), end);
        let _known_to_be_valid = response.set_status_code(head.status().as_u16());
        (Self { body, trailers }, response)
    }

    pub(super) async fn write(&mut self, chunk: Payload<Bytes>) -> Result<(), Left> {
        write(&mut self.body, chunk).await
    }

    /// Writes a buffer and gives it back, empty.
    pub(super) async fn write_buffer(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Left> {
        write_buffer(&mut self.body, buffer).await
    }

    pub(super) async fn close(self) -> Result<(), Left> {
        drop(self.body);
        self.trailers.write(Ok(None)).await.map_err(|_| Left)
    }
}

/// A response with its whole body, which is still to be written.
pub(super) fn whole(mut head: http::Response<()>, length: usize) -> (StreamWriter<u8>, Response) {
    // RFC 9110, section 8.6.
    if head.status() != StatusCode::NO_CONTENT {
        head.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    // A body that is cut short does not have its length.
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (body, contents) = wit_stream::new();
    let (response, _transmitted) = Response::new(fields(head.headers()), Some(contents), no_trailers);
    let _known_to_be_valid = response.set_status_code(head.status().as_u16());
    (body, response)
}

/// Writes all of it, large bodies piece by piece: a write takes its buffer away, so that there is no second copy of the
/// whole.
///
/// # Errors
/// [`Left`]: whoever reads it has gone.
pub(super) async fn write(to: &mut StreamWriter<u8>, payload: Payload<Bytes>) -> Result<(), Left> {
    let (bytes, edits) = match payload {
        Payload::Empty => return Ok(()),
        Payload::Own(buffer) => return write_buffer(to, buffer).await.map(drop),
        Payload::Passed(bytes) => match bytes.into_buffer() {
            Ok(buffer) => return write_buffer(to, buffer).await.map(drop),
            Err(shared) => (shared, Vec::new()),
        },
        Payload::Edited(bytes, edits) => (bytes, edits),
    };
    let mut pieces = Pieces { to, buffer: Vec::new() };
    let mut from = 0;
    for edit in &edits {
        pieces.add(bytes.get(from..edit.span.start).unwrap_or_default()).await?;
        pieces.add(edit.text.as_bytes()).await?;
        from = edit.span.end;
    }
    pieces.add(bytes.get(from..).unwrap_or_default()).await?;
    pieces.flush().await
}

async fn write_buffer(to: &mut StreamWriter<u8>, buffer: Vec<u8>) -> Result<Vec<u8>, Left> {
    if buffer.is_empty() {
        return Ok(buffer);
    }
    let rest = to.write_all(buffer).await;
    if rest.is_empty() { Ok(rest) } else { Err(Left) }
}

struct Pieces<'a> {
    to: &'a mut StreamWriter<u8>,
    buffer: Vec<u8>,
}

impl Pieces<'_> {
    async fn add(&mut self, mut bytes: &[u8]) -> Result<(), Left> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Left> {
        self.buffer = write_buffer(self.to, std::mem::take(&mut self.buffer)).await?;
        Ok(())
    }
}
