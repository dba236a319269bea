//! The bookkeeping of a paged KV cache, for any engine: which sequence holds which blocks, and what the prefix cache knows
//! of them. It has no keys and values; where their bytes lie, and how, is the engine's concern.
//!
//! There are two groups of layers. The **full** ones need every token's keys and values, the **chunked** ones only those
//! of the chunk in which a sequence stands; so each group has its own blocks, and a sequence lets go of the chunked
//! group's blocks when it enters the next chunk.
//!
//! An engine's step: [`Sequences::check`], [`Sequences::grow`], the copies that are then due ([`Sequences::copies`]), its
//! arithmetic, [`Sequences::commit`] or [`Sequences::abandon`].

mod blocks;
mod cache;
mod prefix;
mod reuse;
mod sequences;
#[cfg(test)]
mod sequences_tests;
mod sizes;

pub(crate) use blocks::{BlockCopy, BlockId, NodeId};
pub(crate) use cache::{Cache, Held};
pub(crate) use prefix::Parent;
pub(crate) use reuse::Restored;
pub(crate) use sequences::{Part, Sequences};
pub(crate) use sizes::{Sizes, Table};
