//! Packed files: what they are worth, what interrupts their making, and what does not pass for one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;
#[path = "../gguf_writer/mod.rs"]
mod gguf_writer;
mod hostile;
mod making;
mod refused;
mod served;
mod support;
