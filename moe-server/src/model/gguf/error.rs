//! What can be wrong with a GGUF file.

use std::{fmt, io, path::PathBuf};

/// Why a GGUF file, or a value in it, cannot be used. Positions are byte offsets from the file's start.
#[derive(Debug)]
pub enum GgufError {
    /// The file cannot be opened or mapped.
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// The file does not start with the letters GGUF.
    NotGguf {
        found: [u8; 4],
    },
    BigEndian,
    UnsupportedVersion(u32),
    /// One part of a model that is split over several files, under a name that does not tell the others'.
    PartName {
        number: u16,
        count: u16,
        expected: String,
    },
    /// A part of a split model that is not beside the others.
    MissingPart {
        number: usize,
        count: usize,
        path: PathBuf,
    },
    /// Parts that do not belong together.
    Parts {
        path: PathBuf,
        why: String,
    },
    /// What is wrong with one of several parts.
    InPart {
        path: PathBuf,
        error: Box<GgufError>,
    },
    /// The file ends inside something.
    Truncated {
        what: String,
        at: u64,
        needed: u64,
        left: u64,
    },
    /// A field holds something that cannot be.
    Invalid {
        what: String,
        at: u64,
        why: String,
    },
    /// A name occurs twice.
    Duplicate {
        what: &'static str,
        name: String,
    },
    MissingKey(String),
    WrongType {
        key: String,
        expected: &'static str,
        found: String,
    },
    MissingTensor(String),
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{} cannot be read: {error}", path.display()),
            Self::NotGguf { found } => {
                write!(f, "not a GGUF file: it starts with \"{}\", not GGUF", found.escape_ascii())
            }
            Self::BigEndian => f.write_str("a big-endian GGUF file; convert the model to little endian"),
            Self::UnsupportedVersion(version) => {
                write!(f, "GGUF version {version} is not supported (2 and 3 are); convert the model again")
            }
            Self::PartName { number, count, expected } => write!(
                f,
                "part {number} of a model split over {count} files, whose name does not end as theirs do; put all parts \
                 into one folder, call this one {expected} and the others accordingly"
            ),
            Self::MissingPart { number, count, path } => {
                write!(f, "part {number} of {count} is missing: {}; put it beside the others", path.display())
            }
            Self::Parts { path, why } => {
                write!(f, "{} {why}; fetch all parts of one model again", path.display())
            }
            Self::InPart { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Truncated { what, at, needed, left } => write!(
                f,
                "the file ends inside {what}: {needed} bytes are needed at offset {at} and {left} are left; \
                 fetch the file again"
            ),
            Self::Invalid { what, at, why } => write!(f, "{what} (at offset {at}) {why}"),
            Self::Duplicate { what, name } => write!(f, "the {what} {name:?} occurs twice"),
            Self::MissingKey(key) => write!(f, "the metadata key {key:?} is missing"),
            Self::WrongType { key, expected, found } => {
                write!(f, "the metadata key {key:?} should hold {expected} and holds {found}")
            }
            Self::MissingTensor(name) => write!(f, "the tensor {name:?} is missing"),
        }
    }
}

impl std::error::Error for GgufError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::InPart { error, .. } => Some(error),
            _ => None,
        }
    }
}
