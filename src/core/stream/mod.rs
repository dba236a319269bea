//! Server-sent events, looked at as they pass.

mod event;
mod opening;
mod partial;
mod scanner;

pub use opening::{Opened, Opening};
pub use partial::Partial;
pub use scanner::{Close, Finale, Forward, Scanner, Seen, Transcript};
