//! Every API towards every kind of origin: `cargo xtask test dialects` adds real SDKs.
#![expect(clippy::unwrap_used, reason = "this is a test suite")]

mod clouds;
mod gemini;
mod matrix;
