//! Writes GGUF files for tests, wrong ones too.

#![allow(dead_code, unreachable_pub, reason = "no test uses all of it")]

use moe_server::model::gguf::{Gguf, GgufError};

/// Ids of value types.
pub const STRING: u32 = 8;
pub const ARRAY: u32 = 9;

/// Field after field.
#[derive(Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn header(tensors: u64, keys: u64) -> Self {
        Self::default().raw(b"GGUF").u32(3).u64(tensors).u64(keys)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn string(self, text: &str) -> Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    pub fn key(self, key: &str, type_id: u32, value: &[u8]) -> Self {
        self.string(key).u32(type_id).raw(value)
    }

    pub fn tensor(self, name: &str, dims: &[u64], type_id: u32, offset: u64) -> Self {
        let head = self.string(name).u32(u32::try_from(dims.len()).unwrap());
        dims.iter().fold(head, |writer, dim| writer.u64(*dim)).u32(type_id).u64(offset)
    }

    pub fn data(mut self, alignment: usize, bytes: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self.0.extend((0..bytes).map(|index| u8::try_from(index % 251).unwrap()));
        self.0
    }

    pub fn open(self) -> Result<Gguf, GgufError> {
        Gguf::from_bytes(self.0)
    }

    pub fn text(self, key: &str, text: &str) -> Self {
        self.key(key, STRING, &Self::default().string(text).0)
    }

    pub fn texts(self, key: &str, texts: &[&str]) -> Self {
        let array = Self::default().u32(STRING).u64(texts.len() as u64);
        self.key(key, ARRAY, &texts.iter().fold(array, |array, text| array.string(text)).0)
    }

    pub fn numbers(self, key: &str, numbers: &[i32]) -> Self {
        let array = Self::default().u32(5).u64(numbers.len() as u64);
        self.key(key, ARRAY, &numbers.iter().fold(array, |array, number| array.raw(&number.to_le_bytes())).0)
    }
}
