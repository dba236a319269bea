//! What the gateway promises, as one list of behaviours that every host has to show.
//!
//! - [`host`]: what a host is to the suite. [`fake_host`] runs the gateway in process, [`workerd`] as it runs on Workers,
//!   [`spin`] as it runs on Spin.
//! - [`origin`], [`client`]: both ends of the gateway at real sockets, HTTP/1.1 by hand, so that faults are exact.
//! - [`stage`], [`fixtures`]: what behaviours are written with. [`in_process`]: a gateway on the fake, for tests of their own.
//! - [`behaviours`]: the list.
//! - [`transcript`]: what a host showed, to hold two hosts against each other.
//! - [`table`]: the list as a page of the documentation.
//! - [`suite`]: which configuration and ports. [`faults`] is a suite of its own, made with the same parts.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

pub mod behaviours;
pub mod client;
pub mod fake_host;
pub mod faults;
pub mod fixtures;
pub mod host;
pub mod in_process;
pub mod origin;
mod program;
pub mod runner;
pub mod spin;
pub mod stage;
pub mod suite;
pub mod table;
pub mod transcript;
pub mod workerd;
