//! The classes of `exchange.js`. None of their methods throws.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use worker::FromRequest;

#[wasm_bindgen]
extern "C" {
    /// A client's request and what JavaScript does for it.
    pub(super) type Exchange;

    /// Tells JavaScript the request's number; method, path with query and the wanted headers, a line each.
    #[wasm_bindgen(method)]
    pub(super) fn head(this: &Exchange, id: u32) -> String;

    #[wasm_bindgen(method, js_name = readBody)]
    pub(super) fn read_body(this: &Exchange, operation: u32, limit: f64);

    /// `text`: method, URL, and the headers' names and values in turn, a line each.
    #[wasm_bindgen(method)]
    pub(super) fn fetch(this: &Exchange, operation: u32, text: &str, body: Option<&Uint8Array>) -> Upstream;

    /// `text`: the status, and the headers' names and values in turn, a line each.
    #[wasm_bindgen(method)]
    pub(super) fn respond(this: &Exchange, text: &str, body: Option<&Uint8Array>) -> web_sys::Response;

    #[wasm_bindgen(method)]
    pub(super) fn begin(this: &Exchange, text: &str) -> Sink;

    /// Whether the client has left; from now on [`super::request::left`] is called when it does.
    #[wasm_bindgen(method)]
    pub(super) fn listen(this: &Exchange) -> bool;

    /// Sets the request's timer, or sets it anew: [`super::sleep::timer`] is called after so many milliseconds.
    #[wasm_bindgen(method, js_name = setTimer)]
    pub(super) fn set_timer(this: &Exchange, ms: i32);

    /// Has a shard of the ledger carry out an operation: [`super::operation::answered`] is called with its answer. With
    /// `soon` it waits a moment for others.
    #[wasm_bindgen(method)]
    pub(super) fn ledger(this: &Exchange, number: u32, shard: &str, operation: &str, soon: bool);

    /// Copies what a body came as to `target`, which has its length.
    #[wasm_bindgen(method)]
    pub(super) fn fill(this: &Exchange, target: &mut [u8], chunks: &JsValue);

    /// The host name that the client asked.
    #[wasm_bindgen(method)]
    pub(super) fn host(this: &Exchange) -> String;

    #[wasm_bindgen(method)]
    pub(super) fn end(this: &Exchange);

    /// A request to an origin and its answer.
    pub(super) type Upstream;

    #[wasm_bindgen(method)]
    pub(super) fn read(this: &Upstream, operation: u32);

    #[wasm_bindgen(method)]
    pub(super) fn collect(this: &Upstream, operation: u32, limit: f64);

    #[wasm_bindgen(method)]
    pub(super) fn stop(this: &Upstream);

    /// The body of a reply that is being written.
    pub(super) type Sink;

    #[wasm_bindgen(method, getter)]
    pub(super) fn response(this: &Sink) -> web_sys::Response;

    #[wasm_bindgen(method)]
    pub(super) fn write(this: &Sink, operation: u32, chunk: &Uint8Array);

    /// Unix milliseconds at which `write_then_read` had written; 0 while it writes.
    #[wasm_bindgen(method, getter, js_name = writtenMs)]
    pub(super) fn written_ms(this: &Sink) -> f64;

    #[wasm_bindgen(method, js_name = writeThenRead)]
    pub(super) fn write_then_read(this: &Sink, operation: u32, chunk: &Uint8Array, upstream: &Upstream);

    #[wasm_bindgen(method)]
    pub(super) fn pipe(this: &Sink, operation: u32, upstream: &Upstream);

    #[wasm_bindgen(method)]
    pub(super) fn close(this: &Sink, operation: u32);

    #[wasm_bindgen(method)]
    pub(super) fn abort(this: &Sink);
}

impl FromRequest for Exchange {
    /// `entry.js` hands its own object over in the request's place.
    #[allow(refining_impl_trait)] // the trait says `impl Into<…>`; what stands here is one
    fn from_raw(request: web_sys::Request) -> worker::Result<Self> {
        Ok(request.unchecked_into())
    }
}
