//! A device that only counts what is allocated: how much a model takes of a card that is not here.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use crate::{
    Error,
    device::{Device, Launch},
    kv::KvType,
};

/// The device. What is written to it is dropped; nothing can be read or launched.
#[derive(Debug)]
pub struct Tally {
    memory: usize,
    shared_bytes: u32,
    kv_type: KvType,
    used: Cell<usize>,
    next: Cell<u64>,
    allocated: RefCell<HashMap<u64, usize>>,
}

impl Tally {
    /// Shared memory that a block may have on an H100, the most of all cards.
    pub const MOST_SHARED_BYTES: u32 = 227 << 10;

    /// One with so many bytes of memory, and of shared memory for a block, whose kernels have such keys and values.
    #[must_use]
    pub fn new(memory: usize, shared_bytes: u32, kv_type: KvType) -> Self {
        Self {
            memory,
            shared_bytes,
            kv_type,
            used: Cell::new(0),
            next: Cell::new(1),
            allocated: RefCell::default(),
        }
    }

    /// Bytes that are allocated now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

fn counts_only<T>(doing: &'static str) -> Result<T, Error> {
    Err(Error::Driver { doing, why: "this device only counts what is allocated".to_owned() })
}

impl Device for Tally {
    /// Nothing that is allocated depends on it.
    fn multiprocessors(&self) -> u32 {
        1
    }

    fn kv_type(&self) -> KvType {
        self.kv_type
    }

    fn shared_bytes(&self) -> u32 {
        self.shared_bytes
    }

    fn free_bytes(&self) -> Result<usize, Error> {
        Ok(self.memory - self.used.get())
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let free = self.memory - self.used.get();
        if bytes > free {
            return Err(Error::OutOfMemory { wanted: bytes, free });
        }
        let at = self.next.get();
        self.next.set(at + bytes.max(1) as u64);
        self.used.set(self.used.get() + bytes);
        self.allocated.borrow_mut().insert(at, bytes);
        Ok(at)
    }

    fn free(&self, at: u64) {
        let bytes = self.allocated.borrow_mut().remove(&at).unwrap_or(0);
        self.used.set(self.used.get() - bytes);
    }

    fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), Error> {
        counts_only("reading")
    }

    fn copy_bytes(&self, _: u64, _: u64, _: usize) -> Result<(), Error> {
        counts_only("copying")
    }

    fn launch(&self, _: &Launch<'_>) -> Result<(), Error> {
        counts_only("launching a kernel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted_until_it_is_freed_and_no_more_than_there_is() {
        let tally = Tally::new(100, Tally::MOST_SHARED_BYTES, KvType::F16);
        let (first, none) = (tally.allocate(60).unwrap(), tally.allocate(0).unwrap());
        assert!(first != none && tally.used() == 60);
        assert_eq!(tally.allocate(41), Err(Error::OutOfMemory { wanted: 41, free: 40 }));
        tally.free(first);
        tally.free(first);
        assert_eq!((tally.used(), tally.free_bytes()), (0, Ok(100)));
        assert!(tally.read::<u32>(none, 1).is_err());
    }
}
