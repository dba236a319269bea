//! What the gateway must know of a request and its answer, in neutral words, and the dialects that say it.
//!
//! - [`request`]: facts of a request, and what has to change for an origin. [`event`]: what an event of a stream means.
//!   [`partial`]: an answer that another origin can go on with. [`answer`]: what a whole answer says. [`counts`]: tokens used.
//! - [`ClientDialect`]: what clients send and get. [`Exchange`]: a client's dialect towards an origin's.
//! - [`registry`]: the only place that knows which dialects there are. Nobody outside imports one by name.
//!
//! Nothing here reads a clock, does I/O or knows a platform or the gateway.

mod ai_sdk;
pub mod answer;
mod anthropic;
mod bedrock;
pub(in crate::dialect) mod canonical;
mod client;
pub mod counts;
mod errors;
pub mod event;
mod exchange;
mod format;
mod gemini;
pub(crate) mod json;
mod json_writer;
mod media;
mod members;
mod openai;
#[cfg(test)]
mod openapi_tests;
pub mod partial;
mod passing;
pub mod registry;
pub mod request;
mod through;
mod usage;

pub use client::{Call, ClientDialect, ClientRequest, Endpoint, ModelFacts, ModelInfo, Operation};
pub use exchange::{
    AnswerContext, AttemptEntry, AttemptNote, Exchange, Gathered, StreamCodec, StreamOptions,
};
pub use usage::without_cost;
