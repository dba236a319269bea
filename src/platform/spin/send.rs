//! Requests to origins, and bodies that come in.

use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::http::client;
use super::bindings::wasi::http::types::{
    ErrorCode, Fields, Headers, Method, Request, Response, Scheme, Trailers,
};
use super::bindings::{wit_future, wit_stream};
use super::log::log;
use super::race::{First, race};
use crate::core::attempt::{AnswerHeaders, Outbound, OutboundBody, SendError};
use crate::core::config::Authority;
use crate::platform::{Answer, AnswerBody, BodyError};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// What one read takes at most; the host's own buffers are not larger.
pub(super) const CHUNK: usize = 16 * 1024;

/// An origin's stream whose first chunk has come.
pub(super) struct OriginStream {
    pub(super) first: Vec<u8>,
    pub(super) rest: Incoming,
}

/// A body that comes in. Dropping it closes the connection if the body is not at its end.
pub(super) struct Incoming {
    stream: StreamReader<u8>,
    end: FutureReader<Result<Option<Trailers>, ErrorCode>>,
}

/// The connection broke before the body was whole.
pub(super) struct Broken;

impl Incoming {
    fn of_answer(answer: Response) -> Self {
        // Nobody waits for what we made of it: the default stands.
        let (_, done) = wit_future::new(|| Ok(()));
        let (stream, end) = Response::consume_body(answer, done);
        Self { stream, end }
    }

    /// Adds the next chunk to `buffer`. Whether there was one.
    pub(super) async fn read(&mut self, mut buffer: Vec<u8>) -> (bool, Vec<u8>) {
        if buffer.capacity() == buffer.len() {
            buffer.reserve(CHUNK);
        }
        let (result, buffer) = self.stream.read(buffer).await;
        (matches!(result, StreamResult::Complete(_)), buffer)
    }

    /// After the last chunk: whether the body is whole.
    pub(super) async fn end(self) -> Result<(), Broken> {
        drop(self.stream);
        self.end.await.map(drop).map_err(|_| Broken)
    }

    /// All of it; `None` where it is over the limit. `whole`: the length at which nothing more can come.
    async fn collect(
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

/// One exchange with an origin, within the time for its first byte.
pub(super) async fn send(
    outbound: Outbound,
    received: Rc<Vec<u8>>,
    limit: usize,
) -> Result<Answer<OriginStream>, SendError> {
    let nanoseconds = u64::from(outbound.first_byte_timeout_ms) * 1_000_000;
    match race(exchange(outbound, received, limit), monotonic_clock::wait_for(nanoseconds)).await {
        First::One(result) => result,
        First::Other(()) => Err(SendError::Timeout),
    }
}

async fn exchange(
    outbound: Outbound,
    received: Rc<Vec<u8>>,
    limit: usize,
) -> Result<Answer<OriginStream>, SendError> {
    let asks = outbound.method == "GET";
    let (request, upload) = request(outbound, received).ok_or(SendError::Connect)?;
    while_uploading(upload, answer(request, asks, limit)).await
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

async fn answer(request: Request, asks: bool, limit: usize) -> Result<Answer<OriginStream>, SendError> {
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
    let coding = text(&headers, "content-encoding");
    let headers = AnswerHeaders {
        content_type: text(&headers, "content-type"),
        retry_after: text(&headers, "retry-after"),
        retry_after_ms: text(&headers, "retry-after-ms"),
        // Only what is asked for with GET, a receipt, is signed.
        signature: if asks { text(&headers, moegate_wire::header::SIGNATURE) } else { String::new() },
    };
    if !matches!(coding.as_str(), "" | "identity") {
        // It was told that nothing here can decode it; what it holds, usage included, cannot be read.
        log(&format!("an origin's answer is encoded as `{coding}` though it was asked for `identity`")).await;
        return Err(SendError::Broken);
    }
    let mut body = Incoming::of_answer(answer);
    let body = if status == 200 && headers.content_type.starts_with("text/event-stream") {
        let (there, first) = body.read(Vec::with_capacity(CHUNK)).await;
        if !there {
            return Err(SendError::Broken);
        }
        AnswerBody::Stream(OriginStream { first, rest: body })
    } else {
        match body.collect(limit, declared, None).await {
            Ok(Some(bytes)) => AnswerBody::Whole(bytes),
            Ok(None) => return Err(SendError::TooLarge),
            Err(Broken) => return Err(SendError::Broken),
        }
    };
    Ok(Answer { status, headers, body })
}

/// The request and what writes its body. `None` where the host does not take a header or URL; the validator lets no such
/// configuration through.
fn request(outbound: Outbound, received: Rc<Vec<u8>>) -> Option<(Request, impl Future<Output = ()>)> {
    let body = match outbound.body {
        OutboundBody::Empty => None,
        OutboundBody::AsReceived => Some(Rc::unwrap_or_clone(received)),
        OutboundBody::Bytes(bytes) => Some(bytes),
    };
    let mut headers: Vec<_> =
        outbound.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    // Nothing here decodes, and without this header any coding would do.
    headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
    if let Some(body) = &body {
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
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
        if let Some((mut writer, body)) = sender {
            let _unread = writer.write_all(body).await;
        }
        drop(trailers);
    };
    Some((request, upload))
}

fn length(headers: &Headers) -> Option<usize> {
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
