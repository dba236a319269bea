//! The outbox on disk: files that are only appended to, numbered by their first entry.
//!
//! A file that a dead process may have left with a torn end is never appended to: each start, and each failed write,
//! begins a new one. A file goes when all of its entries are delivered, or when it is the oldest and there is no room.

use super::line::{Line, Numbered, decode, encode};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "outbox";

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// Its largest number.
    last: u64,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    limit: u64,
    /// Oldest first.
    closed: VecDeque<Segment>,
    current: Option<(File, Segment)>,
}

/// What [`Files::open`] found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Not delivered, in their order.
    pub(super) entries: Vec<Numbered>,
    /// The largest number in use.
    pub(super) last: u64,
    /// What could not be read, for the log.
    pub(super) notices: Vec<String>,
}

impl Files {
    /// Reads what is there. `limit` is in bytes, over all files; the folder must be this process's alone.
    ///
    /// # Errors
    /// The folder or a file in it cannot be read.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<(Self, Found)> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .filter(|path| path.as_ref().is_ok_and(|path| path.extension() == Some(OsStr::new(EXTENSION))))
            .collect::<io::Result<_>>()?;
        // Their names are as long as one another.
        paths.sort();
        let mut found = Found::default();
        let mut acked = 0;
        // After a failed write, an entry may stand in two files.
        let mut entries = BTreeMap::new();
        let mut closed = VecDeque::new();
        for path in paths {
            let bytes = fs::read(&path)?;
            let mut last = 0;
            for (number, line) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
                match line.strip_suffix(b"\n").and_then(decode) {
                    Some(Line::Entry(numbered)) => {
                        last = last.max(numbered.n);
                        entries.insert(numbered.n, numbered);
                    }
                    Some(Line::Acked { acked: upto }) => acked = acked.max(upto),
                    None => found.notices.push(format!(
                        "{}: line {number} is not whole and is left out ({} bytes): the server or the machine \
                         stopped in the middle of it, or the disk has lost it",
                        path.display(),
                        line.len()
                    )),
                }
            }
            closed.push_back(Segment { path, last, bytes: bytes.len() as u64 });
        }
        found.last = entries.last_key_value().map_or(acked, |(&n, _)| n.max(acked));
        found.entries = entries.into_values().filter(|numbered| numbered.n > acked).collect();
        let mut files = Self { folder: folder.to_owned(), limit, closed, current: None };
        files.remove_upto(acked)?;
        Ok((files, found))
    }

    fn segment_limit(&self) -> u64 {
        self.limit / 8
    }

    /// Writes lines of entries, of which `first` and `last` are the smallest and the largest number, through to the disk.
    ///
    /// # Errors
    /// They may be there or not; appending them again does no harm.
    pub(super) fn append(&mut self, lines: &str, first: u64, last: u64) -> io::Result<()> {
        let full = |segment: &Segment| segment.bytes + lines.len() as u64 > self.segment_limit();
        if self.current.as_ref().is_some_and(|(_, segment)| full(segment)) {
            self.close();
        }
        let written = self.write(lines, first, last);
        if written.is_err() {
            self.close();
        }
        written
    }

    fn write(&mut self, lines: &str, first: u64, last: u64) -> io::Result<()> {
        let (file, segment) = match &mut self.current {
            Some(current) => current,
            none => none.insert(create(&self.folder, first)?),
        };
        // Also where it fails: a part of it may be there.
        segment.last = segment.last.max(last);
        segment.bytes += lines.len() as u64;
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    }

    fn close(&mut self) {
        if let Some((_, segment)) = self.current.take() {
            self.closed.push_back(segment);
        }
    }

    /// Everything up to this number is delivered. This is not written through: at worst it is delivered again.
    ///
    /// # Errors
    /// A file cannot be written or removed, which does no harm either.
    pub(super) fn acked(&mut self, upto: u64) -> io::Result<()> {
        // A small file whose entries are all delivered is gone on with.
        let kept = self.segment_limit() / 16;
        if self.current.as_ref().is_some_and(|(_, segment)| segment.last <= upto && segment.bytes > kept) {
            self.close();
        }
        let last = self.closed.iter().map(|segment| segment.last).max();
        if let (None, Some(last)) = (&self.current, last.filter(|last| *last > upto)) {
            // Those of before are not appended to, and one of them stays. Named for what will come next.
            self.current = Some(create(&self.folder, last + 1)?);
        }
        let mut noted = Ok(());
        if let Some((file, segment)) = &mut self.current {
            let line = encode(&Line::Acked { acked: upto })?;
            segment.bytes += line.len() as u64;
            noted = file.write_all(line.as_bytes());
        }
        if noted.is_err() {
            self.close();
        }
        noted.and(self.remove_upto(upto))
    }

    /// How many of the oldest files must go so that there is room for `bytes` more, and their last entry's number.
    pub(super) fn surplus(&self, bytes: u64) -> Option<(usize, u64)> {
        let current = self.current.iter().map(|(_, segment)| segment);
        let held: u64 = self.closed.iter().chain(current).map(|segment| segment.bytes).sum();
        let mut over = (held + bytes).saturating_sub(self.limit);
        let mut surplus = None;
        for (count, segment) in (1..).zip(&self.closed) {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(segment.bytes);
            surplus = Some((count, segment.last));
        }
        surplus
    }

    /// Removes the oldest file.
    ///
    /// # Errors
    /// It cannot be removed; it is not counted any more all the same.
    pub(super) fn remove_oldest(&mut self) -> io::Result<()> {
        self.closed.pop_front().map_or(Ok(()), |segment| fs::remove_file(segment.path))
    }

    /// Oldest first, so that a file with a note of what is delivered outlives those that it is about.
    fn remove_upto(&mut self, upto: u64) -> io::Result<()> {
        while self.closed.front().is_some_and(|segment| segment.last <= upto) {
            self.remove_oldest()?;
        }
        Ok(())
    }
}

fn create(folder: &Path, first: u64) -> io::Result<(File, Segment)> {
    // After a failed write, the first entry of two files is the same.
    let name = |tries: u32| folder.join(format!("{first:020}-{tries:03}.{EXTENSION}"));
    let mut tries = 0;
    let (path, file) = loop {
        let path = name(tries);
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => break (path, file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 999 => tries += 1,
            Err(error) => return Err(error),
        }
    };
    // Else the file may be gone after a crash of the machine, with all that is in it.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok((file, Segment { path, last: 0, bytes: 0 }))
}
