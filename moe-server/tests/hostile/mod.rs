//! Good files and what reads them, for tests with bad ones and for the fuzz target.

#![allow(unreachable_pub, reason = "shared with the fuzz target")]

#[path = "../gguf_writer/mod.rs"]
mod gguf_writer;
pub mod seeds;
pub mod walk;
