//! The platform as a request sees it.

use super::bindings::spin::variables::variables;
use super::bindings::wasi::clocks::system_clock;
use super::bindings::wasi::http::types::{Request, Response};
use super::bindings::wasi::random::random;
use super::incoming::{self, OriginStream};
use super::reply::{self, Client, Delivered};
use super::{clock, log, send, store};
use crate::core::attempt::{Outbound, SendError};
use crate::core::memory::Memory;
use crate::core::secret::Secret;
use crate::core::stream::Scanner;
use crate::platform::{Answer, BodyError, Delivery, Left, Page, Platform, Reply, ReplyBody, StoreError};
use moegate_wire::Ending;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

thread_local! {
    /// What the variables provider has said. An instance lives for seconds, so a changed variable is soon seen.
    static VARIABLES: RefCell<HashMap<String, String>> = RefCell::default();
    /// Shared by the requests in flight, and gone with the instance.
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// One client's request.
pub(super) struct SpinRequest {
    request: RefCell<Option<Request>>,
    /// The body that `read_body` gave out: sent on as it is where the core changes nothing.
    received: RefCell<Rc<Vec<u8>>>,
    response: RefCell<Option<Response>>,
    /// Of a reply that was left open; dropping it ends the body.
    client: RefCell<Option<Client>>,
}

impl SpinRequest {
    pub(super) fn new(request: Request) -> Self {
        Self {
            request: RefCell::new(Some(request)),
            received: RefCell::default(),
            response: RefCell::default(),
            client: RefCell::default(),
        }
    }

    /// For the entry, as soon as it is there.
    pub(super) fn take_response(&self) -> Option<Response> {
        self.response.take()
    }

    fn delivered(&self, (delivery, client): Delivered) -> Delivery {
        self.client.replace(client);
        delivery
    }
}

impl Platform for SpinRequest {
    type Body = Rc<Vec<u8>>;
    type Stream = OriginStream;

    fn now_ms(&self) -> u64 {
        let now = system_clock::now();
        u64::try_from(now.seconds).unwrap_or(0) * 1000 + u64::from(now.nanoseconds) / 1_000_000
    }

    fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&random::get_random_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&random::get_random_u64().to_le_bytes()[..2]);
        bytes
    }

    /// Spin's variables have lower-case names: `ORIGIN_KEY` is the variable `origin_key`.
    async fn secret(&self, name: &str) -> Option<Secret> {
        if let Some(known) = VARIABLES.with_borrow(|known| known.get(name).map(|value| Secret::new(value))) {
            return known;
        }
        match variables::get(name.to_ascii_lowercase()).await {
            Ok(value) => {
                let secret = Secret::new(&value);
                VARIABLES.with_borrow_mut(|known| known.insert(name.to_owned(), value));
                secret
            }
            Err(variables::Error::Undefined(_)) => None,
            Err(error) => {
                log::log(&format!("the variable for `{name}` cannot be read: {error:?}")).await;
                None
            }
        }
    }

    async fn read_body(&self, limit: usize) -> Result<Rc<Vec<u8>>, BodyError> {
        let Some(request) = self.request.take() else { return Err(BodyError::Broken) };
        let body = Rc::new(incoming::receive(request, limit).await?);
        self.received.replace(Rc::clone(&body));
        Ok(body)
    }

    /// Nobody tells of a client that has left.
    async fn sleep(&self, ms: u64) -> Result<(), Left> {
        clock::sleep(ms).await;
        Ok(())
    }

    fn memory<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        MEMORY.with_borrow_mut(f)
    }

    async fn send(&self, request: Outbound, limit: usize) -> Result<Answer<OriginStream>, SendError> {
        let received = Rc::clone(&self.received.borrow());
        send::send(request, received, limit).await
    }

    async fn respond(&self, reply: Reply, body: ReplyBody<OriginStream>) -> Delivery {
        // A stream may last for minutes: the bytes are not held for so long.
        drop(self.received.take());
        let give = |response| {
            self.response.replace(Some(response));
        };
        self.delivered(reply::respond(reply, body, give).await)
    }

    async fn go_on(&self, stream: OriginStream, scanner: Scanner) -> Delivery {
        match self.client.take() {
            Some(client) => self.delivered(reply::pump(client, stream, scanner).await),
            None => Delivery { ending: Ending::Cancelled, scanner: Some(scanner), open: false },
        }
    }

    async fn finish(&self, last: String) -> Result<(), Left> {
        match self.client.take() {
            Some(client) => client.finish(last).await,
            None => Err(Left),
        }
    }

    async fn remember(&self, key: &str, value: &str, _seconds: u64) {
        store::remember(key, value).await;
    }

    async fn recall(&self, key: &str) -> Option<String> {
        store::recall(key).await
    }

    async fn put_record(&self, key: &str, value: &str, _summary: &str) -> Result<(), StoreError> {
        store::put(key, value).await
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        store::list(prefix, cursor).await
    }
}
