//! Every way in which an origin or a client fails, injected at a real socket: what the client gets, how many calls reach
//! origins, what is recorded. `cargo xtask test faults`.
//!
//! - [`setting`]: the origins and keys of `faults/moegate.toml`.
//! - [`case`]: what a fault, a case of it and an expectation are; [`rows`]: all of them; [`stories`]: those that take
//!   several requests.
//! - [`scripts`]: what origins answer; [`reading`]: what a client makes of a reply.
//! - [`play`]: one case on one host; [`runner`]: all on all hosts.
//! - [`properties`]: what must hold whatever fails when, over random [`schedule`]s.
//! - [`table`]: the rows as docs/reference/faults.md.

pub mod case;
pub mod play;
pub mod properties;
pub mod reading;
pub mod rows;
pub mod runner;
pub mod schedule;
pub mod scripts;
pub mod setting;
pub mod stories;
pub mod table;
