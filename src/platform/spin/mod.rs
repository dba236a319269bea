//! Spin: one component on `spin-sdk` and WASI 0.3.
//!
//! - [`entry`]: the exported handler. It hands the response over and lets the request run on to its settlement.
//! - [`request`]: [`Platform`](super::Platform) for one request. [`fetch`]: requests to origins. [`store`]: records and what
//!   is remembered. [`ledger`]: the ledger's database. [`timer`]: sleeps.
//! - [`incoming`], [`outgoing`]: bodies, by the host's stream handles: the SDK's own bodies copy every chunk once more and
//!   read 1,024 chunks ahead. [`bytes`]: what they are made of. [`headers`]: between `http` and the host.
//!
//! An instance serves up to 16 requests at a time and some hundred in all; a panic ends it with everything in flight.
//! So nothing here panics, whatever comes in, and nothing is held only in memory.

mod bytes;
mod entry;
mod fetch;
mod headers;
mod incoming;
mod ledger;
mod log;
mod outgoing;
mod request;
mod store;
mod timer;
