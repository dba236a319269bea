//! The client's side: the response and the ways of its body.

use super::bindings::wasi::http::types::{ErrorCode, Fields, Response};
use super::bindings::{wit_future, wit_stream};
use super::send::{CHUNK, OriginStream};
use crate::core::error::ApiError;
use crate::core::stream::{Forward, Scanner};
use crate::platform::{Delivery, Reply, ReplyBody};
use moegate_wire::Ending;
use wit_bindgen::{FutureWriter, StreamWriter};

/// Hands a response to `give` and writes its body.
pub(super) async fn respond(
    reply: Reply,
    body: ReplyBody<OriginStream>,
    give: impl FnOnce(Response),
) -> Delivery {
    let unread = |ending| Delivery { ending, seen: None };
    match body {
        ReplyBody::Bytes(bytes) | ReplyBody::Answered(bytes) => {
            let (client, response) = Client::of(reply, Some(bytes.len()));
            give(response);
            unread(client.take_whole(bytes).await)
        }
        ReplyBody::Relay(stream) => {
            let (client, response) = Client::of(reply, None);
            give(response);
            unread(relay(client, stream).await)
        }
        ReplyBody::Pump(stream, mut scanner) => {
            let (client, response) = Client::of(reply, None);
            give(response);
            let ending = pump(client, stream, &mut scanner).await;
            Delivery { ending, seen: Some(scanner.seen()) }
        }
    }
}

/// The way to the client. The body ends when it is dropped; the fields' order has the trailers follow it.
struct Client {
    body: StreamWriter<u8>,
    #[expect(dead_code, reason = "says when it is dropped that there are none")]
    trailers: FutureWriter<Result<Option<Fields>, ErrorCode>>,
}

/// The client has left.
struct Left;

impl Client {
    fn of(reply: Reply, length: Option<usize>) -> (Self, Response) {
        let mut headers: Vec<_> =
            reply.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        if let Some(length) = length {
            headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
        }
        // A value that HTTP does not allow loses the headers, not the answer.
        let headers = Fields::from_list(&headers).unwrap_or_else(|_| Fields::new());
        let (body, contents) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        // What it says of the transmission does not come with the client's leaving or staying: it tells nothing here.
        let (response, _transmitted) = Response::new(headers, Some(contents), no_trailers);
        let _known_to_be_valid = response.set_status_code(reply.status);
        (Self { body, trailers }, response)
    }

    /// Writes a chunk; gives its buffer back, empty.
    async fn take(&mut self, chunk: Vec<u8>) -> Result<Vec<u8>, Left> {
        if chunk.is_empty() {
            return Ok(chunk);
        }
        let rest = self.body.write_all(chunk).await;
        if rest.is_empty() { Ok(rest) } else { Err(Left) }
    }

    async fn take_whole(mut self, bytes: Vec<u8>) -> Ending {
        match self.take(bytes).await {
            Ok(_) => Ending::Complete,
            Err(Left) => Ending::Cancelled,
        }
    }
}

/// Chunk by chunk, unread. A stream cannot be handed on by its handle once a chunk of it has been read, and without the
/// first chunk nobody knows that it begins.
async fn relay(mut client: Client, OriginStream { first, mut rest }: OriginStream) -> Ending {
    let mut chunk = first;
    loop {
        chunk = match client.take(chunk).await {
            Ok(buffer) => buffer,
            // `rest` is dropped, which stops the origin.
            Err(Left) => return Ending::Cancelled,
        };
        let more;
        (more, chunk) = rest.read(chunk).await;
        if !more {
            break;
        }
    }
    let whole = rest.end().await.is_ok();
    if !whole && client.take(ApiError::truncated_event().into_bytes()).await.is_err() {
        return Ending::Cancelled;
    }
    if whole { Ending::Complete } else { Ending::Truncated }
}

/// Every chunk past the scanner, which says what goes on to the client.
async fn pump(
    mut client: Client,
    OriginStream { first, mut rest }: OriginStream,
    scanner: &mut Scanner,
) -> Ending {
    let mut chunk = first;
    let mut spare = Vec::new();
    loop {
        let forward = match scanner.push(&chunk) {
            Forward::Whole => std::mem::take(&mut chunk),
            Forward::Bytes(bytes) => {
                let mut buffer = std::mem::take(&mut spare);
                buffer.extend_from_slice(bytes);
                buffer
            }
        };
        match client.take(forward).await {
            Ok(buffer) if chunk.capacity() == 0 => chunk = buffer,
            Ok(buffer) => spare = buffer,
            Err(Left) => return Ending::Cancelled,
        }
        chunk.clear();
        if chunk.capacity() == 0 {
            chunk.reserve(CHUNK);
        }
        let more;
        (more, chunk) = rest.read(chunk).await;
        if !more {
            break;
        }
    }
    let clean = rest.end().await.is_ok();
    let (ending, last) = scanner.end(clean);
    if client.take(last.into_bytes()).await.is_err() { Ending::Cancelled } else { ending }
}
