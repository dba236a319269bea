//! Cloudflare Workers.
//!
//! The entry is JavaScript of our own (`entry.mjs`, `glue.mjs`) over a handful of plain wasm exports; no generated
//! bindings. A request is a future in [`tasks`]; where it needs the platform it leaves an [`op::Op`] and waits. The
//! glue does what the operation says and calls back with the result: two or three crossings for a whole request, each
//! with flat arguments. Why not `worker-build`'s entry: the table in docs/ARCHITECTURE.md.

mod abi;
mod op;
mod tasks;
mod workers;
