//! Reads a file into the page cache, from its beginning on: a packed file's weights lie in the order of their use.
//!
//! A mapping alone would read them as they are touched, a little at a time and one place after the other: far below what
//! a disk can do.

use super::progress::{Cancelled, Progress};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Read at once.
const CHUNK: u64 = 1 << 20;
/// Reads under way at once: one alone does not fill a disk's queue.
const READERS: usize = 4;

/// Why a file could not be read ahead.
#[derive(Debug)]
pub enum WarmError {
    Cancelled,
    Io(io::Error),
}

impl From<Cancelled> for WarmError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Reads files one after the other, `most` bytes at most, but for what is in the page cache already. `progress` counts
/// all of them.
///
/// # Errors
/// [`WarmError`].
pub fn warm(paths: &[PathBuf], most: u64, progress: &Progress) -> Result<(), WarmError> {
    let mut files = Vec::new();
    let mut left = most;
    for path in paths {
        let file = File::open(path).map_err(WarmError::Io)?;
        let size = file.metadata().map_err(WarmError::Io)?.len().min(left);
        left -= size;
        files.push((file, size));
    }
    progress.set(0, most - left);
    files.iter().try_for_each(|(file, size)| warm_file(file, *size, progress))
}

fn warm_file(file: &File, size: u64, progress: &Progress) -> Result<(), WarmError> {
    let next = AtomicU64::new(0);
    let failed: Mutex<Option<WarmError>> = Mutex::new(None);
    // Nothing panics while it is locked.
    let fail = |error| {
        next.store(size, Relaxed);
        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let read = || {
        let mut buffer = vec![0; CHUNK as usize];
        loop {
            let at = next.fetch_add(CHUNK, Relaxed);
            if at >= size {
                return;
            }
            let length = CHUNK.min(size - at);
            let mut outcome = progress.check().map_err(WarmError::from);
            if outcome.is_ok() && !is_cached(file, at, length) {
                outcome = read_all(file, at, &mut buffer[..length as usize]).map_err(WarmError::Io);
            }
            if let Err(error) = outcome {
                return fail(error);
            }
            progress.add(length);
        }
    };
    // Mostly there is nothing to read, and threads would take longer than to see that.
    let mut at = 0;
    while at < size && is_cached(file, at, CHUNK.min(size - at)) {
        progress.check()?;
        progress.add(CHUNK.min(size - at));
        at += CHUNK;
    }
    next.store(at, Relaxed);
    if at < size {
        std::thread::scope(|scope| {
            for _ in 1..READERS {
                // Where no thread can be had, the others do its work.
                let _ = std::thread::Builder::new().name("warm".to_owned()).spawn_scoped(scope, read);
            }
            read();
        });
    }
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn read_all(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, at, buffer) {
            // It was cut short: whoever maps it sees to that.
            Ok(0) => return Ok(()),
            Ok(read) => {
                at += read as u64;
                buffer = &mut buffer[read..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// Whether some pages of a piece are in the page cache; then most likely all are. Asks the system for a byte of each
/// without waiting for the disk.
#[cfg(target_os = "linux")]
fn is_cached(file: &File, at: u64, length: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    const PROBES: u64 = 4;
    (0..PROBES).all(|probe| {
        let mut byte = [0];
        let offset = at + (length - 1) * probe / (PROBES - 1);
        let buffers = &mut [io::IoSliceMut::new(&mut byte)];
        // The end of the file is nothing to be read.
        preadv2(file, buffers, offset, ReadWriteFlags::NOWAIT).is_ok()
    })
}

#[cfg(not(target_os = "linux"))]
fn is_cached(_: &File, _: u64, _: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_once_cached_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let paths = [path.clone()];
        for size in [0, 1, CHUNK, 5 * CHUNK + 17] {
            std::fs::write(&path, vec![7; size as usize]).unwrap();
            for cold in [false, true] {
                if cold {
                    let file = File::open(&path).unwrap();
                    file.sync_all().unwrap();
                    #[cfg(target_os = "linux")]
                    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
                }
                let progress = Progress::default();
                warm(&paths, u64::MAX, &progress).unwrap();
                assert_eq!(progress.bytes(), (size, size));
                #[cfg(target_os = "linux")]
                assert!(size == 0 || is_cached(&File::open(&path).unwrap(), 0, size));
            }
        }
        let progress = Progress::default();
        warm(&[path.clone(), path], 8 * CHUNK, &progress).unwrap();
        assert_eq!(progress.bytes(), (8 * CHUNK, 8 * CHUNK));
    }

    #[test]
    fn an_end_that_is_asked_for_and_a_file_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let paths = [path.clone()];
        let progress = Progress::default();
        assert!(matches!(warm(&paths, 1, &progress), Err(WarmError::Io(_))));
        File::create(&path).unwrap().set_len(64 << 20).unwrap();
        progress.cancel(true);
        assert!(matches!(warm(&paths, u64::MAX, &progress), Err(WarmError::Cancelled)));
        assert_eq!(progress.bytes().1, 64 << 20);
    }
}
