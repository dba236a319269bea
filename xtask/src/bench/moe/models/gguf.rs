//! Writes GGUF files (version 3, [format](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)).

use std::io::{self, Write};

use super::blocks::{Random, Type, weights};

const ALIGNMENT: usize = 32;
/// Elements that are drawn at a time; a whole number of every type's blocks.
const PIECE: usize = 1 << 18;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// What a tensor's numbers are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fill {
    /// Random, of mean 0 and this standard deviation.
    Weights(f32),
    /// Random, 1 ± 0.2.
    Norm,
    These(Vec<f32>),
}

/// Its numbers depend on nothing but its name, type and size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) kind: Type,
    /// The contiguous one first.
    pub(super) dims: Vec<usize>,
    pub(super) fill: Fill,
}

impl Tensor {
    fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    fn bytes(&self) -> usize {
        self.kind.bytes(self.elements())
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut random = Random::named(&self.name);
        let mut number = |value: f32| out.write_all(&value.to_le_bytes());
        match &self.fill {
            Fill::These(values) => values.iter().try_for_each(|value| number(*value)),
            Fill::Norm => (0..self.elements()).try_for_each(|_| number(0.8 + 0.4 * random.unit())),
            Fill::Weights(sigma) => {
                let mut piece = Vec::new();
                let mut left = self.elements();
                while left > 0 {
                    let elements = left.min(PIECE);
                    piece.resize(self.kind.bytes(elements), 0);
                    weights(self.kind, *sigma, &mut random, &mut piece);
                    out.write_all(&piece)?;
                    left -= elements;
                }
                Ok(())
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) keys: Vec<(String, Value)>,
    pub(super) tensors: Vec<Tensor>,
}

impl File {
    pub(super) fn key(&mut self, key: impl Into<String>, value: Value) {
        self.keys.push((key.into(), value));
    }

    /// # Errors
    /// Of the writer.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let header = self.header();
        out.write_all(&header)?;
        pad(out, header.len())?;
        for tensor in &self.tensors {
            tensor.write(out)?;
            pad(out, tensor.bytes())?;
        }
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        put_len(&mut out, self.tensors.len());
        put_len(&mut out, self.keys.len());
        for (key, value) in &self.keys {
            put_text(&mut out, key);
            put_value(&mut out, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_text(&mut out, &tensor.name);
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|dim| put_len(&mut out, *dim));
            out.extend((tensor.kind as u32).to_le_bytes());
            put_len(&mut out, offset);
            offset += tensor.bytes().next_multiple_of(ALIGNMENT);
        }
        out
    }
}

fn pad(out: &mut impl Write, written: usize) -> io::Result<()> {
    out.write_all(&[0; ALIGNMENT][..written.next_multiple_of(ALIGNMENT) - written])
}

fn put_len(out: &mut Vec<u8>, value: usize) {
    out.extend((value as u64).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let mut kind = |id: u32| out.extend(id.to_le_bytes());
    match value {
        Value::U32(value) => {
            kind(4);
            out.extend(value.to_le_bytes());
        }
        Value::F32(value) => {
            kind(6);
            out.extend(value.to_le_bytes());
        }
        Value::Bool(value) => {
            kind(7);
            out.push(u8::from(*value));
        }
        Value::Text(text) => {
            kind(8);
            put_text(out, text);
        }
        Value::Texts(texts) => {
            kind(9);
            kind_of_items(out, 8, texts.len());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Value::I32s(values) => {
            kind(9);
            kind_of_items(out, 5, values.len());
            values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        }
    }
}

fn kind_of_items(out: &mut Vec<u8>, id: u32, count: usize) {
    out.extend(id.to_le_bytes());
    put_len(out, count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_header_padding_and_tensors_each_at_its_offset() {
        let mut file = File::default();
        file.key("a", Value::U32(7));
        file.key("b", Value::Texts(vec!["x".into(), "yz".into()]));
        file.tensors.push(Tensor {
            name: "one".into(),
            kind: Type::F32,
            dims: vec![3],
            fill: Fill::These(vec![1.0, 2.0, 3.0]),
        });
        file.tensors.push(Tensor {
            name: "two".into(),
            kind: Type::Q8_0,
            dims: vec![32, 2],
            fill: Fill::Weights(1.0),
        });
        let mut bytes = Vec::new();
        file.write(&mut bytes).unwrap();
        let header = file.header().len();
        let keys =
            [&b"\x01\0\0\0\0\0\0\0a\x04\0\0\0\x07\0\0\0"[..], b"\x01\0\0\0\0\0\0\0b\x09\0\0\0\x08\0\0\0\x02"]
                .concat();
        assert_eq!(&bytes[..24], b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        assert_eq!(&bytes[24..24 + keys.len()], keys);
        // The last tensor's offset ends the header.
        assert_eq!(bytes[header - 8..header], 32u64.to_le_bytes());
        let data = header.next_multiple_of(32);
        assert_eq!(bytes[data..data + 12], [1f32, 2.0, 3.0].map(f32::to_le_bytes).concat());
        assert_eq!(bytes.len(), data + 32 + 96);
        assert_ne!(bytes[data + 32..data + 64], [0; 32]);
    }
}
