//! `spin:sqlite@3.1` as the real runtime has it (spinframework/spin 94a8fc8, crates factor-sqlite and sqlite-inproc):
//!
//! - Each `open` is a connection of its own to the one file. It sees the file at its first statement, not before.
//! - Journal, durability and the wait for other connections are those of SQLite and rusqlite: a rollback journal,
//!   `synchronous = FULL`, 5 seconds. The guest may change them for its connection; it may not attach files.
//! - Of several statements in one text the first runs, and nothing says that the others did not.
//! - The asynchronous calls leave the instance running. `execute-async` returns when the statement is prepared: it runs
//!   in a thread of its own, keeps its connection from other statements until its rows are read or dropped, and tells
//!   every error, a syntax error included, by the future. The synchronous calls block the instance.
//! - A connection that is dropped, or whose instance ends, rolls its transaction back.

mod connection;
mod host;

pub(crate) use connection::Database;
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use connection::SqlConnection;
pub(crate) use host::{SqlState, SqlView, add_to_linker};

#[cfg(test)]
mod tests;
