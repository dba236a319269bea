//! The client's side: the response and the ways of its body.

use super::bindings::wasi::http::types::{ErrorCode, Fields, Response};
use super::bindings::{wit_future, wit_stream};
use super::incoming::{CHUNK, OriginStream};
use crate::core::error::ApiError;
use crate::core::stream::{Close, Forward, Scanner};
use crate::platform::{Delivery, Left, Reply, ReplyBody};
use moegate_wire::Ending;
use wit_bindgen::{FutureWriter, StreamWriter};

/// How a reply went out, and the way to the client where it was left open.
pub(super) type Delivered = (Delivery, Option<Client>);

/// Hands a response to `give` and writes its body.
pub(super) async fn respond(
    reply: Reply,
    body: ReplyBody<OriginStream>,
    give: impl FnOnce(Response),
) -> Delivered {
    let unread = |ending| (Delivery { ending, scanner: None, open: false }, None);
    match body {
        ReplyBody::Bytes(bytes) | ReplyBody::Answered(bytes) => {
            let (mut client, response) = Client::of(reply, Some(bytes.len()));
            give(response);
            unread(match client.take(bytes).await {
                Ok(_) => Ending::Complete,
                Err(Left) => Ending::Cancelled,
            })
        }
        ReplyBody::Relay(stream) => {
            let (client, response) = Client::of(reply, None);
            give(response);
            unread(relay(client, stream).await)
        }
        ReplyBody::Pump(stream, scanner) => {
            let (client, response) = Client::of(reply, None);
            give(response);
            pump(client, stream, scanner).await
        }
    }
}

/// The way to the client. The body ends when it is dropped; the fields' order has the trailers follow it.
pub(super) struct Client {
    body: StreamWriter<u8>,
    #[expect(dead_code, reason = "says when it is dropped that there are none")]
    trailers: FutureWriter<Result<Option<Fields>, ErrorCode>>,
}

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

    /// Writes the last bytes, if any, and ends the body.
    pub(super) async fn finish(mut self, last: String) -> Result<(), Left> {
        self.take(last.into_bytes()).await.map(drop)
    }
}

/// Chunk by chunk, unread. A stream cannot be handed on by its handle once a chunk of it has been read, and without the
/// first chunk nobody knows that it begins.
async fn relay(mut client: Client, mut stream: OriginStream) -> Ending {
    stream.limits.total_only();
    let mut chunk = std::mem::take(&mut stream.first);
    let close = loop {
        let buffer = match stream.while_taken(client.take(chunk)).await {
            Ok(buffer) => buffer,
            // The stream is dropped, which stops the origin.
            Err(Left) => return Ending::Cancelled,
        };
        chunk = match stream.next(buffer).await {
            Ok(chunk) => chunk,
            Err(close) => break close,
        };
    };
    if close == Close::Clean {
        return Ending::Complete;
    }
    // Whether anybody is left to be told changes nothing about how the origin ended it.
    let _left = client.finish(ApiError::cut_off_event(close)).await;
    Ending::Truncated
}

/// Every chunk past the scanner, which says what goes on to the client. The client is given back where another origin may
/// go on.
pub(super) async fn pump(mut client: Client, mut stream: OriginStream, mut scanner: Scanner) -> Delivered {
    let done = |ending, scanner| (Delivery { ending, scanner: Some(scanner), open: false }, None);
    let mut chunk = std::mem::take(&mut stream.first);
    let mut spare = Vec::new();
    let close = loop {
        let forward = match scanner.push(&chunk) {
            Forward::Whole => std::mem::take(&mut chunk),
            Forward::Bytes(bytes) => {
                let mut buffer = std::mem::take(&mut spare);
                buffer.extend_from_slice(bytes);
                buffer
            }
        };
        match stream.while_taken(client.take(forward)).await {
            Ok(buffer) if chunk.capacity() == 0 => chunk = buffer,
            Ok(buffer) => spare = buffer,
            // The stream is dropped, which stops the origin.
            Err(Left) => return done(Ending::Cancelled, scanner),
        }
        if scanner.is_over() {
            break Close::Broken;
        }
        chunk.clear();
        if chunk.capacity() == 0 {
            chunk.reserve(CHUNK);
        }
        chunk = match stream.next(chunk).await {
            Ok(chunk) => chunk,
            Err(close) => break close,
        };
    };
    let finale = scanner.end(close);
    if finale.open {
        return (Delivery { ending: finale.ending, scanner: Some(scanner), open: true }, Some(client));
    }
    // As for a relayed stream.
    let _left = client.finish(finale.last).await;
    done(finale.ending, scanner)
}
