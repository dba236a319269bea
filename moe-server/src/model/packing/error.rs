//! Why a model was not packed.

use std::{fmt, io, path::PathBuf};

use crate::model::{ModelError, weights};

#[derive(Debug)]
pub enum PackError {
    /// The model itself.
    Model(ModelError),
    /// It is a packed file.
    AlreadyPacked(PathBuf),
    /// To verify is for packed files.
    NotPacked(PathBuf),
    OutputIsSource(PathBuf),
    /// Another model lies where the packed file would go.
    OutputIsModel(PathBuf),
    /// Another process writes the same file.
    Busy(PathBuf),
    /// There is, or was, too little room. `needed` and `free` are bytes.
    DiskFull {
        partial: PathBuf,
        needed: u64,
        free: Option<u64>,
    },
    Io {
        /// "read", "written" and the like.
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// Whoever packed was told to stop. Both are bytes.
    Stopped {
        partial: PathBuf,
        done: u64,
        total: u64,
    },
    /// The content is not what was written.
    Damaged(PathBuf),
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(f),
            Self::AlreadyPacked(path) => {
                write!(f, "{} is packed already; give the model that it was made from", path.display())
            }
            Self::NotPacked(path) => {
                write!(f, "{} is no packed file; there is no hash to verify", path.display())
            }
            Self::OutputIsSource(path) => {
                write!(f, "--output {} is the model itself; give another name", path.display())
            }
            Self::OutputIsModel(path) => {
                write!(
                    f,
                    "{} is a model and no packed file, and would be lost; give another name",
                    path.display()
                )
            }
            Self::Busy(path) => {
                write!(f, "{} is being written by another process; wait for it", path.display())
            }
            Self::DiskFull { partial, needed, free } => {
                write!(f, "{}: {needed} bytes more are needed", partial.display())?;
                if let Some(free) = free {
                    write!(f, " and {free} are free")?;
                }
                f.write_str(
                    "; make room, or give another place with --output, and run the same command again: what is written \
                     already is kept",
                )
            }
            Self::Io { what, path, error } => write!(f, "{} cannot be {what}: {error}", path.display()),
            Self::Stopped { partial, done, total } => write!(
                f,
                "stopped after {done} of {total} bytes; run the same command again to go on, or delete {}",
                partial.display()
            ),
            Self::Damaged(path) => {
                write!(
                    f,
                    "{} is damaged: its content is not what was packed; pack the model again",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for PackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Model(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<ModelError> for PackError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl From<weights::ModelError> for PackError {
    fn from(error: weights::ModelError) -> Self {
        Self::Model(error.into())
    }
}
