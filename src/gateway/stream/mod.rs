//! The stream engine: one for all platforms, over their primitives.
//!
//! - [`watch`]: waits that end with the time limit or the client. [`pump`]: every event past the scanner. [`relay`]: the
//!   runtime's own pipe.

mod pump;
mod relay;
mod watch;

pub(super) use pump::{Pumped, finish, pump};
pub(super) use relay::relay;
pub(super) use watch::{Interrupt, Watch, all, both};

/// Milliseconds after the request's time that a client has for taking what it was sent.
const GRACE_MS: u64 = 1_000;
