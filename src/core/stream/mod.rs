//! Server-sent events, looked at as they pass.

mod event;
mod scanner;

pub use scanner::{Forward, Scanner, Seen};
