//! What the gateway serves: every endpoint with the members of its requests and answers, as tables, and the OpenAPI 3.1
//! document (<https://spec.openapis.org/oas/v3.1.0>) that is made of them when the gateway is built.
//!
//! - [`table`]: what a table is made of. [`openai`], [`responses`], [`passed`], [`anthropic`], [`gemini`], [`ai_sdk`], [`own`],
//!   [`keys`], [`tokens`]: the tables.
//! - [`document`]: the document.
//!
//! The gateway's tests send every member through its parsers, and hold every name that those ask for to the tables.

pub mod ai_sdk;
pub mod anthropic;
pub mod document;
pub mod gemini;
pub mod keys;
pub mod openai;
pub mod own;
pub mod passed;
pub mod responses;
pub mod table;
pub mod tokens;

pub use document::{compact, pretty};
use table::Endpoint;

/// Every endpoint.
#[must_use]
pub fn endpoints() -> Vec<&'static Endpoint> {
    let all = [
        openai::ENDPOINTS,
        responses::ENDPOINTS,
        passed::ENDPOINTS,
        anthropic::ENDPOINTS,
        gemini::ENDPOINTS,
        ai_sdk::ENDPOINTS,
        own::ENDPOINTS,
        keys::ENDPOINTS,
        tokens::ENDPOINTS,
    ];
    all.into_iter().flatten().collect()
}
