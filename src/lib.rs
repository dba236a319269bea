//! moegate: a small gateway for language-model APIs.
//!
//! - [`gateway`]: the one async function a request walks through.
//! - [`core`]: what it decides. Pure.
//! - [`api`]: the dialects.
//! - [`platform`]: what runs it: Workers, Spin (the feature `spin`) or a fake (off wasm).
#![deny(unsafe_code)]
// only the exports of `platform::cloudflare` have to be unmangled
// A future of one request never leaves its thread on any platform here, so no `Send` bound is wanted.
#![allow(async_fn_in_trait)]

pub mod api;
pub mod core;
pub mod gateway;
pub mod platform;

use crate::core::config::Config;

/// The configuration that was validated and compiled in by `build.rs`.
///
/// # Errors
/// Off wasm for a configuration that cannot be used; otherwise only if the build script and this crate disagree about the
/// format.
pub fn compiled_config() -> Result<Config, serde_json::Error> {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/config.json")))
}
