//! [`Platform`] on the crate `worker`.

use crate::stream::{self, Stream};
use futures_channel::oneshot;
use js_sys::{ArrayBuffer, Date, Uint8Array, futures::JsFuture};
use moegate::core::attempt::{AnswerHeaders, Outbound, OutboundBody, SendError};
use moegate::core::secret::Secret;
use moegate::platform::{
    Answer, AnswerBody, BodyError, Delivery, Entry, Page, Platform, Reply, ReplyBody, StoreError,
};
use moegate_wire::Ending;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, Headers, RequestInit, RequestRedirect, ResponseInit};
use worker::{Env, Fetch, Result};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Closure<dyn FnMut()>, ms: u32) -> f64;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: f64);
}

thread_local! {
    /// A Worker's environment does not change while the instance lives.
    static SECRETS: RefCell<HashMap<String, Option<String>>> = RefCell::default();
}

/// One client's request.
pub(crate) struct Edge {
    request: web_sys::Request,
    env: Env,
    respond: Cell<Option<oneshot::Sender<web_sys::Response>>>,
    /// The bodies as JavaScript holds them, to be passed on without another copy.
    received: RefCell<Option<ArrayBuffer>>,
    answered: RefCell<Option<ArrayBuffer>>,
}

impl Edge {
    pub(crate) fn new(
        request: web_sys::Request,
        env: Env,
        respond: oneshot::Sender<web_sys::Response>,
    ) -> Self {
        let (received, answered) = Default::default();
        Self { request, env, respond: Cell::new(Some(respond)), received, answered }
    }

    fn resolve(&self, response: Result<web_sys::Response, JsValue>) -> bool {
        match (self.respond.take(), response) {
            (Some(respond), Ok(response)) => respond.send(response).is_ok(),
            _ => false,
        }
    }

    fn outgoing(&self, request: &Outbound) -> Result<web_sys::Request, JsValue> {
        let headers = Headers::new()?;
        for (name, value) in &request.headers {
            headers.append(name, value)?;
        }
        let init = RequestInit::new();
        init.set_method(request.method);
        init.set_headers_headers(&headers);
        init.set_redirect(RequestRedirect::Manual);
        match &request.body {
            OutboundBody::Empty => {}
            OutboundBody::AsReceived => {
                if let Some(body) = self.received.borrow().as_ref() {
                    init.set_body(body);
                }
            }
            OutboundBody::Bytes(bytes) => init.set_body(&Uint8Array::from(bytes.as_slice())),
        }
        web_sys::Request::new_with_str_and_init(&request.url, &init)
    }

    async fn fetch(
        &self,
        request: &Outbound,
        limit: usize,
        abort: &AbortController,
    ) -> Result<Answer<Stream>, SendError> {
        let outgoing = self.outgoing(request).map_err(|_| SendError::Connect)?;
        let signal = worker::AbortSignal::from(abort.signal());
        let answer = Fetch::Request(outgoing.into()).send_with_signal(&signal).await;
        let mut answer = answer.map_err(|_| SendError::Connect)?;
        let header = |name: &str| answer.headers().get(name).ok().flatten().unwrap_or_default();
        let headers = AnswerHeaders {
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            retry_after_ms: header("retry-after-ms"),
            signature: header("x-moegate-signature"),
        };
        let length = header("content-length").parse::<usize>().ok();
        let status = answer.status_code();
        let worker::ResponseBody::Stream(body) = answer.body() else {
            return Ok(Answer { status, headers, body: AnswerBody::Whole(Vec::new()) });
        };
        if status == 200 && headers.content_type.starts_with("text/event-stream") {
            let stream = Stream::open(body.clone(), abort.clone()).await.ok_or(SendError::Broken)?;
            return Ok(Answer { status, headers, body: AnswerBody::Stream(stream) });
        }
        if length.is_none_or(|length| length > limit) {
            // Counted as it comes.
            let body = answer.bytes().await.map_err(|_| SendError::Broken)?;
            let whole = if body.len() > limit { Err(SendError::TooLarge) } else { Ok(body) };
            return whole.map(|body| Answer { status, headers, body: AnswerBody::Whole(body) });
        }
        // The runtime collects it: a response around the stream has `arrayBuffer()`.
        let whole = web_sys::Response::new_with_opt_readable_stream(Some(body)).map_err(|_| SendError::Broken)?;
        let promise = whole.array_buffer().map_err(|_| SendError::Broken)?;
        let buffer: ArrayBuffer =
            JsFuture::from(promise).await.map_err(|_| SendError::Broken)?.unchecked_into();
        let bytes = Uint8Array::new(&buffer).to_vec();
        self.answered.replace(Some(buffer));
        Ok(Answer { status, headers, body: AnswerBody::Whole(bytes) })
    }
}

impl Platform for Edge {
    type Stream = Stream;

    fn now_ms(&self) -> u64 {
        Date::now() as u64
    }

    fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        get_random_values(&mut bytes);
        bytes
    }

    async fn secret(&self, name: &str) -> Option<Secret> {
        SECRETS.with_borrow_mut(|secrets| {
            let value = match secrets.get(name) {
                Some(value) => value,
                None => {
                    let value = self.env.secret(name).ok().map(|value| value.to_string());
                    secrets.entry(name.to_owned()).or_insert(value)
                }
            };
            value.as_deref().and_then(Secret::new)
        })
    }

    async fn read_body(&self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let promise = self.request.array_buffer().map_err(|_| BodyError::Broken)?;
        let buffer: ArrayBuffer =
            JsFuture::from(promise).await.map_err(|_| BodyError::Broken)?.unchecked_into();
        if buffer.byte_length() as usize > limit {
            return Err(BodyError::TooLarge);
        }
        let bytes = Uint8Array::new(&buffer).to_vec();
        self.received.replace(Some(buffer));
        Ok(bytes)
    }

    async fn send(&self, request: Outbound, limit: usize) -> Result<Answer<Stream>, SendError> {
        let abort = AbortController::new().map_err(|_| SendError::Connect)?;
        let client = self.request.signal();
        if client.aborted() && request.method != "GET" {
            return Err(SendError::Cancelled);
        }
        let left = {
            let abort = abort.clone();
            Closure::<dyn FnMut()>::new(move || abort.abort_with_reason(&JsValue::from_str("left")))
        };
        let late = {
            let abort = abort.clone();
            Closure::<dyn FnMut()>::new(move || abort.abort_with_reason(&JsValue::from_str("late")))
        };
        if request.method != "GET" {
            let _heard = client.add_event_listener_with_callback("abort", left.as_ref().unchecked_ref());
        }
        let timer = set_timeout(&late, request.first_byte_timeout_ms);
        let mut answer = self.fetch(&request, limit, &abort).await;
        clear_timeout(timer);
        match &mut answer {
            Ok(Answer { body: AnswerBody::Stream(stream), .. }) => stream.keep(left),
            _ => {
                let _ = client.remove_event_listener_with_callback("abort", left.as_ref().unchecked_ref());
            }
        }
        answer.map_err(|error| match abort.signal().reason().as_string().as_deref() {
            Some("left") => SendError::Cancelled,
            Some("late") => SendError::Timeout,
            _ => error,
        })
    }

    async fn respond(&self, reply: Reply, body: ReplyBody<Stream>) -> Delivery {
        let Ok(headers) = Headers::new() else {
            return Delivery { ending: Ending::Cancelled, seen: None };
        };
        for (name, value) in &reply.headers {
            let _appended = headers.append(name, value);
        }
        let init = ResponseInit::new();
        init.set_status(reply.status);
        init.set_headers_headers(&headers);
        let whole = |body: &JsValue| {
            let body = body.unchecked_ref::<js_sys::Object>();
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(body), &init)
        };
        match body {
            ReplyBody::Bytes(bytes) => {
                self.resolve(whole(&Uint8Array::from(bytes.as_slice())));
            }
            ReplyBody::Answered(bytes) => {
                let response = match self.answered.borrow().as_ref() {
                    Some(buffer) => whole(buffer),
                    None => whole(&Uint8Array::from(bytes.as_slice())),
                };
                self.resolve(response);
            }
            ReplyBody::Relay(stream) => {
                let ending = stream.relay(|readable| self.resolve(stream::response(readable, &init))).await;
                return Delivery { ending, seen: None };
            }
            ReplyBody::Pump(stream, mut scanner) => {
                let ending = stream
                    .pump(&mut scanner, |readable| self.resolve(stream::response(readable, &init)))
                    .await;
                return Delivery { ending, seen: Some(scanner.seen()) };
            }
        }
        let ending = if self.request.signal().aborted() { Ending::Cancelled } else { Ending::Complete };
        Delivery { ending, seen: None }
    }

    async fn put_record(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        let summary: serde_json::Value = serde_json::from_str(summary).map_err(|_| StoreError)?;
        let store = self.env.kv("USAGE").map_err(|_| StoreError)?;
        let put = store.put(key, value).and_then(|put| put.metadata(summary)).map_err(|_| StoreError)?;
        put.execute().await.map_err(|_| StoreError)
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        let mut list = self.env.kv("USAGE").map_err(|_| StoreError)?.list().prefix(prefix.to_owned());
        if let Some(cursor) = cursor {
            list = list.cursor(cursor.to_owned());
        }
        let list = list.execute().await.map_err(|_| StoreError)?;
        let entry = |key: worker::kv::Key| {
            let summary = serde_json::value::to_raw_value(&key.metadata).map_err(|_| StoreError)?;
            Ok(Entry { name: key.name, summary })
        };
        let entries = list.keys.into_iter().map(entry).collect::<Result<_, StoreError>>()?;
        Ok(Page { entries, cursor: list.cursor.filter(|_| !list.list_complete) })
    }
}
