//! Sleeping when idle and waking when asked.
//!
//! [`power`] is the state machine, pure; [`switch`] holds it with a clock for those who ask and the one who acts;
//! [`window`] is when nothing sleeps by itself; [`progress`] is how far a load is; [`warm`] reads a file ahead.

pub mod power;
#[cfg(test)]
mod power_tests;
pub mod progress;
pub mod switch;
pub mod warm;

pub use moegate_wire::window::{BadWindow, Window};
pub use power::{Moment, Power, Rules, Turn};
pub use progress::Progress;
pub use switch::{Asleep, Switch};
