//! The ledger: what every attempt may cost, reserved before it is sent, and what it has cost, settled once.
//!
//! A *shard* is one SQLite database with a single writer: a Durable Object on Workers, the component's database on Spin.
//! It is asked by [`Operation`]s and carries out a batch of them in one transaction ([`apply`]). An attempt is `pending`
//! from its reservation on; it is settled under the same id by what is known of it in the end. What stays pending past its
//! deadline is settled at its upper bound, as an estimate, and corrected if something exact comes later.
//!
//! Pure: the database is a trait ([`Sql`]), the time comes with the operations.
//!
//! - [`operation`]: what is asked and answered. [`schema`]: the tables. [`sql`]: what a database has to be able to do.
//! - [`reserve`], [`settle`]: an attempt's way. [`usage`]: what is used of limits. [`total`]: sums by hour.
//! - [`keys`], [`made_key`]: keys made at run time. [`wake`]: origins that sleep.
//! - [`untold`]: what an instance could not tell it yet. [`claim`]: idempotency. [`read`]: records and sums. [`upkeep`]: receipts, periods, retention.
//! - [`versions`]: the configuration's.

mod apply;
mod claim;
pub mod keys;
pub mod made_key;
pub mod operation;
mod read;
mod reserve;
mod schema;
mod settle;
pub mod sql;
mod total;
mod untold;
mod upkeep;
mod usage;
pub mod versions;
mod wake;

pub use apply::{apply, apply_now, due_now};
pub use operation::{Operation, Outcome};
pub use schema::SCHEMA;
pub use sql::{Sql, SqlError, Value};
pub use untold::Untold;
