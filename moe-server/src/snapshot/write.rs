//! Writing it.

use super::{HEAD, MAGIC, NO_PARENT, Options, Sum, sum};
use crate::engine::{Engine, Kept, KeptParent};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Writes what `engine` keeps, as far as it fits, in the place of what was there before; answers how many blocks.
///
/// The disk is not waited for: a file that a power failure tears has wrong checksums.
///
/// # Errors
/// The file cannot be written; what was there before is still there.
pub fn save(options: &Options, engine: &dyn Engine) -> io::Result<usize> {
    let Some(format) = engine.kept_format() else { return Ok(0) };
    let part = beside(&options.file);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut writer = Writer {
        file: BufWriter::with_capacity(1 << 20, create(&part)?),
        print: sum(&[format.print.as_bytes()]),
        last: sum(&[format.print.as_bytes()]),
        length: HEAD as u64,
        indices: HashMap::new(),
    };
    let written = writer.write(engine, options.max_bytes);
    let written = written.and_then(|()| fs::rename(&part, &options.file));
    if written.is_err() {
        // It is of no use; an error here would hide the first one.
        let _ = fs::remove_file(&part);
    }
    written.map(|()| writer.indices.len())
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// A new file that only its owner can read: it holds what prompts said.
fn create(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

struct Writer {
    file: BufWriter<File>,
    print: Sum,
    last: Sum,
    length: u64,
    /// Of the blocks that were written, by their names.
    indices: HashMap<u64, u32>,
}

impl Writer {
    fn write(&mut self, engine: &dyn Engine, most: u64) -> io::Result<()> {
        self.file.write_all(&[0; HEAD])?;
        let mut outcome = Ok(());
        engine.visit_kept(&mut |block| match self.block(block, most) {
            Ok(goes_on) => goes_on,
            Err(error) => {
                outcome = Err(error);
                false
            }
        });
        outcome?;
        let mut head = MAGIC.to_vec();
        head.extend(self.print);
        head.extend((self.indices.len() as u64).to_le_bytes());
        head.extend(self.length.to_le_bytes());
        head.extend(self.last);
        head.extend(sum(&[&head]));
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head)?;
        self.file.flush()
    }

    /// False where there is no room for it.
    fn block(&mut self, block: &Kept<'_>, most: u64) -> io::Result<bool> {
        let mut head = Vec::new();
        match block.parent {
            KeptParent::Salt(salt) => {
                head.extend(NO_PARENT.to_le_bytes());
                // Salts are short; one that were not would not be read either.
                head.extend(u16::try_from(salt.len()).unwrap_or(u16::MAX).to_le_bytes());
                head.extend(salt.as_bytes());
            }
            KeptParent::Block(id) => match self.indices.get(&id) {
                Some(index) => head.extend(index.to_le_bytes()),
                // Its beginning is gone: it is out of reach.
                None => return Ok(true),
            },
        }
        head.push(u8::from(block.chunked.is_some()));
        head.extend(block.tokens.iter().flat_map(|token| token.to_le_bytes()));
        let chunked = block.chunked.unwrap_or_default();
        let length = head.len() + block.full.len() + chunked.len();
        let all = self.length + 4 + length as u64 + 32;
        let (Ok(length), Ok(index)) = (u32::try_from(length), u32::try_from(self.indices.len())) else {
            return Ok(false);
        };
        if all > most {
            return Ok(false);
        }
        let parts = [&length.to_le_bytes()[..], &head, block.full, chunked];
        for part in parts {
            self.file.write_all(part)?;
        }
        self.last = sum(&[&self.last, parts[0], parts[1], parts[2], parts[3]]);
        self.file.write_all(&self.last)?;
        self.length = all;
        self.indices.insert(block.id, index);
        Ok(true)
    }
}
