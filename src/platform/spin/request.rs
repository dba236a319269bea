//! The platform as a request sees it.

use super::bytes::Bytes;
use super::incoming::{self, Incoming};
use super::log::log;
use super::outgoing::{self, Outgoing};
use super::timer::Timer;
use super::{fetch, ledger, store};
use crate::payload::Payload;
use crate::platform::{
    BodyError, Broken, FetchError, Left, Page, PipeError, Platform, SecretsUnavailable, StoreError, Urgency,
};
use crate::secret::Secret;
use crate::state::InstanceState;
use spin_sdk::variables;
use spin_sdk::wasip3::clocks::system_clock;
use spin_sdk::wasip3::http::types::{Request, Response};
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// What the variables provider has said. An instance lives for seconds, so a changed variable is soon seen.
    static VARIABLES: RefCell<HashMap<String, String>> = RefCell::default();
    /// Shared by the requests in flight, and gone with the instance.
    static STATE: RefCell<InstanceState> = RefCell::default();
}

/// One client's request.
pub(super) struct SpinRequest {
    request: RefCell<Option<Request>>,
    /// The length that its headers declare, in bytes.
    declared: Option<usize>,
    response: RefCell<Option<Response>>,
    timer: Timer,
}

impl SpinRequest {
    pub(super) fn new(request: Request, declared: Option<usize>) -> Self {
        let (request, response) = (RefCell::new(Some(request)), RefCell::default());
        Self { request, declared, response, timer: Timer::default() }
    }

    /// For the entry, as soon as it is there.
    pub(super) fn take_response(&self) -> Option<Response> {
        self.response.take()
    }
}

impl Platform for SpinRequest {
    type Bytes = Bytes;
    type Incoming = Incoming;
    type Outgoing = Outgoing;

    const HAS_ALARMS: bool = false;
    const LEDGER_OUTLIVES_INSTANCE: bool = false;
    const STORE_EXPIRES: bool = false;

    fn now_ms(&self) -> u64 {
        let now = system_clock::now();
        let seconds = u64::try_from(now.seconds).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds) / 1_000_000)
    }

    fn random(&self, bytes: &mut [u8]) {
        // WASI's source cannot fail.
        let _infallible = getrandom::fill(bytes);
    }

    /// Spin's variables have lower-case names: `ORIGIN_KEY` is the variable `origin_key`.
    async fn secret(&self, name: &str) -> Result<Option<Secret>, SecretsUnavailable> {
        if let Some(known) = VARIABLES.with_borrow(|known| known.get(name).map(|value| Secret::new(value))) {
            return Ok(known);
        }
        match variables::get(name.to_ascii_lowercase()).await {
            Ok(value) => {
                let secret = Secret::new(&value);
                VARIABLES.with_borrow_mut(|known| known.insert(name.to_owned(), value));
                Ok(secret)
            }
            Err(variables::Error::Undefined(_)) => Ok(None),
            Err(error) => {
                log(&format!("the variable for `{name}` cannot be read: {error:?}"));
                Err(SecretsUnavailable)
            }
        }
    }

    fn state<T>(&self, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        STATE.with(|state| match state.try_borrow_mut() {
            Ok(mut state) => f(&mut state),
            // Only from within another `f`: what is remembered may be lost at any time.
            Err(_) => f(&mut InstanceState::default()),
        })
    }

    async fn sleep(&self, ms: u64) {
        self.timer.sleep(ms).await;
    }

    /// Nobody tells of a client that has left; a write finds out.
    async fn cancelled(&self) {
        std::future::pending::<()>().await;
    }

    async fn read_body(&self, limit: usize) -> Result<Bytes, BodyError> {
        let request = self.request.take().ok_or(BodyError::Broken)?;
        incoming::receive(request, self.declared, limit).await
    }

    async fn fetch(
        &self,
        request: http::Request<Payload<Bytes>>,
    ) -> Result<http::Response<Incoming>, FetchError> {
        fetch::fetch(request).await
    }

    async fn read(&self, incoming: &mut Incoming) -> Result<Option<Bytes>, Broken> {
        incoming.next().await
    }

    async fn collect(&self, incoming: Incoming, limit: usize) -> Result<Bytes, BodyError> {
        incoming.collect(limit).await
    }

    async fn respond(&self, reply: http::Response<Payload<Bytes>>) -> Result<(), Left> {
        let (head, payload) = reply.into_parts();
        let head = http::Response::from_parts(head, ());
        let (mut body, response) = outgoing::whole(head, payload.len());
        self.response.replace(Some(response));
        outgoing::write(&mut body, payload).await
    }

    fn begin(&self, head: http::Response<()>) -> Outgoing {
        let (outgoing, response) = Outgoing::new(&head);
        self.response.replace(Some(response));
        outgoing
    }

    async fn write(&self, outgoing: &mut Outgoing, chunk: Payload<Bytes>) -> Result<(), Left> {
        outgoing.write(chunk).await
    }

    /// Chunk by chunk through one buffer. The origin's stream could be handed on by its handle only while nothing of it has
    /// been read, and then nobody would know whether it begins.
    async fn pipe(&self, mut incoming: Incoming, outgoing: &mut Outgoing) -> Result<(), PipeError> {
        let mut buffer = Vec::new();
        loop {
            let more;
            (more, buffer) = incoming.fill(buffer).await.map_err(|Broken| PipeError::Broken)?;
            if !more {
                return Ok(());
            }
            buffer = outgoing.write_buffer(buffer).await.map_err(|Left| PipeError::Left)?;
        }
    }

    async fn close(&self, outgoing: Outgoing) -> Result<(), Left> {
        outgoing.close().await
    }

    async fn remember(&self, key: &str, value: &str, _seconds: u64) {
        store::remember(key, value).await;
    }

    async fn recall(&self, key: &str) -> Option<String> {
        store::recall(key).await
    }

    async fn load(&self, key: &str) -> Result<Option<String>, StoreError> {
        store::load(key).await
    }

    async fn store(&self, key: &str, value: &str) -> Result<(), StoreError> {
        store::put(key, value).await
    }

    async fn store_for(&self, key: &str, value: &str, _seconds: u64) -> Result<(), StoreError> {
        store::put(key, value).await
    }

    async fn erase(&self, key: &str) -> Result<(), StoreError> {
        store::erase(key).await
    }

    async fn put_record(&self, key: &str, value: &str, _summary: &str) -> Result<(), StoreError> {
        store::put(key, value).await
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        store::list(prefix, cursor).await
    }

    /// All shards are in one database.
    async fn ledger(&self, _shard: &str, operation: &str, urgency: Urgency) -> Result<String, StoreError> {
        ledger::ask(operation.to_owned(), urgency).await
    }

    async fn log(&self, line: &str) {
        log(line);
    }
}
