//! The exported handler.

use super::bindings::exports::wasi::http::handler::Guest;
use super::bindings::wasi::http::types::{ErrorCode, Method, Request, Response};
use super::incoming::text;
use super::request::SpinRequest;
use crate::core::config::Config;
use crate::gateway;
use crate::platform::Head;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::Poll;

/// What is read once per instance.
struct Compiled {
    config: Config,
    /// Of `config`.
    rule_headers: Vec<String>,
}

static COMPILED: OnceLock<Compiled> = OnceLock::new();

fn compiled() -> &'static Compiled {
    COMPILED.get_or_init(|| {
        #[expect(
            clippy::expect_used,
            reason = "build.rs wrote it with the same types; a mismatch is found by any test"
        )]
        let config = crate::compiled_config().expect("the compiled-in configuration");
        Compiled { rule_headers: config.rule_headers(), config }
    })
}

pub(super) struct Gateway;

impl Guest for Gateway {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let Compiled { config, rule_headers } = compiled();
        let head = head(&request, rule_headers);
        let served = Rc::new(SpinRequest::new(request));
        let mut task = Box::pin({
            let served = Rc::clone(&served);
            async move { gateway::handle(&*served, config, &head).await }
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

fn head(request: &Request, rule_headers: &[String]) -> Head {
    let headers = request.get_headers();
    let header = |name: &str| Some(text(&headers, name)).filter(|value| !value.is_empty());
    let named = |name: &String| Some((name.clone(), header(name)?));
    let target = request.get_path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Head {
        method: method(request.get_method()),
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        query: query.to_owned(),
        authorization: header("authorization"),
        content_length: header("content-length").and_then(|value| value.parse().ok()),
        idempotency_key: header("idempotency-key"),
        rule_headers: rule_headers.iter().filter_map(named).collect(),
    }
}

fn method(method: Method) -> String {
    match method {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(name) => name,
    }
}
