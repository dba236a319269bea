//! `moegate reconcile` as a person calls it: in an invoice with planted differences each is found, and nothing else.
#![allow(clippy::unwrap_used, reason = "a helper of tests may fail a test")]

#[path = "reconcile/bad.rs"]
mod bad;
#[path = "reconcile/guide.rs"]
mod guide;
#[path = "reconcile/planted.rs"]
mod planted;
#[path = "reconcile/rules.rs"]
mod rules;
#[path = "reconcile/world.rs"]
mod world;
