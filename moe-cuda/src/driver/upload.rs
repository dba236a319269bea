//! Bringing much to a GPU: through pinned memory, which threads fill while the part before travels.
//!
//! Pageable memory goes at some 8 GB/s, pinned memory at 54.9 (one H100); pinning a whole model takes longer than copying it.

use std::{ffi::c_void, num::NonZero, ptr::null_mut, slice, thread};

use cudarc::driver::sys;

use super::{Gpu, status::ok};
use crate::Error;

/// Bytes of each of the two parts.
const PART: usize = 64 << 20;
/// Threads that fill a part, at most: enough for the bus.
const MOST_THREADS: usize = 8;

/// Two pinned parts, filled in turn.
#[derive(Debug)]
pub(super) struct Staging {
    parts: [Part; 2],
    next: usize,
}

#[derive(Debug)]
struct Part {
    memory: *mut c_void,
    /// When the part has been read.
    read: sys::CUevent,
}

impl Staging {
    fn new() -> Result<Self, Error> {
        let mut staging = Self { parts: [Part::NONE, Part::NONE], next: 0 };
        for part in &mut staging.parts {
            let plain = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
            // SAFETY: variables to be written; the context is the thread's.
            unsafe {
                ok("pinning memory", sys::cuMemAllocHost_v2(&raw mut part.memory, PART))?;
                ok("making an event", sys::cuEventCreate(&raw mut part.read, plain))?;
            }
        }
        Ok(staging)
    }
}

impl Part {
    const NONE: Self = Self { memory: null_mut(), read: null_mut() };
}

impl Drop for Staging {
    fn drop(&mut self) {
        for part in &self.parts {
            // SAFETY: what is not null was made above, and nothing reads it any more: the GPU waits before it is dropped.
            unsafe {
                if !part.read.is_null() {
                    sys::cuEventDestroy_v2(part.read);
                }
                if !part.memory.is_null() {
                    sys::cuMemFreeHost(part.memory);
                }
            }
        }
    }
}

impl Gpu {
    /// Copies `bytes`; they may be changed once it returns, and what is launched later sees them.
    pub(super) fn upload(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut staging = self.staging.borrow_mut();
        let staging = match &mut *staging {
            Some(staging) => staging,
            none => none.insert(Staging::new()?),
        };
        for (index, from) in bytes.chunks(PART).enumerate() {
            let part = &staging.parts[staging.next];
            staging.next ^= 1;
            // SAFETY: the event lives; one that was never recorded is done.
            ok("waiting for a copy", unsafe { sys::cuEventSynchronize(part.read) })?;
            // SAFETY: the part's memory is PART bytes long, `from` no longer, and nothing reads it now.
            let to = unsafe { slice::from_raw_parts_mut(part.memory.cast::<u8>(), from.len()) };
            fill(to, from);
            let at = at + (index * PART) as u64;
            // SAFETY: the memory stays as it is until the event says that it was read.
            unsafe {
                let status = sys::cuMemcpyHtoDAsync_v2(at, part.memory, from.len(), self.stream);
                ok("copying to the GPU", status)?;
                ok("recording an event", sys::cuEventRecord(part.read, self.stream))?;
            }
        }
        Ok(())
    }
}

/// Copies with several threads, where there is enough to copy.
fn fill(to: &mut [u8], from: &[u8]) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let share = from.len().div_ceil(threads).max(1 << 20);
    thread::scope(|scope| {
        let mut shares = to.chunks_mut(share).zip(from.chunks(share));
        let own = shares.next();
        for (to, from) in shares {
            scope.spawn(|| to.copy_from_slice(from));
        }
        if let Some((to, from)) = own {
            to.copy_from_slice(from);
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_are_filled_whole() {
        for length in [0, 1, 1 << 20, (3 << 20) + 7] {
            let from: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let mut to = vec![0; length];
            super::fill(&mut to, &from);
            assert!(to == from, "{length}");
        }
    }
}
