//! Requests to origins.

use super::bindings::wasi::http::client;
use super::bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Scheme};
use super::bindings::{wit_future, wit_stream};
use super::clock::{self, Limits, Moment};
use super::incoming::{Broken, CHUNK, Incoming, OriginStream, length, text};
use super::log::log;
use super::race::{First, race};
use crate::core::attempt::{AnswerHeaders, Outbound, OutboundBody, SendError};
use crate::core::config::Authority;
use crate::core::stream::{Opened, Opening};
use crate::platform::{Answer, AnswerBody};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use wit_bindgen::StreamWriter;

/// What of the client's body is handed to the host at a time.
const PIECE: usize = 64 * 1024;

/// What of an exchange does not stand in the request.
struct Terms {
    /// A receipt is asked for.
    asks: bool,
    /// The most bytes of a whole answer.
    limit: usize,
    /// For a stream.
    limits: Limits,
}

/// One exchange with an origin, within the time for its first byte: a stream must have begun by then. Dropping what is
/// late closes its connection.
pub(super) async fn send(
    outbound: Outbound,
    received: Rc<Vec<u8>>,
    limit: usize,
) -> Result<Answer<OriginStream>, SendError> {
    let timeouts = outbound.timeouts;
    let limits = Limits::new(timeouts, Moment::now());
    let terms = Terms { asks: outbound.method == "GET", limit, limits };
    let exchange = exchange(outbound, received, terms);
    match race(exchange, clock::sleep(timeouts.first_byte_ms.into())).await {
        First::One(result) => result,
        First::Other(()) => Err(SendError::Timeout),
    }
}

async fn exchange(
    outbound: Outbound,
    received: Rc<Vec<u8>>,
    terms: Terms,
) -> Result<Answer<OriginStream>, SendError> {
    let (request, upload) = request(outbound, received).ok_or(SendError::Connect)?;
    while_uploading(upload, answer(request, terms)).await
}

/// The answer; the upload goes on meanwhile. An origin that has answered before it has read everything gets no more.
async fn while_uploading<T>(upload: impl Future<Output = ()>, answer: impl Future<Output = T>) -> T {
    let (mut upload, mut answer) = (pin!(upload), pin!(answer));
    let mut uploaded = false;
    poll_fn(|context| {
        uploaded = uploaded || upload.as_mut().poll(context).is_ready();
        answer.as_mut().poll(context)
    })
    .await
}

async fn answer(request: Request, terms: Terms) -> Result<Answer<OriginStream>, SendError> {
    let answer = match client::send(request).await {
        Ok(answer) => answer,
        Err(error) => {
            if let ErrorCode::HttpRequestDenied = error {
                log("Spin did not let a request out: the origin's host is missing in allowed_outbound_hosts of spin.toml").await;
            }
            // A connection that breaks here may have been refused; other platforms cannot tell these apart either.
            return Err(SendError::Connect);
        }
    };
    let status = answer.get_status_code();
    let headers = answer.get_headers();
    let declared = length(&headers);
    let header = |name: &str| text(&headers, name);
    let coding = header("content-encoding");
    let headers = AnswerHeaders {
        content_type: header("content-type"),
        retry_after: header("retry-after"),
        retry_after_ms: header("retry-after-ms"),
        // Only what is asked for with GET, a receipt, is signed.
        signature: if terms.asks { header(moegate_wire::header::SIGNATURE) } else { String::new() },
    };
    if !matches!(coding.as_str(), "" | "identity") {
        // It was told that nothing here can decode it; what it holds, usage included, cannot be read.
        log(&format!("an origin's answer is encoded as `{coding}` though it was asked for `identity`")).await;
        return Err(SendError::Broken);
    }
    let body = Incoming::of_answer(answer);
    let body = if status == 200 && headers.content_type.starts_with("text/event-stream") {
        begin(body, terms).await?
    } else {
        match body.collect(terms.limit, declared, None).await {
            Ok(Some(bytes)) => AnswerBody::Whole(bytes),
            Ok(None) => return Err(SendError::TooLarge),
            Err(Broken) => return Err(SendError::Broken),
        }
    };
    Ok(Answer { status, headers, body })
}

/// Holds a stream back until it has begun.
async fn begin(mut body: Incoming, terms: Terms) -> Result<AnswerBody<OriginStream>, SendError> {
    let mut opening = Opening::default();
    let mut first = Vec::with_capacity(CHUNK);
    loop {
        let seen = first.len();
        let more;
        (more, first) = body.read(first).await;
        if !more {
            return Err(SendError::Broken);
        }
        match opening.push(&first[seen..]) {
            Opened::Begun => return Ok(AnswerBody::Stream(OriginStream::new(first, body, terms.limits))),
            Opened::Failed => return Ok(AnswerBody::Whole(opening.error())),
            Opened::Garbage => return Err(SendError::BadStream),
            // Comments without end would fill the instance's memory.
            Opened::NotYet if first.len() > terms.limit => return Err(SendError::BadStream),
            Opened::NotYet => {}
        }
    }
}

/// The request and what writes its body. `None` where the host does not take a header or URL; the validator lets no such
/// configuration through.
fn request(outbound: Outbound, received: Rc<Vec<u8>>) -> Option<(Request, impl Future<Output = ()>)> {
    let body = match outbound.body {
        OutboundBody::Empty => None,
        OutboundBody::AsReceived => Some(Upload::Received(received)),
        OutboundBody::Bytes(bytes) => Some(Upload::Own(bytes)),
    };
    let mut headers: Vec<_> =
        outbound.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    // Nothing here decodes, and without this header any coding would do.
    headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
    if let Some(body) = &body {
        headers.push(("content-length".to_owned(), body.length().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).ok()?;
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (contents, sender) = match body {
        Some(body) => {
            let (writer, reader) = wit_stream::new();
            (Some(reader), Some((writer, body)))
        }
        None => (None, None),
    };
    let (request, _sent) = Request::new(headers, contents, no_trailers, None);
    let authority = Authority::of(&outbound.url)?;
    let rest = outbound.url.get(authority.scheme.len() + 3 + authority.authority.len()..)?;
    request.set_method(&if outbound.method == "GET" { Method::Get } else { Method::Post }).ok()?;
    request.set_scheme(Some(&if authority.scheme == "https" { Scheme::Https } else { Scheme::Http })).ok()?;
    request.set_authority(Some(authority.authority)).ok()?;
    request.set_path_with_query(Some(rest)).ok()?;
    let upload = async move {
        if let Some((writer, body)) = sender {
            body.write(writer).await;
        }
        drop(trailers);
    };
    Some((request, upload))
}

/// The body of a request to an origin.
enum Upload {
    /// The client's, which another attempt may need again.
    Received(Rc<Vec<u8>>),
    Own(Vec<u8>),
}

impl Upload {
    fn length(&self) -> usize {
        match self {
            Self::Received(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
        }
    }

    /// Writes it and ends it. An origin that reads no more is no fault here: its answer says what it means.
    async fn write(self, mut writer: StreamWriter<u8>) {
        let bytes = match self {
            Self::Own(bytes) => {
                writer.write_all(bytes).await;
                return;
            }
            Self::Received(bytes) => bytes,
        };
        // A write takes its buffer away; piece by piece there is no second copy of the whole.
        let mut buffer = Vec::new();
        for piece in bytes.chunks(PIECE) {
            buffer.clear();
            buffer.extend_from_slice(piece);
            buffer = writer.write_all(buffer).await;
            if !buffer.is_empty() {
                return;
            }
        }
    }
}
