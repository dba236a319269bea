//! Writing a packed file: threads convert, one after the other gets its turn to be hashed and written.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread::Builder,
};

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

use super::{
    contents::{Contents, Part, default_output},
    error::PackError,
    manifest::{Manifest, Source},
    partial::{Found, Partial},
};
use crate::model::{
    gguf::{Gguf, GgufError},
    weights::convert,
};

/// After so many bytes they are synced: more would be lost by a crash, and would wait in memory.
const SAVE_EVERY: u64 = 256 << 20;
/// Converted parts that wait for their turn, for each thread.
const WAITING: usize = 4;

/// How to pack.
#[derive(Debug)]
pub struct PackOptions<'a> {
    /// At least one.
    pub threads: usize,
    /// Set by whoever wants it to end early.
    pub stop: &'a AtomicBool,
}

/// What happens meanwhile. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// What is left of an interrupted run is of another model or version.
    Anew(&'a Path),
    /// An interrupted run goes on.
    Resumed {
        done: u64,
        total: u64,
    },
    Progress {
        done: u64,
        total: u64,
    },
}

/// A packed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub path: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// Whether it was there before, made from the same model.
    pub was_there: bool,
}

/// Packs a model's file, into [`default_output`] where no other is named. Memory is bounded, whatever the model's size.
///
/// # Errors
/// [`PackError`]; what was written until then is gone on with by the next run.
pub fn pack(
    model: &Path,
    output: Option<&Path>,
    options: &PackOptions<'_>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Packed, PackError> {
    let in_file = |error| match error {
        PackError::Model(error) => PackError::Model(error.in_file(model)),
        error => error,
    };
    let gguf = Gguf::open(model).map_err(|error| in_file(error.into()))?;
    if Manifest::of(&gguf).map_err(|error| in_file(error.into()))?.is_some() {
        return Err(PackError::AlreadyPacked(model.to_owned()));
    }
    let output = output.map_or_else(|| default_output(model), Path::to_owned);
    let same =
        |file: &Path| file.canonicalize().ok().zip(output.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if gguf.files().any(|file| same(file.path)) {
        return Err(PackError::OutputIsSource(output));
    }
    // Else the last step would be the first to notice.
    if output.is_dir() {
        let error = ErrorKind::IsADirectory.into();
        return Err(PackError::Io { what: "written", path: output, error });
    }
    if Gguf::open(&output).is_ok_and(|there| matches!(Manifest::of(&there), Ok(None))) {
        return Err(PackError::OutputIsModel(output));
    }
    if let Some(size) = up_to_date(&output, &gguf) {
        return Ok(Packed { path: output, size, was_there: true });
    }
    let contents = Contents::of(&gguf).map_err(in_file)?;
    write(&contents, &output, options, tell)?;
    Ok(Packed { path: output, size: contents.data + contents.size, was_there: false })
}

/// The size of a packed file that was made from the same model by the same version.
fn up_to_date(output: &Path, gguf: &Gguf) -> Option<u64> {
    let there = Gguf::open(output).ok()?;
    let manifest = Manifest::of(&there).ok()??;
    let size = there.files().next()?.size as u64;
    (manifest.source == Source::of(gguf)).then_some(size)
}

fn write(
    contents: &Contents<'_>,
    output: &Path,
    options: &PackOptions<'_>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(), PackError> {
    let total = contents.size;
    let (mut partial, found) = Partial::open(output, contents)?;
    let there = match found {
        Found::Nothing => 0,
        Found::Other => {
            tell(Event::Anew(partial.path()));
            0
        }
        Found::Same(0) => 0,
        Found::Same(bytes) => {
            tell(Event::Resumed { done: bytes, total });
            bytes
        }
    };
    let mut hash = Sha256::new();
    let mut done = 0;
    let mut saved = there;
    let result = converted(contents, options.threads, there, |part| {
        if options.stop.load(Ordering::Relaxed) {
            return Err(PackError::Stopped { partial: partial.path().to_owned(), done, total });
        }
        let size = match part {
            Converted::There(size) => {
                let mut bytes = vec![0; size];
                partial.read_over(&mut bytes)?;
                hash.update(&bytes);
                size
            }
            Converted::New(bytes) => {
                hash.update(&bytes);
                partial.write(&bytes)?;
                bytes.len()
            }
        };
        done += size as u64;
        if done >= saved + SAVE_EVERY {
            partial.save()?;
            saved = done;
        }
        tell(Event::Progress { done, total });
        Ok(())
    });
    let result = result.and_then(|()| partial.save());
    if let Err(error) = result {
        // What cannot be saved now will be done again.
        if done > saved {
            let _ = partial.save();
        }
        return Err(error);
    }
    partial.finish(output, &to_hex(&hash.finalize()))
}

enum Converted {
    /// So many bytes that an earlier run has written.
    There(usize),
    New(Vec<u8>),
}

/// Calls `f` with every part in order, until it fails. With `n` threads each converts every `n`th; they wait where they
/// are too far ahead.
fn converted(
    contents: &Contents<'_>,
    threads: usize,
    there: u64,
    mut f: impl FnMut(Converted) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let threads = threads.max(1);
    std::thread::scope(|scope| {
        let mut turns: Vec<Receiver<Converted>> = Vec::with_capacity(threads);
        for thread in 0..threads {
            let (sender, receiver) = sync_channel(WAITING);
            let work = move || {
                let mut at = 0;
                for (index, part) in contents.parts().enumerate() {
                    at += part.size() as u64;
                    if index % threads != thread {
                        continue;
                    }
                    let converted = if at <= there {
                        Converted::There(part.size())
                    } else {
                        Converted::New(bytes_of(&part))
                    };
                    if sender.send(converted).is_err() {
                        break;
                    }
                }
            };
            let spawned = Builder::new().name(format!("pack-{thread}")).spawn_scoped(scope, work);
            spawned.map_err(|error| PackError::Io { what: "packed", path: PathBuf::new(), error })?;
            turns.push(receiver);
        }
        for receiver in turns.iter().cycle() {
            // The first one without a part has seen the end.
            let Ok(part) = receiver.recv() else { break };
            f(part)?;
        }
        Ok(())
    })
}

fn bytes_of(part: &Part<'_>) -> Vec<u8> {
    match part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::Zeros(count) => vec![0; *count],
        Part::Piece(plan, tensor, piece) => {
            let mut bytes = vec![0; piece.size];
            convert(*plan, piece, tensor, &mut bytes);
            bytes
        }
    }
}

impl From<GgufError> for PackError {
    fn from(error: GgufError) -> Self {
        Self::Model(error.into())
    }
}
