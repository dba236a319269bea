//! What the host makes of a component, seen from outside: the host runs as a process, a small component does one thing
//! per path (`guest/`). `MOEGATE_SPIN_GUEST` names that component: `cargo xtask test contract` builds it.

#![allow(clippy::unwrap_used, reason = "this is a test suite")]

#[path = "host/http.rs"]
mod http;
#[path = "host/instances.rs"]
mod instances;
#[path = "host/keys.rs"]
mod keys;
#[path = "host/origin.rs"]
mod origin;
#[path = "host/outbound.rs"]
mod outbound;
#[path = "host/process.rs"]
mod process;
#[path = "host/sql.rs"]
mod sql;
#[path = "host/start.rs"]
mod start;
#[path = "host/streams.rs"]
mod streams;
