//! The mapping of a file.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
    time::SystemTime,
};

use memmap2::Mmap;

/// A mapped file, and when it was changed last, where the system knows.
pub(super) struct Mapped {
    pub(super) map: Mmap,
    pub(super) modified: Option<SystemTime>,
}

/// Maps a regular file to be read.
///
/// Pages are left to their first touch, in pages as large as can be: to have all of 2 GB mapped ahead
/// (`MADV_POPULATE_READ`) took twice the system's time, and a mixture of experts does not touch all.
///
/// # Errors
/// The system's; and where it is no regular file, since opening a pipe would wait for a writer.
pub(super) fn map(path: &Path) -> io::Result<Mapped> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file; give the path of a GGUF file",
        ));
    }
    let file = File::open(path)?;
    let modified = file.metadata()?.modified().ok();
    // SAFETY: nothing here writes to the map. Another process may change the file: contents are checked again where a
    // check matters for memory safety, and a file cut short ends this process by SIGBUS, as for any mapping.
    let map = unsafe { Mmap::map(&file) }?;
    // What is read from the disk is then kept in pages of 2 MiB, where the file system can. Only a wish.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Ok(Mapped { map, modified })
}
