//! A native server for open mixture-of-experts models.
//!
//! - [`http`]: the OpenAI surface, health, metrics, receipts.
//! - [`outbox`]: receipts that go to the gateway by themselves, kept on disk until they are there.
//! - [`schedule`]: which sequences run in the next step, sampling, cancellation; the one thread that owns the engine.
//! - [`model`]: GGUF, weights, tokenizer, chat template.
//! - [`load`]: from a model's file to an engine that runs it.
//! - [`plan`]: what of a model has room where, before it is loaded.
//! - [`sleep`]: the states from cold to ready and back.
//! - [`snapshot`]: the prefix cache on disk.
//! - [`supervise`]: starts and stops the server as a process of its own.
//! - [`engine`]: the trait [`engine::Engine`] and the implementations behind it.
//! - [`telemetry`]: spans of the requests, for a collector.
//! - [`ids`]: what tokens and sequences are called.

mod backoff;
mod client;
pub mod engine;
pub mod http;
pub mod ids;
pub mod json_kind;
pub mod load;
pub mod model;
pub mod outbox;
pub mod plan;
pub mod schedule;
pub mod sleep;
pub mod snapshot;
pub mod supervise;
pub mod telemetry;
