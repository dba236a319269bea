//! The dialect suite: what every client's API comes to at every origin's, and back.
//!
//! - [`api`]: the APIs, and how a request in each looks. [`fixture`]: requests and answers by feature. [`gateway`]: it, in process;
//!   [`setting`]: with an origin of each API. [`framing`]: Amazon's. [`golden`]: what was written down, and whether it still is so. [`table`]: the page
//!   of it for people.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

pub mod api;
pub mod fixture;
pub mod framing;
pub mod gateway;
pub mod golden;
pub mod setting;
pub mod table;
