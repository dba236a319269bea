//! The whole upper half of the server, over HTTP on a loopback port; only the model is scripted.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod engine;
mod life;
mod receipts;
mod refusals;
mod support;
