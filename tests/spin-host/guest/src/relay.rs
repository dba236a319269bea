//! Requests sent on to where the path says.

use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, RequestOptions, Response, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::whole;

/// All of a request's body.
pub(crate) async fn body(request: Request) -> Vec<u8> {
    let (done, done_seen) = wit_future::new(|| Ok(()));
    let (stream, _trailers) = Request::consume_body(request, done_seen);
    let bytes = stream.collect().await;
    drop(done);
    bytes
}

/// `/relay/MODE/AUTHORITY/path…`: MODE is `http` or `https`, then options: `+copy` copies all headers of the answer,
/// `+read` counts the answer's bytes and says how they ended, `+firstN` and `+betweenN` are time-outs in milliseconds.
pub(crate) async fn relay(words: &[String]) -> Result<Response, ErrorCode> {
    let mut modes = words[1].split('+');
    let scheme = if modes.next() == Some("https") { Scheme::Https } else { Scheme::Http };
    let options = RequestOptions::new();
    let (mut copy, mut read) = (false, false);
    for mode in modes {
        let millis =
            |name: &str| mode.strip_prefix(name).and_then(|n| n.parse::<u64>().ok()).map(|n| n * 1_000_000);
        if let Some(nanos) = millis("first") {
            options.set_first_byte_timeout(Some(nanos)).expect("an option");
        } else if let Some(nanos) = millis("between") {
            options.set_between_bytes_timeout(Some(nanos)).expect("an option");
        }
        copy |= mode == "copy";
        read |= mode == "read";
    }
    let (end, end_seen) = wit_future::new(|| Ok(None));
    let (_, nothing) = wit_stream::new::<u8>();
    drop(nothing);
    let (request, _sent) = Request::new(Fields::new(), None, end_seen, Some(options));
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(&words[2])).expect("an authority");
    request.set_path_with_query(Some(&format!("/{}", words[3..].join("/")))).expect("a path");
    drop(end);
    let answer = match client::send(request).await {
        Ok(answer) => answer,
        Err(error) => return Ok(whole(502, format!("{error:?}").into_bytes())),
    };
    let status = answer.get_status_code();
    let fields = Fields::new();
    if copy {
        for (name, value) in answer.get_headers().copy_all() {
            if let Err(error) = fields.append(&name, &value) {
                return Err(ErrorCode::InternalError(Some(format!("{name}: {error:?}"))));
            }
        }
    }
    let (done, done_seen) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Response::consume_body(answer, done_seen);
    if read {
        let bytes = stream.collect().await;
        let end = trailers.await.map(|_| ());
        drop(done);
        return Ok(whole(200, format!("{} bytes, {end:?}", bytes.len()).into_bytes()));
    }
    let (response, _sent) = Response::new(fields, Some(stream), trailers);
    response.set_status_code(status).expect("a status");
    Ok(response)
}
