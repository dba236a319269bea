//! Key-value: the store behind `spin:key-value@3` and `wasi:keyvalue@0.2.0-draft2`, and its hazards as switches.

mod host;
mod slot;
mod store;

use std::time::Duration;

pub(crate) use host::{KvState, KvView, add_to_linker};
pub(crate) use store::Database;
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use store::KvStore;

/// The store as a resource of `wasi:keyvalue`.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket(KvStore);

/// A compare-and-swap as a resource.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct CasHandle(store::Cas);

/// What the real store does to a careless caller. The defaults are the real ones.
#[derive(Clone, Debug)]
pub(crate) struct Hazards {
    /// Two compare-and-swaps that both saw no value both succeed.
    pub(crate) cas_missing_both_win: bool,
    /// `increment` of a value that is not 8 bytes panics and poisons the store for every later call.
    pub(crate) increment_poisons: bool,
    /// An open `get_keys` stream keeps every other call waiting.
    pub(crate) get_keys_holds: bool,
    /// How long a call waits behind such a stream before it fails. The real one waits for ever.
    pub(crate) hold_limit: Duration,
    /// A call keeps its whole instance from running.
    pub(crate) blocks_instance: bool,
    /// Writes reach the disk before the call returns.
    pub(crate) fsync: bool,
}

impl Default for Hazards {
    fn default() -> Self {
        Self {
            cas_missing_both_win: true,
            increment_poisons: true,
            get_keys_holds: true,
            hold_limit: Duration::from_secs(10),
            blocks_instance: true,
            fsync: true,
        }
    }
}

/// Why a key-value call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KvError {
    AccessDenied,
    Other(String),
}

#[cfg(test)]
mod tests;
