//! Spin: one component on WASI 0.3.
//!
//! - [`entry`]: the exported handler. It hands the response over and lets the request run on to its settlement.
//! - [`request`]: the platform as a request sees it; [`send`] and [`reply`] are its two sides, [`store`] its records.
//! - [`incoming`]: bodies that come in; [`clock`]: how long a stream is waited for.
//! - [`bindings`]: generated from `wit/`, which holds the exact world.
//!
//! An instance serves up to 16 requests at a time and some hundred in all; a panic ends it with everything in flight.
//! So nothing here panics, whatever comes in, and nothing is held only in memory.

#[allow(unsafe_code, missing_docs, clippy::all, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "gateway",
        generate_all,
    });
    export!(Gateway with_types_in self);
    use super::entry::Gateway;
}

mod clock;
mod entry;
mod incoming;
mod log;
mod race;
mod reply;
mod request;
mod send;
mod store;
