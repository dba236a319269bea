//! What browsers have to be told before a page of another origin may read an answer: the Fetch standard's CORS protocol.
//!
//! Pages send their key in `Authorization`, which no browser adds by itself: credentials, in the standard's sense, are
//! never allowed.

use super::Gateway;
use crate::config::{Config, Cors};
use crate::error::ApiError;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
/// What a page may read of an answer besides what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "age, request-id, retry-after, retry-after-ms, x-moegate-attempt-log, x-moegate-attempts, x-moegate-budget, x-moegate-cache, x-moegate-cost, x-moegate-model, x-moegate-origin, x-moegate-origin-state, x-moegate-replayed, x-moegate-request-id, x-moegate-wake-seconds, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens, x-request-id, x-should-retry",
);
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
/// A longer list of headers is no SDK's.
const LONGEST_LIST: usize = 2048;

/// The request headers that it is decided by.
const WANTED: [HeaderName; 3] =
    [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS];

/// The configuration's pages.
#[derive(Debug)]
pub(super) struct Pages {
    /// What `Access-Control-Allow-Origin` says to any of them, where all may call.
    any: Option<HeaderValue>,
    origins: Vec<HeaderValue>,
    max_age_s: u32,
}

/// What the answer to one request says. Nothing where the configuration names no pages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowed<'g> {
    origin: Option<&'g HeaderValue>,
    /// Whether another page would be told something else.
    varies: bool,
}

impl Pages {
    pub(super) fn of(config: &Config) -> Option<Self> {
        let cors = config.gateway.cors.as_ref()?;
        let any = cors.is_for_any().then(|| HeaderValue::from_static(Cors::ANY));
        // The validator lets nothing else through.
        let origins = cors.origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect();
        Some(Self { any, origins, max_age_s: cors.max_age_s })
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Allowed<'_> {
        let listed = || self.origins.iter().find(|listed| Some(*listed) == origin);
        Allowed { origin: self.any.as_ref().or_else(listed), varies: self.any.is_none() }
    }
}

impl Allowed<'_> {
    /// Puts it into the head of an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.insert(header::VARY, ORIGIN);
        }
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

impl Gateway {
    /// The request headers that CORS needs; none where it is off.
    pub(super) fn cors_headers(config: &Config) -> impl Iterator<Item = HeaderName> {
        WANTED.into_iter().filter(|_| config.gateway.cors.is_some())
    }

    /// What the answer to this request says to a browser.
    pub(super) fn allowed(&self, head: &Request<()>) -> Allowed<'_> {
        match &self.pages {
            Some(pages) => pages.allowed(head.headers().get(header::ORIGIN)),
            None => Allowed::default(),
        }
    }

    /// Whether pages of that origin may call.
    pub(super) fn is_page(&self, origin: &str) -> bool {
        let value = HeaderValue::try_from(origin).ok();
        let is_plain = origin.contains("://") && origin.bytes().all(|b| b.is_ascii_graphic());
        is_plain && self.pages.as_ref().is_some_and(|pages| pages.allowed(value.as_ref()).origin.is_some())
    }

    /// The answer to a browser that asks whether a page may send a request; `None` where it is no such question.
    ///
    /// It is the same for every path: a page with a mistake in its URL is to see the 404 that says so.
    ///
    /// # Errors
    /// 403 for a page that is not listed.
    pub(super) fn preflight(&self, head: &Request<()>) -> Option<Result<Response<()>, ApiError>> {
        let pages = self.pages.as_ref()?;
        let headers = head.headers();
        let origin = headers.get(header::ORIGIN)?;
        if head.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let Some(value) = pages.allowed(Some(origin)).origin else {
            let shown = String::from_utf8_lossy(origin.as_bytes());
            return Some(Err(ApiError::page_not_allowed(&shown)));
        };
        let mut reply = Response::new(());
        *reply.status_mut() = StatusCode::NO_CONTENT;
        let answer = reply.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        // SDKs send headers of their own: whatever a listed page wants to send it may.
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(asked) = asked.filter(|asked| is_list_of_names(asked.as_bytes())) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, pages.max_age_s.into());
        answer.insert(
            header::VARY,
            HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        );
        Some(Ok(reply))
    }
}

/// Names of headers with commas between them, which may go back as they came.
fn is_list_of_names(list: &[u8]) -> bool {
    let of_names = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_, ".contains(&byte);
    list.len() <= LONGEST_LIST && list.iter().all(of_names)
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
