//! Requests to origins.

use super::bytes::Bytes;
use super::headers::{content_length, fields, wanted};
use super::incoming::{Incoming, Upload, while_uploading};
use super::log::log;
use super::outgoing::write;
use crate::payload::Payload;
use crate::platform::FetchError;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, request, uri};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};

/// What the gateway reads of an answer's headers.
const ANSWER_HEADERS: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static(moegate_wire::header::SIGNATURE),
];

/// Sends a request; the answer's body is still to come.
pub(super) async fn fetch(
    request: http::Request<Payload<Bytes>>,
) -> Result<http::Response<Incoming>, FetchError> {
    let (head, body) = request.into_parts();
    // The validator lets no URL or method through that the host does not take.
    let (request, upload) = outbound(head, body).ok_or(FetchError::Connect)?;
    let mut upload = Some(upload);
    let answer = match while_uploading(&mut upload, client::send(request)).await {
        Ok(answer) => answer,
        Err(ErrorCode::HttpRequestDenied) => {
            log(
                "Spin did not let a request out: the origin's host is missing in allowed_outbound_hosts of spin.toml",
            );
            return Err(FetchError::Denied);
        }
        // A connection that breaks here may have been refused; other platforms cannot tell these apart either.
        Err(_) => return Err(FetchError::Connect),
    };
    let status = StatusCode::from_u16(answer.get_status_code()).map_err(|_| FetchError::Connect)?;
    let headers = wanted(&answer.get_headers(), &ANSWER_HEADERS);
    if let Some(coding) = headers.get(CONTENT_ENCODING)
        && coding != "identity"
    {
        // It was told that nothing here can decode it; what it holds, usage included, cannot be read.
        log(&format!("an origin's answer is encoded as {coding:?} though it was asked for `identity`"));
    }
    let body = Incoming::of_answer(answer, content_length(&headers), upload);
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// The request and what writes its body. `None` where the host does not take its method or URL.
fn outbound(head: request::Parts, body: Payload<Bytes>) -> Option<(Request, Upload)> {
    let headers = fields(&with_own(head.headers, &body));
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (contents, writer) = match body {
        Payload::Empty => (None, None),
        body => {
            let (writer, contents) = wit_stream::new();
            (Some(contents), Some((writer, body)))
        }
    };
    let (request, _sent) = Request::new(headers, contents, no_trailers, None);
    aim(&request, &head.method, &head.uri)?;
    let upload = async move {
        if let Some((mut writer, body)) = writer {
            // An origin that reads no more is no fault here: its answer says what it means.
            let _left = write(&mut writer, body).await;
        }
        drop(trailers);
    };
    Some((request, Box::pin(upload)))
}

/// With the headers that belong to this platform's connections.
fn with_own(mut headers: HeaderMap, body: &Payload<Bytes>) -> HeaderMap {
    // Nothing here decodes, and without this header any coding would do.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if !matches!(body, Payload::Empty) {
        headers.insert(CONTENT_LENGTH, body.len().into());
    }
    headers
}

fn aim(request: &Request, method: &http::Method, url: &Uri) -> Option<()> {
    let method = match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let scheme = if url.scheme() == Some(&uri::Scheme::HTTPS) { Scheme::Https } else { Scheme::Http };
    request.set_method(&method).ok()?;
    request.set_scheme(Some(&scheme)).ok()?;
    request.set_authority(Some(url.authority()?.as_str())).ok()?;
    request.set_path_with_query(url.path_and_query().map(uri::PathAndQuery::as_str)).ok()
}
