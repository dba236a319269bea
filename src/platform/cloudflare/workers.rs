//! [`Platform`] for one request.

use super::bytes::{Bytes, outgoing};
use super::exchange::{Sink, Upstream};
use super::operation::{END, LEFT, Operation, Settled, TOO_LARGE};
use super::request::Request as Own;
use super::sleep::Sleep;
use super::{headers, store};
use crate::platform::{
    BodyError, Broken, FetchError, Left, Page, Payload, PipeError, Platform, SecretsUnavailable, StoreError,
    Urgency,
};
use crate::secret::Secret;
use crate::state::InstanceState;
use http::{Request, Response, StatusCode};
use js_sys::Uint8Array;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use worker::Env;

thread_local! {
    /// Every secret that was asked for: a Worker's environment does not change while the instance lives.
    static SECRETS: RefCell<HashMap<String, Option<String>>> = RefCell::default();
    static STATE: RefCell<InstanceState> = RefCell::default();
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// Unix milliseconds. Workers' clock stands still between two events, so it is asked once for each.
pub(super) fn now_ms() -> u64 {
    match CLOCK.get() {
        0 => {
            CLOCK.set(js_sys::Date::now() as u64);
            CLOCK.get()
        }
        now_ms => now_ms,
    }
}

/// Something has happened, so the clock has to be asked again: whatever JavaScript calls begins with this, and so does what
/// follows a promise of the crate `worker`.
pub(super) fn event() {
    CLOCK.set(0);
}

pub(super) struct Workers {
    request: Rc<Own>,
    env: Env,
}

impl Workers {
    pub(super) fn new(request: Rc<Own>, env: Env) -> Self {
        Self { request, env }
    }

    /// Hands a reply's head over.
    fn reply(&self, response: web_sys::Response) {
        self.request.give(response);
    }

    fn chunk(&self, settled: Settled, incoming: &mut Incoming) -> Result<Option<Bytes>, Broken> {
        match settled.code {
            END => {
                incoming.over = true;
                Ok(None)
            }
            code if code < 0 => Err(Broken),
            _ => Ok(Some(Bytes::take(&self.request.exchange, settled))),
        }
    }

    fn body(&self, settled: Settled) -> Result<Bytes, BodyError> {
        match settled.code {
            TOO_LARGE => Err(BodyError::TooLarge),
            code if code < 0 => Err(BodyError::Broken),
            _ => Ok(Bytes::take(&self.request.exchange, settled)),
        }
    }
}

/// The body of an origin's answer.
pub(super) struct Incoming {
    upstream: Upstream,
    over: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.over {
            self.upstream.stop();
        }
    }
}

/// The body of a reply that is being written.
pub(super) struct Outgoing {
    sink: Sink,
    request: Rc<Own>,
    closed: bool,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.request.served.set(true);
        if !self.closed {
            self.sink.abort();
        }
    }
}

fn head(status: StatusCode, fields: &http::HeaderMap) -> String {
    let mut text = String::with_capacity(128);
    text.push_str(status.as_str());
    headers::append(&mut text, fields);
    text
}

impl Platform for Workers {
    type Bytes = Bytes;
    type Incoming = Incoming;
    type Outgoing = Outgoing;

    const HAS_ALARMS: bool = true;
    const LEDGER_OUTLIVES_INSTANCE: bool = true;
    const STORE_EXPIRES: bool = true;

    fn now_ms(&self) -> u64 {
        let now_ms = now_ms();
        self.request.seen_ms.set(now_ms);
        now_ms
    }

    fn random(&self, bytes: &mut [u8]) {
        // `crypto.getRandomValues` fails for more than 65,536 bytes only, and `getrandom` asks for no more at once.
        if getrandom::fill(bytes).is_err() {
            panic!("the runtime gave no random bytes");
        }
    }

    async fn secret(&self, name: &str) -> Result<Option<Secret>, SecretsUnavailable> {
        let value = SECRETS.with_borrow_mut(|secrets| match secrets.get(name) {
            Some(value) => value.clone(),
            None => {
                let value = self.env.secret(name).ok().map(|value| value.to_string());
                secrets.insert(name.to_owned(), value.clone());
                value
            }
        });
        Ok(value.as_deref().and_then(Secret::new))
    }

    fn state<T>(&self, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        STATE.with_borrow_mut(f)
    }

    fn sleep(&self, ms: u64) -> impl Future<Output = ()> {
        Sleep::new(&self.request, ms)
    }

    async fn cancelled(&self) {
        self.request.left().await;
    }

    async fn read_body(&self, limit: usize) -> Result<Bytes, BodyError> {
        let exchange = &self.request.exchange;
        self.body(Operation::begin(|number| exchange.read_body(number, limit as f64)).await)
    }

    async fn fetch(&self, request: Request<Payload<Bytes>>) -> Result<Response<Incoming>, FetchError> {
        let (parts, body) = request.into_parts();
        let mut text = format!("{}\n{}", parts.method, parts.uri);
        headers::append(&mut text, &parts.headers);
        let mut upstream = None;
        let operation = Operation::begin(|number| {
            upstream = Some(self.request.exchange.fetch(number, &text, outgoing(&body).as_ref()));
        });
        // What is sent lies in JavaScript now.
        drop((text, body));
        let Some(upstream) = upstream else { return Err(FetchError::Connect) };
        let mut incoming = Incoming { upstream, over: false };
        let settled = operation.await;
        let status = u16::try_from(settled.code).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let Some(status) = status else {
            incoming.over = settled.code < 0;
            return Err(FetchError::Connect);
        };
        let mut response = Response::new(incoming);
        *response.status_mut() = status;
        *response.headers_mut() = headers::values(settled.text.split('\n'), &headers::ANSWER);
        Ok(response)
    }

    async fn read(&self, incoming: &mut Incoming) -> Result<Option<Bytes>, Broken> {
        let settled = Operation::begin(|number| incoming.upstream.read(number)).await;
        self.chunk(settled, incoming)
    }

    async fn collect(&self, mut incoming: Incoming, limit: usize) -> Result<Bytes, BodyError> {
        let settled = Operation::begin(|number| incoming.upstream.collect(number, limit as f64)).await;
        incoming.over = settled.code >= 0;
        self.body(settled)
    }

    async fn respond(&self, reply: Response<Payload<Bytes>>) -> Result<(), Left> {
        let (parts, body) = reply.into_parts();
        let text = head(parts.status, &parts.headers);
        self.reply(self.request.exchange.respond(&text, outgoing(&body).as_ref()));
        self.request.served.set(true);
        if self.request.has_left() { Err(Left) } else { Ok(()) }
    }

    fn begin(&self, reply: Response<()>) -> Outgoing {
        let sink = self.request.exchange.begin(&head(reply.status(), reply.headers()));
        self.reply(sink.response());
        Outgoing { sink, request: Rc::clone(&self.request), closed: false }
    }

    async fn write(&self, outgoing: &mut Outgoing, chunk: Payload<Bytes>) -> Result<(), Left> {
        let Some(chunk) = array(&chunk) else { return Ok(()) };
        let settled = Operation::begin(|number| outgoing.sink.write(number, &chunk)).await;
        if settled.code == LEFT { Err(Left) } else { Ok(()) }
    }

    async fn write_then_read(
        &self,
        outgoing: &mut Outgoing,
        chunk: Payload<Bytes>,
        incoming: &mut Incoming,
        written_ms: &Cell<u64>,
    ) -> Result<Result<Option<Bytes>, Broken>, Left> {
        let Some(chunk) = array(&chunk) else {
            written_ms.set(now_ms());
            return Ok(self.read(incoming).await);
        };
        let sink = &outgoing.sink;
        let mut operation =
            Operation::begin(|number| sink.write_then_read(number, &chunk, &incoming.upstream));
        let mut waits = false;
        let settled = poll_fn(|context| {
            let poll = Pin::new(&mut operation).poll(context);
            // Something else has woken the request: it may want to know.
            if poll.is_pending() && std::mem::replace(&mut waits, true) {
                written_ms.set(sink.written_ms() as u64);
            }
            poll
        })
        .await;
        if settled.code == LEFT {
            return Err(Left);
        }
        Ok(self.chunk(settled, incoming))
    }

    async fn pipe(&self, mut incoming: Incoming, outgoing: &mut Outgoing) -> Result<(), PipeError> {
        let settled = Operation::begin(|number| outgoing.sink.pipe(number, &incoming.upstream)).await;
        match settled.code {
            0 => {
                incoming.over = true;
                Ok(())
            }
            LEFT => Err(PipeError::Left),
            _ => Err(PipeError::Broken),
        }
    }

    async fn close(&self, mut outgoing: Outgoing) -> Result<(), Left> {
        let settled = Operation::begin(|number| outgoing.sink.close(number)).await;
        outgoing.closed = true;
        if settled.code == LEFT { Err(Left) } else { Ok(()) }
    }

    async fn remember(&self, key: &str, value: &str, seconds: u64) {
        store::remember(&self.request.exchange.host(), key, value, seconds).await;
        event();
    }

    async fn recall(&self, key: &str) -> Option<String> {
        let value = store::recall(&self.request.exchange.host(), key).await;
        event();
        value
    }

    async fn load(&self, key: &str) -> Result<Option<String>, StoreError> {
        let value = store::load(&self.env, key).await;
        event();
        value
    }

    async fn store(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let stored = store::put(&self.env, key, value, "null").await;
        event();
        stored
    }

    async fn store_for(&self, key: &str, value: &str, seconds: u64) -> Result<(), StoreError> {
        let stored = store::put_for(&self.env, key, value, seconds).await;
        event();
        stored
    }

    async fn erase(&self, key: &str) -> Result<(), StoreError> {
        let erased = store::erase(&self.env, key).await;
        event();
        erased
    }

    async fn put_record(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        let put = store::put(&self.env, key, value, summary).await;
        event();
        put
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        let page = store::list(&self.env, prefix, cursor).await;
        event();
        page
    }

    async fn ledger(&self, shard: &str, operation: &str, urgency: Urgency) -> Result<String, StoreError> {
        let exchange = &self.request.exchange;
        let soon = urgency == Urgency::Soon;
        let settled = Operation::begin(|number| exchange.ledger(number, shard, operation, soon)).await;
        if settled.code < 0 { Err(StoreError) } else { Ok(settled.text) }
    }

    async fn log(&self, line: &str) {
        worker::console_error!("{line}");
    }
}

/// A chunk as JavaScript takes it; `None` for an empty one, which would end nothing and say nothing.
fn array(chunk: &Payload<Bytes>) -> Option<Uint8Array> {
    outgoing(chunk).filter(|_| !chunk.is_empty())
}
