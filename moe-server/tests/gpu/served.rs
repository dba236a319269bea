//! The demo model through the scheduler, which falls asleep and wakes.
