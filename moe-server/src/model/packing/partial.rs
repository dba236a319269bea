//! A packed file until it is whole: `NAME.partial`, which tells in its header how much of it is on the disk.
//!
//! **Invariant**: what the mark counts was written and synced before the mark was. So whatever ends the process, or the
//! machine, packing goes on from there, and a file under its final name is whole.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    contents::Contents,
    error::PackError,
    manifest::{HASH_BYTES, mark, read_mark},
};

/// Bytes written at a time, at multiples of as many: the system then keeps them in pages as large, and maps each with one
/// fault where the file is served (for the first token of a 2 GB file 1,500 faults, not 15,000).
const BLOCK: usize = 2 << 20;

pub(super) struct Partial {
    file: File,
    path: PathBuf,
    /// Where the mark stands.
    mark_at: u64,
    /// Where the data begin.
    data: u64,
    /// Bytes of the data.
    size: u64,
    /// Bytes of the data that are in the file.
    written: u64,
    /// What comes behind them, less than a block.
    waiting: Vec<u8>,
}

/// What was found under the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// So many bytes of the same data.
    Same(u64),
    /// Of another model, or another version.
    Other,
}

impl Partial {
    /// Opens what an interrupted run left, or begins anew. The place for the next bytes is the start of the data.
    pub(super) fn open(output: &Path, contents: &Contents<'_>) -> Result<(Self, Found), PackError> {
        let mut path = output.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(|error| PackError::Io { what: "written", path: path.clone(), error })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(PackError::Busy(path)),
            // A file system without locks: then nobody is kept out.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        // Whoever held the lock until now may have finished: then this is the packed file itself.
        if !is_at(&file, &path) {
            return Err(PackError::Busy(path));
        }
        let mut partial = Self {
            file,
            path,
            mark_at: contents.content_at as u64,
            data: contents.data,
            size: contents.size,
            written: 0,
            waiting: Vec::with_capacity(BLOCK),
        };
        let found = partial.look(contents).map_err(|error| partial.failed(error))?;
        partial.make_room()?;
        if !matches!(found, Found::Same(_)) {
            partial.begin(contents).map_err(|error| partial.failed(error))?;
        }
        partial.file.seek(SeekFrom::Start(contents.data)).map_err(|error| partial.failed(error))?;
        Ok((partial, found))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn look(&mut self, contents: &Contents<'_>) -> io::Result<Found> {
        let length = self.file.metadata()?.len();
        if length == 0 {
            return Ok(Found::Nothing);
        }
        let mut header = vec![0; contents.header.len()];
        if length < contents.data {
            return Ok(Found::Other);
        }
        self.file.read_exact(&mut header)?;
        let there = contents.content_at..contents.content_at + HASH_BYTES;
        let marked = read_mark(&header[there.clone()]);
        header[there.clone()].copy_from_slice(&contents.header[there]);
        match marked.filter(|_| header == contents.header) {
            Some(bytes) if bytes <= contents.size && bytes <= length - contents.data => {
                Ok(Found::Same(bytes))
            }
            _ => Ok(Found::Other),
        }
    }

    /// Refuses what the disk has no room for, where the system tells.
    fn make_room(&self) -> Result<(), PackError> {
        let length = self.file.metadata().map_or(0, |found| found.len());
        let needed = (self.data + self.size).saturating_sub(length);
        match free_space(&self.file) {
            Some(free) if free < needed => {
                Err(PackError::DiskFull { partial: self.path.clone(), needed, free: Some(free) })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, contents: &Contents<'_>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&contents.header)?;
        self.write_mark(0)
    }

    /// Moves over bytes that are there already.
    pub(super) fn read_over(&mut self, into: &mut [u8]) -> Result<(), PackError> {
        self.file.read_exact(into).map_err(|error| self.failed(error))?;
        self.written += into.len() as u64;
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let at = self.data + self.written + self.waiting.len() as u64;
            let room = BLOCK - (at % BLOCK as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            if now.len() == room {
                self.flush().map_err(|error| self.failed(error))?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes what waits; all of it or, so far as the mark is concerned, nothing.
    fn flush(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.data + self.written))?;
        self.file.write_all(&self.waiting)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Makes sure that all which could be written will be found again.
    pub(super) fn save(&mut self) -> Result<(), PackError> {
        let save = |partial: &mut Self| {
            let flushed = partial.flush();
            partial.file.sync_data()?;
            partial.write_mark(partial.written)?;
            flushed
        };
        save(self).map_err(|error| self.failed(error))
    }

    fn write_mark(&mut self, bytes: u64) -> io::Result<()> {
        self.write_at_mark(mark(bytes).as_bytes())
    }

    fn write_at_mark(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.mark_at))?;
        self.file.write_all(text)
    }

    /// Puts the content's hash in the mark's place and gives the file its name.
    pub(super) fn finish(mut self, output: &Path, content: &str) -> Result<(), PackError> {
        let finish = |partial: &mut Self| {
            partial.flush()?;
            partial.file.set_len(partial.data + partial.size)?;
            // The data first: the hash says that they are there.
            partial.file.sync_all()?;
            partial.write_at_mark(content.as_bytes())?;
            partial.file.sync_all()?;
            std::fs::rename(&partial.path, output)?;
            sync_folder(output)
        };
        finish(&mut self).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> PackError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                PackError::DiskFull {
                    partial: self.path.clone(),
                    needed: self.size.saturating_sub(self.written),
                    free: free_space(&self.file),
                }
            }
            _ => PackError::Io { what: "written", path: self.path.clone(), error },
        }
    }
}

/// Whether the name still is that of the open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
    id(file.metadata()).is_some_and(|open| id(std::fs::metadata(path)) == Some(open))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Makes sure that the name is found again.
fn sync_folder(file: &Path) -> io::Result<()> {
    // Elsewhere folders cannot be opened.
    if cfg!(unix) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Bytes that this user may still write beside `file`.
#[cfg(unix)]
fn free_space(file: &File) -> Option<u64> {
    let found = rustix::fs::fstatvfs(file).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(not(unix))]
fn free_space(_: &File) -> Option<u64> {
    None
}
