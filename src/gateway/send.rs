//! What goes to an origin, how long it may take, and why there may be no answer.

use super::stream::Interrupt;
use crate::config::{Failure, Kind, StreamMode};
use crate::dialect::counts::Counts;
use crate::dialect::partial::Partial;
use crate::dialect::request::{CannotEncode, Changes, EncodedBody, Resume};
use crate::dialect::{ClientRequest, registry};
use crate::platform::Payload;
use crate::routing::Target;
use crate::secret::OriginSecrets;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use moegate_wire::{Ticket, header as wire, resume, ticket};
use std::ops::Deref;

/// Moments in Unix milliseconds, a span in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeouts {
    /// Until then a stream must have begun, or another answer be whole.
    pub(super) head_until_ms: u64,
    /// Between two chunks of a pumped stream.
    pub(super) idle_ms: u64,
    /// Until then a stream must be at its end.
    pub(super) until_ms: u64,
}

impl Timeouts {
    /// Of an attempt that begins now.
    pub(super) fn of(target: &Target<'_>, now_ms: u64, deadline_ms: u64) -> Self {
        Self {
            head_until_ms: (now_ms + target.first_byte_ms()).min(deadline_ms),
            idle_ms: target.idle_ms().into(),
            until_ms: deadline_ms,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SendError {
    /// Refused, unresolvable, no TLS.
    Connect,
    /// Nothing in time.
    Timeout,
    /// The connection broke before the answer was whole (before its first content, for a stream).
    Broken,
    /// The same of a stream to who asked for one answer: the counts that it had told, and how many events had content.
    Truncated(Option<Counts>, u64),
    /// What came is no stream of the dialect's events, or one that ended before it had begun.
    BadStream,
    /// An unstreamed answer over the limit for bodies.
    TooLarge,
    /// The body is in a content coding that was not asked for.
    Encoded(String),
    /// The client left meanwhile.
    ClientLeft,
}

impl SendError {
    /// `None`: nobody's failure.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Connect => Some(Failure::Connect),
            Self::Timeout => Some(Failure::Timeout),
            Self::Broken | Self::Truncated(..) => Some(Failure::Broken),
            Self::BadStream | Self::Encoded(_) => Some(Failure::BadAnswer),
            // Another origin's answer would be as large.
            Self::TooLarge => Some(Failure::Refused),
            Self::ClientLeft => None,
        }
    }
}

impl From<Interrupt> for SendError {
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Time => Self::Timeout,
            Interrupt::ClientLeft => Self::ClientLeft,
        }
    }
}

/// What a request to an origin is made of.
pub(super) struct Outgoing<'o, 'a> {
    pub(super) target: &'o Target<'a>,
    pub(super) secrets: &'o OriginSecrets<'a>,
    pub(super) id: &'o str,
    /// Whose request it is.
    pub(super) tenant: &'o str,
    pub(super) now_ms: u64,
    pub(super) mode: StreamMode,
    /// Whether a pumped stream's counts are to be asked for.
    pub(super) ask_usage: bool,
    /// The client's own headers, for an origin of its own API.
    pub(super) passed: Option<&'o HeaderMap>,
    /// The answer so far, where the origin is to go on with one.
    pub(super) partial: Option<&'o Partial>,
}

impl Outgoing<'_, '_> {
    /// The request, and the members that were left out of it.
    ///
    /// # Errors
    /// What cannot be said to that origin.
    pub(super) fn request<B: Clone + Deref<Target = [u8]>>(
        &self,
        request: &dyn ClientRequest,
        body: &B,
    ) -> Result<(Request<Payload<B>>, Vec<String>), CannotEncode> {
        let target = self.target;
        let own = target.origin.kind == Kind::Moegate;
        let encoded = request.encode(&Changes {
            origin: target.origin,
            model: target.model,
            // A relayed stream is metered by its receipt; a pumped one has to carry its usage.
            ask_usage: self.ask_usage && self.mode == StreamMode::Pump,
            drop_unsupported: target.route.drop_unsupported,
            resume: self.partial.map(|partial| match own {
                true => Resume::Tokens(partial),
                false => Resume::Text(partial, target.origin.prefill()),
            }),
        })?;
        let url = format!("{}{}", target.origin.url, encoded.path);
        let mut headers = base_headers(self.secrets, &url);
        headers.extend(registry::origin_headers(target.origin.kind).iter().cloned());
        if let Some(passed) = self.passed {
            for (name, value) in passed {
                headers.insert(name.clone(), value.clone());
            }
        }
        if !matches!(encoded.body, EncodedBody::Form(_)) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        insert(&mut headers, wire::REQUEST_ID, self.id);
        if own && let Some(key) = self.secrets.bearer() {
            let price = target.price_at(self.now_ms);
            let (request_id, issued_at) = (self.id.to_owned(), self.now_ms / 1000);
            let ticket = key.sign_with(|key| {
                Ticket { request_id, issued_at, price, share: ticket::share(key, self.tenant) }.encode(key)
            });
            insert(&mut headers, wire::TICKET, &ticket);
        }
        if own && target.route.continues && request.facts().stream {
            insert(&mut headers, wire::RESUME, resume::WANTED);
        }
        let body = match encoded.body {
            EncodedBody::Edited(edits) | EncodedBody::Form(edits) if edits.is_empty() => {
                Payload::Passed(body.clone())
            }
            EncodedBody::Edited(edits) | EncodedBody::Form(edits) => Payload::Edited(body.clone(), edits),
            EncodedBody::Own(bytes) => Payload::Own(bytes),
        };
        // The validator has read the URL.
        self.secrets.sign(&url, &mut headers, &body, self.now_ms).map_err(CannotEncode::Unsigned)?;
        let request = build(Method::POST, &url, headers, body).ok_or(CannotEncode::Dialect)?;
        Ok((request, encoded.dropped))
    }
}

/// A request with these headers; `None` where the URL is none.
pub(super) fn build<B>(
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: Payload<B>,
) -> Option<Request<Payload<B>>> {
    let mut request = Request::builder().method(method).uri(url).body(body).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

/// Our name.
pub(super) fn our_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let agent = concat!("moegate/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers
}

/// Our name and the origin's secrets.
pub(super) fn base_headers(secrets: &OriginSecrets<'_>, url: &str) -> HeaderMap {
    let mut headers = our_headers();
    secrets.attach(url, &mut headers);
    headers
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Ids and signatures of ours are letters, digits and points.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
