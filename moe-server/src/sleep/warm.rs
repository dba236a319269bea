//! Reads a file into the page cache, from its beginning on: a packed file's weights lie in the order of their use.
//!
//! A mapping alone would read them as they are touched, a little at a time and one place after the other: far below what
//! a disk can do.

use super::progress::{Cancelled, Progress};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Looked for in the page cache, and counted, at once.
const CHUNK: u64 = 1 << 20;
/// A reader reads this much in order before it takes what comes next: so the system's read-ahead works for each of them.
const STRETCH: u64 = 64 << 20;
/// A read's buffer stays within a processor's cache.
const BUFFER: usize = 256 << 10;
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
        let size = std::fs::metadata(path).map_err(WarmError::Io)?.len().min(left);
        left -= size;
        files.push((path, size));
    }
    progress.set(0, most - left);
    files.iter().try_for_each(|(path, size)| warm_file(path, *size, progress))
}

fn warm_file(path: &Path, size: u64, progress: &Progress) -> Result<(), WarmError> {
    // Mostly there is nothing to read, and threads would take longer than to see that.
    let cached = Probe::open(path).map_err(WarmError::Io)?;
    let mut at = 0;
    while at < size && cached.holds(at, CHUNK.min(size - at)) {
        progress.check()?;
        progress.add(CHUNK.min(size - at));
        at += CHUNK;
    }
    if at >= size {
        return Ok(());
    }
    let next = AtomicU64::new(at);
    let failed: Mutex<Option<WarmError>> = Mutex::new(None);
    let read = || {
        if let Err(error) = read_stretches(path, size, &next, progress) {
            next.store(size, Relaxed);
            // Nothing panics while it is locked.
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..READERS {
            // Where no thread can be had, the others do its work.
            let _ = std::thread::Builder::new().name("warm".to_owned()).spawn_scoped(scope, read);
        }
        read();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Takes stretches from `next` until there is none. The file is opened anew: the system's read-ahead follows one reader
/// of an open file.
fn read_stretches(path: &Path, size: u64, next: &AtomicU64, progress: &Progress) -> Result<(), WarmError> {
    let file = File::open(path).map_err(WarmError::Io)?;
    let cached = Probe::open(path).map_err(WarmError::Io)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let start = next.fetch_add(STRETCH, Relaxed);
        if start >= size {
            return Ok(());
        }
        let end = size.min(start + STRETCH);
        let mut at = start;
        // What was read ahead is read as well: it is by that that the system sees to the next.
        let mut reads = false;
        while at < end {
            progress.check()?;
            let length = CHUNK.min(end - at);
            reads = reads || !cached.holds(at, length);
            if reads {
                read_all(&file, at, length, &mut buffer).map_err(WarmError::Io)?;
            }
            progress.add(length);
            at += length;
        }
    }
}

fn read_all(file: &File, mut at: u64, length: u64, buffer: &mut [u8]) -> io::Result<()> {
    let end = at + length;
    while at < end {
        let most = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        match read_at(file, at, &mut buffer[..most]) {
            // It was cut short: whoever maps it sees to that.
            Ok(0) => return Ok(()),
            Ok(read) => at += read as u64,
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

/// Asks whether pieces of a file are in the page cache.
struct Probe(
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is nothing to ask"))] File,
);

impl Probe {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // What is asked for and not there is read ahead all the same, and then the disk reads in two orders at once: so
        // it is a page at a time. Where that is not to be had it is only slower.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random);
        Ok(Self(file))
    }

    /// Whether some pages of a piece are there; then most likely all are. Asks the system for a byte of each without
    /// waiting for the disk.
    #[cfg(target_os = "linux")]
    fn holds(&self, at: u64, length: u64) -> bool {
        use rustix::io::{ReadWriteFlags, preadv2};
        const PROBES: u64 = 4;
        (0..PROBES).all(|probe| {
            let mut byte = [0];
            let offset = at + (length - 1) * probe / (PROBES - 1);
            let buffers = &mut [io::IoSliceMut::new(&mut byte)];
            // The end of the file is nothing to be read.
            preadv2(&self.0, buffers, offset, ReadWriteFlags::NOWAIT).is_ok()
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn holds(&self, _: u64, _: u64) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_once_cached_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let paths = [path.clone()];
        for size in [0, 1, CHUNK, 5 * CHUNK + 17, 2 * STRETCH + 3 * CHUNK + 5] {
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
                assert!(size == 0 || Probe::open(&path).unwrap().holds(0, size));
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
