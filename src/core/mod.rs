//! What the gateway decides, without doing any of it.
//!
//! **Invariant**: nothing here reads a clock, does I/O, draws a random number or knows a platform. It takes `now` and
//! returns what to do, so that everything it can do is a table-driven test. `tests/tidy` holds it.

pub mod attempt;
pub mod auth;
pub mod course;
pub mod error;
pub mod failure;
pub mod health;
pub mod memory;
pub mod record;
pub mod repeats;
pub mod report;
pub mod request_id;
pub mod route;
pub mod secret;
pub mod stream;
pub mod usage;

pub use moegate_config as config;
pub use moegate_wire::price;
