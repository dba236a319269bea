//! The exported handler.

use super::headers::{content_length, wanted};
use super::request::SpinRequest;
use crate::gateway::{self, Gateway};
use http::uri::PathAndQuery;
use http::{HeaderName, Uri};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Response};
use spin_sdk::wasip3::{http as wasi_http, wit_bindgen};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

struct Entry;

wasi_http::service::export!(Entry);

impl Guest for Entry {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let gateway = Gateway::compiled();
        let head = head(&request, gateway.wanted_headers())?;
        let served = Rc::new(SpinRequest::new(request, content_length(head.headers())));
        let mut task = Box::pin({
            let served = Rc::clone(&served);
            async move { gateway::handle(&*served, gateway, head).await }
        });
        // The response's body is written, and the request settled, after this function has returned.
        let (response, finished) = poll_fn(|context| {
            let finished = task.as_mut().poll(context).is_ready();
            match served.take_response() {
                Some(response) => Poll::Ready((Ok(response), finished)),
                None if finished => Poll::Ready((Err(ErrorCode::InternalError(None)), true)),
                None => Poll::Pending,
            }
        })
        .await;
        if !finished {
            wit_bindgen::spawn(task);
        }
        response
    }
}

fn head(request: &Request, names: &[HeaderName]) -> Result<http::Request<()>, ErrorCode> {
    let target = request.get_path_with_query().unwrap_or_default();
    let target = if target.is_empty() { "/" } else { target.as_str() };
    let target: PathAndQuery = target.parse().map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let mut head = http::Request::new(());
    *head.method_mut() = method(request.get_method())?;
    *head.uri_mut() = Uri::from(target);
    *head.headers_mut() = wanted(&request.get_headers(), names);
    Ok(head)
}

fn method(method: Method) -> Result<http::Method, ErrorCode> {
    Ok(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Connect => http::Method::CONNECT,
        Method::Options => http::Method::OPTIONS,
        Method::Trace => http::Method::TRACE,
        Method::Patch => http::Method::PATCH,
        Method::Other(name) => name.parse().map_err(|_| ErrorCode::HttpRequestMethodInvalid)?,
    })
}
