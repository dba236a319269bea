//! The whole upper half of the server, over HTTP on a loopback port, with a scripted model; and the command with a real one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod binary;
mod busy;
mod candidates;
mod clients;
mod deploy;
mod engine;
mod gateway;
mod gpu;
mod life;
mod limits;
mod memory;
mod prefix;
mod push;
mod rebuild;
mod receipts;
mod refusals;
mod resume;
mod scheduler;
mod sleep;
mod supervise;
mod support;
mod telemetry;
mod tickets;
