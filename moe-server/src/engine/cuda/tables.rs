//! Which sequences' blocks the device knows.
//!
//! The device has a table for each of a few slots. A sequence keeps its slot until another one needs it, so that a decode sends
//! nothing but the number of a block that has become new.

use moe_cuda::{Error, decode::Decoder, decode::KvGroup, device::Device};

use crate::{
    engine::paging::{BlockId, Held, Table},
    ids::SequenceId,
};

/// A slot, as the device has it.
#[derive(Debug, Default)]
struct Slot {
    sequence: Option<SequenceId>,
    /// When it was last used.
    used: u64,
    full: Vec<BlockId>,
    /// By a block's number in the sequence; those before the chunk of its last token are old, and are not read.
    chunked: Vec<BlockId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tables {
    slots: Vec<Slot>,
    clock: u64,
}

impl Tables {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots: (0..slots).map(|_| Slot::default()).collect(), clock: 0 }
    }

    /// A new step on the device: no slot is taken.
    pub(super) fn next_step(&mut self) {
        self.clock += 1;
    }

    /// The slot of a sequence that holds this, up to date on the device. There must be one that this step has not taken.
    ///
    /// # Errors
    /// As [`Decoder::set_table`].
    pub(super) fn slot<D: Device>(
        &mut self,
        decoder: &Decoder<D>,
        sequence: SequenceId,
        held: &Held,
    ) -> Result<usize, Error> {
        let own = self.slots.iter().position(|slot| slot.sequence == Some(sequence));
        let oldest = || (0..self.slots.len()).min_by_key(|index| self.slots[*index].used).unwrap_or(0);
        let index = own.unwrap_or_else(oldest);
        let slot = &mut self.slots[index];
        (slot.sequence, slot.used) = (Some(sequence), self.clock);
        send(decoder, KvGroup::Full, index, &mut slot.full, &held.full)?;
        send(decoder, KvGroup::Chunked, index, &mut slot.chunked, &held.chunked)?;
        Ok(index)
    }
}

/// Sends what is other than what the device has.
fn send<D: Device>(
    decoder: &Decoder<D>,
    group: KvGroup,
    slot: usize,
    known: &mut Vec<BlockId>,
    table: &Table,
) -> Result<(), Error> {
    let end = table.first + table.blocks.len();
    let same =
        (table.first..end).zip(&table.blocks).take_while(|(at, block)| known.get(*at) == Some(block)).count();
    let rest = &table.blocks[same..];
    if rest.is_empty() {
        return Ok(());
    }
    decoder.set_table(group, slot, table.first + same, rest)?;
    known.resize(end.max(known.len()), BlockId::MAX);
    known[table.first + same..end].copy_from_slice(rest);
    Ok(())
}
