//! One file's header: version, metadata and table of tensors.

use std::collections::HashMap;

use super::{
    GgufError, convert,
    cursor::{Cursor, invalid},
    tensor::{self, Placed},
    value::{FromValue, Stored},
};

/// Every integer of the header is little endian.
const VERSIONS: [u32; 2] = [2, 3];
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const MAX_KEY_BYTES: usize = 65_535;

pub(super) struct Header {
    pub(super) version: u32,
    pub(super) metadata: HashMap<String, Stored>,
    /// In the file's order.
    pub(super) tensors: Vec<(String, Placed)>,
    /// Its bytes, without what fills up to the data.
    pub(super) length: usize,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes, 0);
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
        let mut header = Self { version, metadata, tensors: Vec::new(), length: 0 };
        let alignment = header.find(bytes, "general.alignment")?.unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(GgufError::WrongType {
                key: "general.alignment".to_owned(),
                expected: "a power of two up to 1048576",
                found: format!("the integer {alignment}"),
            });
        }
        header.tensors = tensor::read_all(cursor, tensor_count, alignment)?;
        header.length = cursor.at();
        Ok(header)
    }

    /// The value of a key; `bytes` is the file that [`Self::read`] read.
    pub(super) fn find<'a, T: FromValue<'a>>(
        &self,
        bytes: &'a [u8],
        key: &str,
    ) -> Result<Option<T>, GgufError> {
        match self.metadata.get(key) {
            Some(stored) => convert(key, stored.decode(bytes, key)?).map(Some),
            None => Ok(None),
        }
    }
}
