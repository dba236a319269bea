//! Cloudflare Workers, on the crate `worker`.
//!
//! [`fetch`] is the Worker's event handler. `entry.js` calls it with an [`Exchange`] in the request's place: the request,
//! and what JavaScript does for it. What takes time is an [`operation`] that JavaScript settles by its number: one call out
//! and one back, without a promise or a closure of wasm-bindgen's per step. Why, and what happens after a trap:
//! docs/ARCHITECTURE.md, "The entry on Workers". A shard of the ledger is a Durable Object, whose class is in `ledger.js`;
//! what it does is in [`ledger`].

mod bytes;
mod exchange;
mod headers;
mod ledger;
mod operation;
mod request;
mod sleep;
mod store;
mod workers;

use crate::gateway::{self, Gateway};
use exchange::Exchange;
use request::{Request, Work};
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, Error, Result, event};
use workers::Workers;

#[event(fetch)]
async fn fetch(exchange: Exchange, env: Env, context: Context) -> Result<web_sys::Response> {
    workers::event();
    let gateway = Gateway::compiled();
    let request = Request::begin(exchange, workers::now_ms());
    let head = headers::request(&request.exchange.head(request.id), gateway.wanted_headers())
        .map_err(|error| Error::RustError(error.to_string()))?;
    let platform = Workers::new(Rc::clone(&request), env);
    // What follows the reply goes on though the client is served.
    context.wait_until(Work::new(Rc::clone(&request), async move {
        gateway::handle(&platform, gateway, head).await;
    }));
    request.reply().await.ok_or_else(|| Error::RustError("the request ended without a reply".to_owned()))
}

/// The upkeep of a shard of the ledger, in its object's alarm. It ends the exchange when it is over.
#[wasm_bindgen]
#[allow(unreachable_pub, private_interfaces, reason = "wasm-bindgen exports what is `pub`")]
pub fn upkeep(exchange: Exchange, env: Env, shard: String) {
    workers::event();
    let request = Request::begin(exchange, workers::now_ms());
    // Tells the exchange its number, which its timers go by.
    let _head = request.exchange.head(request.id);
    let platform = Workers::new(Rc::clone(&request), env);
    worker::wasm_bindgen_futures::spawn_local(Work::new(request, async move {
        // What is left to be done is asked of the database.
        let _left = gateway::upkeep(&platform, Gateway::compiled(), &shard).await;
    }));
}

/// The names of the headers that have to cross, and the pages that may read what JavaScript answers by itself:
/// `{"request":[…],"answer":[…],"pages":[…]}`.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "wasm-bindgen exports what is `pub`")]
pub fn wanted_headers() -> String {
    // Neither names of headers nor validated origins have anything to escape.
    fn list<T: std::fmt::Display>(texts: impl IntoIterator<Item = T>) -> String {
        texts.into_iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",")
    }
    let gateway = Gateway::compiled();
    let pages = gateway.config().gateway.cors.iter().flat_map(|cors| &cors.origins);
    let (request, answer, pages) = (list(gateway.wanted_headers()), list(&headers::ANSWER), list(pages));
    format!("{{\"request\":[{request}],\"answer\":[{answer}],\"pages\":[{pages}]}}")
}
