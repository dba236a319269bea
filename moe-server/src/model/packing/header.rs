//! The bytes of a GGUF header.

/// Ids of value types.
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U64: u32 = 10;

const VERSION: u32 = 3;

/// Metadata, then the table of tensors.
pub(super) struct HeaderWriter(Vec<u8>);

impl HeaderWriter {
    /// For so many tensors and keys; as many must follow.
    pub(super) fn new(tensors: usize, keys: usize) -> Self {
        let mut header = Self(b"GGUF".to_vec());
        header.u32(VERSION);
        header.u64(tensors as u64);
        header.u64(keys as u64);
        header
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn key(&mut self, key: &str, value_type: u32) {
        self.string(key);
        self.u32(value_type);
    }

    /// A value as another file has it.
    pub(super) fn raw(&mut self, key: &str, value_type: u32, value: &[u8]) {
        self.key(key, value_type);
        self.0.extend(value);
    }

    pub(super) fn number(&mut self, key: &str, value: u32) {
        self.key(key, U32);
        self.u32(value);
    }

    pub(super) fn large_number(&mut self, key: &str, value: u64) {
        self.key(key, U64);
        self.u64(value);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key, STRING);
        self.string(value);
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String]) {
        self.key(key, ARRAY);
        self.u32(STRING);
        self.u64(values.len() as u64);
        values.iter().for_each(|value| self.string(value));
    }

    pub(super) fn numbers(&mut self, key: &str, values: &[u64]) {
        self.key(key, ARRAY);
        self.u32(U64);
        self.u64(values.len() as u64);
        values.iter().for_each(|value| self.u64(*value));
    }

    /// `offset` counts from the start of the data.
    pub(super) fn tensor(&mut self, name: &str, dims: &[usize], type_id: u32, offset: u64) {
        self.string(name);
        self.u32(dims.len() as u32);
        dims.iter().for_each(|dim| self.u64(*dim as u64));
        self.u32(type_id);
        self.u64(offset);
    }
}
