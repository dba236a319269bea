//! moegate: a small gateway for language-model APIs.
//!
//! - [`gateway`]: the pipeline a request walks through, and the stream engine, over the primitives of a platform.
//! - [`routing`], [`resilience`], [`metering`], [`auth`], [`signing`], [`stream`], [`wake`]: what it decides. Pure.
//! - [`ledger`]: what attempts may cost and have cost, in a database with transactions.
//! - [`dialect`]: the neutral words for requests, events, usage and errors, and what clients and origins say instead.
//! - [`platform`]: what runs it: Workers, Spin or a fake (off wasm), chosen by the target.
//! - [`trace`]: W3C trace context and spans. Pure.
//! - [`state`]: what an instance remembers between requests. [`current`]: by which configuration it serves. [`secret`], [`error`], [`payload`], [`rng`], [`request_id`]:
//!   types that all of these use.
#![deny(unsafe_code)]
// A future of one request never leaves its thread on any platform here, so no `Send` bound is wanted.
#![allow(async_fn_in_trait)]

pub mod auth;
pub mod current;
pub mod dialect;
pub mod error;
pub mod gateway;
mod json;
pub mod ledger;
pub mod metering;
pub mod payload;
pub mod platform;
pub mod request_id;
pub mod resilience;
pub mod rng;
pub mod routing;
pub mod secret;
pub mod signing;
mod sort;
pub mod state;
pub mod stream;
pub mod trace;
pub mod wake;

pub use moegate_config as config;

use config::embedded::Embedded;

/// The place that holds the configuration: filled by `build.rs` off wasm, in a module by what builds it
/// (`cargo xtask build`).
static PLACE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/config.bin"));

/// The OpenAPI document of what the gateway serves, made of the tables in `openapi/`.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The configuration that was built in.
pub(crate) fn built_in() -> Embedded<'static> {
    // What a module's place holds is put there after it was compiled, so the compiler must not know what it is.
    Embedded::read(std::hint::black_box(PLACE))
}
