//! Server-sent events, looked at as they pass. Pure.
//!
//! - [`event_stream`]: AWS's binary event streams, unpacked into server-sent events.
//! - [`sse`]: where an event ends and what it carries. [`scanner`]: what passes to the client, when the answer has begun
//!   (the commit point) and how it ended. [`transcript`]: what the client got, to be given again.

pub mod event_stream;
pub mod scanner;
pub mod sse;
pub mod transcript;

pub use scanner::{Close, Finale, Forward, Phase, Scanner, Seen};
pub use transcript::Transcript;
