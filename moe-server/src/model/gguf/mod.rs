//! A mapped GGUF file (versions 2 and 3, little endian;
//! [format](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)).
//!
//! **Invariant**: every field of the file is untrusted. Opening checks all of the header; it never panics, and allocates
//! no more than a small multiple of the bytes that are there. Tensor *contents* are not looked at.

mod block_type;
mod cursor;
mod error;
mod ggml_type;
mod map;
mod tensor;
mod value;

use std::{collections::HashMap, fmt, ops::Range, path::Path};

use memmap2::Mmap;

use cursor::{Cursor, invalid};
pub use error::GgufError;
pub use ggml_type::GgmlType;
use tensor::Placed;
use value::Stored;
pub use value::{Array, FromValue, Value, ValueType};

/// Every integer of the header is little endian.
const VERSIONS: [u32; 2] = [2, 3];
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const MAX_KEY_BYTES: usize = 65_535;

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

/// An open file: metadata by key, tensors by name. Share it by `Arc`.
pub struct Gguf {
    bytes: Bytes,
    version: u32,
    metadata: HashMap<String, Stored>,
    tensors: HashMap<String, Placed>,
    /// Names in the file's order.
    order: Vec<String>,
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
    /// Where [`Self::bytes`] start in the file.
    pub offset: usize,
}

impl TensorInfo<'_> {
    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// For [`Gguf::slice`], by which an owner of the file finds the bytes again without a look-up by name.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

impl fmt::Debug for TensorInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} at {:?}", self.name, self.ggml_type, self.dims, self.range())
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
    /// Maps a file and checks its header.
    ///
    /// # Errors
    /// [`GgufError`], saying what is wrong and where.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |error| GgufError::Io { path: path.to_owned(), error };
        Self::parse(Bytes::Mapped(map::map(path).map_err(io)?))
    }

    /// The same for a file that is in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::parse(Bytes::Owned(bytes))
    }

    fn parse(bytes: Bytes) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(&bytes, 0);
        let cursor = &mut cursor;
        let magic = cursor.array(format_args!("the header"))?;
        if magic != *b"GGUF" {
            return Err(GgufError::NotGguf { found: magic });
        }
        let version = cursor.u32(format_args!("the header"))?;
        if VERSIONS.map(u32::swap_bytes).contains(&version) {
            return Err(GgufError::BigEndian);
        }
        if !VERSIONS.contains(&version) {
            return Err(GgufError::UnsupportedVersion(version));
        }
        let tensor_count = cursor.u64(format_args!("the tensor count"))?;
        let key_count = cursor.u64(format_args!("the metadata count"))?;

        let mut metadata = HashMap::new();
        for index in 0..key_count {
            let what = format_args!("metadata key {index} of {key_count}");
            let at = cursor.at();
            let key = cursor.string(what)?;
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                return Err(invalid(what, at, format!("is {} bytes long", key.len())));
            }
            let stored = Stored::read(cursor, key)?;
            if metadata.insert(key.to_owned(), stored).is_some() {
                return Err(GgufError::Duplicate { what: "metadata key", name: key.to_owned() });
            }
        }

        let find = |key: &str| match metadata.get(key) {
            Some(stored) => convert::<u64>(key, stored.decode(&bytes, key)?).map(Some),
            None => Ok(None),
        };
        if let Some(parts @ 2..) = find("split.count")? {
            return Err(GgufError::Split { parts });
        }
        let alignment = find("general.alignment")?.unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(GgufError::WrongType {
                key: "general.alignment".to_owned(),
                expected: "a power of two up to 1048576",
                found: format!("the integer {alignment}"),
            });
        }

        let (tensors, order) = tensor::read_all(cursor, tensor_count, alignment)?;
        Ok(Self { version, metadata, tensors, order, bytes })
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
            Some(stored) => convert(key, stored.decode(&self.bytes, key)?).map(Some),
            None => Ok(None),
        }
    }

    /// The value of a key whatever its type.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        self.metadata.get(key)?.decode(&self.bytes, key).ok()
    }

    /// The value of a key as the file's bytes, without its type.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        self.metadata.get(key)?.raw(&self.bytes)
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
        let (name, placed) = self.tensors.get_key_value(name)?;
        Some(TensorInfo {
            name,
            ggml_type: placed.ggml_type,
            dims: &placed.dims,
            bytes: self.slice(placed.range.clone()),
            offset: placed.range.start,
        })
    }

    /// Every tensor, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.order.iter().filter_map(|name| self.find_tensor(name))
    }

    /// Bytes of the file by [`TensorInfo::range`].
    ///
    /// # Panics
    /// Where the range is not inside this file.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}

fn convert<'a, T: FromValue<'a>>(key: &str, value: Value<'a>) -> Result<T, GgufError> {
    T::from_value(value).ok_or_else(|| GgufError::WrongType {
        key: key.to_owned(),
        expected: T::EXPECTED,
        found: value.describe(),
    })
}
