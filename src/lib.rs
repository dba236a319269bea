//! moegate: a small gateway for language-model APIs.
//!
//! - [`gateway`]: the pipeline a request walks through, and the stream engine, over the primitives of a platform.
//! - [`routing`], [`resilience`], [`metering`], [`auth`], [`signing`], [`stream`], [`wake`]: what it decides. Pure.
//! - [`ledger`]: what attempts may cost and have cost, in a database with transactions.
//! - [`dialect`]: the neutral words for requests, events, usage and errors, and what clients and origins say instead.
//! - [`platform`]: what runs it: Workers, Spin or a fake (off wasm), chosen by the target.
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
pub mod wake;

pub use moegate_config as config;

use config::Config;

/// When the gateway was built, in Unix seconds: `SOURCE_DATE_EPOCH` where that is set, otherwise the time of its
/// configuration's file.
pub const BUILT_S: u64 = match u64::from_str_radix(env!("MOEGATE_BUILT_S"), 10) {
    Ok(seconds) => seconds,
    Err(_) => 0,
};

/// The OpenAPI document of what the gateway serves, made of the tables in `openapi/`.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The configuration that was validated and compiled in by `build.rs`.
///
/// # Errors
/// Off wasm for a configuration that cannot be used; otherwise only if the build script and this crate disagree about the
/// format.
pub fn compiled_config() -> Result<Config, serde_json::Error> {
    serde_json::from_str(COMPILED_CONFIG)
}

/// The same as JSON.
pub const COMPILED_CONFIG: &str = include_str!(concat!(env!("OUT_DIR"), "/config.json"));
