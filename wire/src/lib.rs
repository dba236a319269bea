//! What the gateway and the MoE server say to each other, and how both read what clients say.
//!
//! Both depend on this crate and on nothing of one another. It is pure: no clock, no I/O.
//!
//! - [`header`]: the names of the headers.
//! - [`origin`]: how an origin sleeps and is woken.
//! - [`ticket`]: what the gateway sends along with a request (its id and its price), signed.
//! - [`receipt`]: what the server measured for that request, signed.
//! - [`period`]: what the server did with its time.
//! - [`push`]: how both come to the gateway without being asked for.
//! - [`price`]: integer money.
//! - [`resume`]: how a stream that broke off goes on elsewhere.
//! - [`usage`]: token counts.
//! - [`window`]: hours of the week in which an origin stays warm.
//! - [`trace`], [`spans`]: the trace that a request belongs to, and spans as a collector takes them.
//! - [`path`]: paths that are the same as another one.
#![forbid(unsafe_code)]

pub mod header;
pub mod origin;
pub mod path;
pub mod period;
pub mod price;
pub mod push;
pub mod receipt;
pub mod resume;
pub mod sign;
pub mod spans;
pub mod ticket;
pub mod trace;
pub mod usage;
pub mod window;

pub use origin::{OriginState, OriginStatus};
pub use period::Period;
pub use price::{Nanodollars, Price, Rates, Step};
pub use push::Push;
pub use receipt::{Ending, Receipt};
pub use ticket::Ticket;
pub use usage::Usage;
