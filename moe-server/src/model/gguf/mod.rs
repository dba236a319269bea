//! A mapped GGUF file (versions 2 and 3, little endian;
//! [format](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)).
//!
//! **Invariant**: every field of the file is untrusted. Opening checks all of the header; it never panics, and allocates
//! no more than a small multiple of the bytes that are there. Tensor *contents* are not looked at.

mod block_type;
mod cursor;
mod error;
mod ggml_type;
mod header;
mod map;
mod split;
mod tensor;
mod value;

use std::{
    collections::HashMap,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    time::SystemTime,
};

use memmap2::Mmap;

pub use error::GgufError;
pub use ggml_type::GgmlType;
use header::Header;
use map::Mapped;
use split::Split;
pub(crate) use split::base_name;
use tensor::Placed;
use value::Stored;
pub use value::{Array, FromValue, Value, ValueType};

enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// An open model: metadata by key, tensors by name, in one file or several. Share it by `Arc`.
pub struct Gguf {
    files: Vec<OpenFile>,
    version: u32,
    /// The first file's.
    metadata: HashMap<String, Stored>,
    tensors: HashMap<String, (usize, Placed)>,
    /// Names in the files' order.
    order: Vec<String>,
}

struct OpenFile {
    bytes: Bytes,
    path: PathBuf,
    modified: Option<SystemTime>,
    header: usize,
}

/// One of the files of a model.
#[derive(Debug, Clone, Copy)]
pub struct FileInfo<'a> {
    /// Empty where the model came from memory.
    pub path: &'a Path,
    /// In bytes.
    pub size: usize,
    pub modified: Option<SystemTime>,
    /// All before the tensors' data.
    pub header: &'a [u8],
}

/// Where a tensor's bytes are; for [`Gguf::slice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    file: usize,
    range: Range<usize>,
}

/// A tensor, borrowed from its file.
#[derive(Clone, Copy)]
pub struct TensorInfo<'a> {
    pub name: &'a str,
    pub ggml_type: GgmlType,
    /// One to four, the contiguous one first: a matrix of `rows × columns` has `[columns, rows]`.
    pub dims: &'a [usize],
    /// Exactly the tensor's bytes; empty where the type is [`GgmlType::Unknown`].
    pub bytes: &'a [u8],
    /// Where [`Self::bytes`] start in their file.
    pub offset: usize,
    file: usize,
}

impl TensorInfo<'_> {
    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// For [`Gguf::slice`], by which an owner of the file finds the bytes again without a look-up by name.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { file: self.file, range: self.offset..self.offset + self.bytes.len() }
    }
}

impl fmt::Debug for TensorInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} at {:?}", self.name, self.ggml_type, self.dims, self.place().range)
    }
}

impl fmt::Debug for Gguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("version", &self.version)
            .field("keys", &self.metadata.len())
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl Gguf {
    /// Maps a file and checks its header. Where it is one part of a split model, whichever, all parts are opened.
    ///
    /// # Errors
    /// [`GgufError`], saying what is wrong and where.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let (file, header) = read_file(path)?;
        let Some(split) = Split::of(&header, &file.bytes)? else {
            return Self::join(vec![(file, header)]);
        };
        let paths = split.paths(path)?;
        let count = paths.len();
        let mut parts = Vec::with_capacity(count);
        for (index, path) in paths.into_iter().enumerate() {
            let in_part = |error| match error {
                GgufError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                    GgufError::MissingPart { number: index + 1, count, path: path.clone() }
                }
                error @ GgufError::Io { .. } => error,
                error => GgufError::InPart { path: path.clone(), error: Box::new(error) },
            };
            let (file, header) = read_file(&path).map_err(in_part)?;
            let found = Split::of(&header, &file.bytes).map_err(in_part)?;
            let expected = Split { number: u16::try_from(index).unwrap_or(u16::MAX), ..split };
            if found.is_none_or(|found| Split { tensors: expected.tensors, ..found } != expected) {
                let why = format!("says that it is not part {} of {count}", index + 1);
                return Err(GgufError::Parts { path, why });
            }
            parts.push((file, header));
        }
        let joined = Self::join(parts)?;
        match split.tensors {
            Some(tensors) if tensors != joined.order.len() as u64 => {
                let why = format!(
                    "says that the parts hold {tensors} tensors, and they hold {}",
                    joined.order.len()
                );
                Err(GgufError::Parts { path: path.to_owned(), why })
            }
            _ => Ok(joined),
        }
    }

    /// The same for a file that is in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        let header = Header::read(&bytes)?;
        if let Some(split) = Split::of(&header, &bytes)? {
            // There are no others in memory.
            split.paths(Path::new(""))?;
        }
        let file = OpenFile {
            bytes: Bytes::Owned(bytes),
            path: PathBuf::new(),
            modified: None,
            header: header.length,
        };
        Self::join(vec![(file, header)])
    }

    fn join(parts: Vec<(OpenFile, Header)>) -> Result<Self, GgufError> {
        let mut joined = Self {
            files: Vec::with_capacity(parts.len()),
            version: 0,
            metadata: HashMap::new(),
            tensors: HashMap::new(),
            order: Vec::new(),
        };
        for (index, (file, header)) in parts.into_iter().enumerate() {
            for (name, placed) in header.tensors {
                if joined.tensors.insert(name.clone(), (index, placed)).is_some() {
                    let why = format!("holds the tensor {name:?}, which another part holds, too");
                    return Err(GgufError::Parts { path: file.path, why });
                }
                joined.order.push(name);
            }
            joined.files.push(file);
            if index == 0 {
                joined.version = header.version;
                joined.metadata = header.metadata;
            }
        }
        Ok(joined)
    }

    /// The files, in order; one mostly.
    pub fn files(&self) -> impl Iterator<Item = FileInfo<'_>> {
        self.files.iter().map(|file| FileInfo {
            path: &file.path,
            size: file.bytes.len(),
            modified: file.modified,
            header: &file.bytes[..file.header],
        })
    }

    /// All data of the first file: what stands behind the header, from the first tensor on.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        let starts =
            self.tensors.values().filter(|(file, _)| *file == 0).map(|(_, placed)| placed.range.start);
        starts.min().and_then(|start| self.head().get(start..)).unwrap_or_default()
    }

    /// The bytes that hold the metadata.
    fn head(&self) -> &[u8] {
        self.files.first().map_or(&[], |file| &file.bytes)
    }

    /// The version of the format, 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The metadata keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// The value of a key as the type wanted: an integer, `f32`, `bool`, `&str`, or a `Vec` of them.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`], or [`GgufError::WrongType`] where it is of another type or outside the type's range.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.find(key)?.ok_or_else(|| GgufError::MissingKey(key.to_owned()))
    }

    /// As [`Self::get`], for a key that may be absent.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        match self.metadata.get(key) {
            Some(stored) => convert(key, stored.decode(self.head(), key)?).map(Some),
            None => Ok(None),
        }
    }

    /// The value of a key whatever its type.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        self.metadata.get(key)?.decode(self.head(), key).ok()
    }

    /// The value of a key as the file's bytes, without its type.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.metadata.get(key)?.raw(self.head())
    }

    /// The same with the id of its type.
    pub(in crate::model) fn raw_with_type(&self, key: &str) -> Option<(u32, &[u8])> {
        let stored = self.metadata.get(key)?;
        Some((stored.type_id(), stored.raw(self.head())?))
    }

    /// Where [`Self::raw`] is in the file.
    pub(in crate::model) fn raw_range(&self, key: &str) -> Option<Range<usize>> {
        Some(self.metadata.get(key)?.range())
    }

    /// A tensor that must be there.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<TensorInfo<'_>, GgufError> {
        self.find_tensor(name).ok_or_else(|| GgufError::MissingTensor(name.to_owned()))
    }

    /// A tensor that may be absent.
    #[must_use]
    pub fn find_tensor(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (name, (file, placed)) = self.tensors.get_key_value(name)?;
        Some(TensorInfo {
            name,
            ggml_type: placed.ggml_type,
            dims: &placed.dims,
            bytes: &self.files[*file].bytes[placed.range.clone()],
            offset: placed.range.start,
            file: *file,
        })
    }

    /// Every tensor, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.order.iter().filter_map(|name| self.find_tensor(name))
    }

    /// The bytes at [`TensorInfo::place`].
    ///
    /// # Panics
    /// Where the place is not one of this model's.
    #[must_use]
    pub fn slice(&self, place: &Place) -> &[u8] {
        &self.files[place.file].bytes[place.range.clone()]
    }
}

fn read_file(path: &Path) -> Result<(OpenFile, Header), GgufError> {
    let mapped = map::map(path).map_err(|error| GgufError::Io { path: path.to_owned(), error });
    let Mapped { map, modified } = mapped?;
    let bytes = Bytes::Mapped(map);
    let header = Header::read(&bytes)?;
    Ok((OpenFile { bytes, path: path.to_owned(), modified, header: header.length }, header))
}

fn convert<'a, T: FromValue<'a>>(key: &str, value: Value<'a>) -> Result<T, GgufError> {
    T::from_value(value).ok_or_else(|| GgufError::WrongType {
        key: key.to_owned(),
        expected: T::EXPECTED,
        found: value.describe(),
    })
}
