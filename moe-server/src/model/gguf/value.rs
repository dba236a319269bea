//! Metadata values: checked once when the file is opened, decoded from the mapped bytes when asked for.

use std::{fmt::Arguments, ops::Range};

use super::{
    GgufError,
    cursor::{Cursor, invalid},
};

/// How deep arrays of arrays may nest. Real files do not nest at all.
const MAX_DEPTH: usize = 4;

/// The type of a metadata value, in the order of the format's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    fn from_id(id: u32) -> Option<Self> {
        use ValueType::{Array, Bool, F32, F64, I8, I16, I32, I64, String, U8, U16, U32, U64};
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64]
            .get(usize::try_from(id).ok()?)
            .copied()
    }

    /// Bytes of one value; none for the types whose length is written before them.
    fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// Where a checked value lies in the file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    value_type: ValueType,
    range: Range<usize>,
}

impl Stored {
    /// Reads a type and a value of it, checking all of it.
    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, GgufError> {
        let what = format_args!("the value of {key:?}");
        let value_type = read_type(cursor, what)?;
        let start = cursor.at();
        skip(cursor, value_type, what, 0)?;
        Ok(Self { value_type, range: start..cursor.at() })
    }

    pub(super) fn type_id(&self) -> u32 {
        // In the order of their ids.
        self.value_type as u32
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The value's own bytes in the file, without its type.
    pub(super) fn raw<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.range.clone())
    }

    /// The value; `bytes` is the file that [`Self::read`] checked. Fails only where the file has changed since.
    pub(super) fn decode<'a>(&self, bytes: &'a [u8], key: &str) -> Result<Value<'a>, GgufError> {
        let what = format_args!("the value of {key:?}");
        let mut cursor = Cursor::new(bytes.get(..self.range.end).unwrap_or(bytes), self.range.start);
        let cursor = &mut cursor;
        Ok(match self.value_type {
            ValueType::U8 => Value::Unsigned(u8::from_le_bytes(cursor.array(what)?).into()),
            ValueType::I8 => Value::Signed(i8::from_le_bytes(cursor.array(what)?).into()),
            ValueType::U16 => Value::Unsigned(u16::from_le_bytes(cursor.array(what)?).into()),
            ValueType::I16 => Value::Signed(i16::from_le_bytes(cursor.array(what)?).into()),
            ValueType::U32 => Value::Unsigned(cursor.u32(what)?.into()),
            ValueType::I32 => Value::Signed(i32::from_le_bytes(cursor.array(what)?).into()),
            ValueType::U64 => Value::Unsigned(cursor.u64(what)?),
            ValueType::I64 => Value::Signed(i64::from_le_bytes(cursor.array(what)?)),
            ValueType::F32 => Value::Float(f32::from_le_bytes(cursor.array(what)?).into()),
            ValueType::F64 => Value::Float(f64::from_le_bytes(cursor.array(what)?)),
            ValueType::Bool => Value::Bool(cursor.array::<1>(what)? != [0]),
            ValueType::String => Value::String(cursor.string(what)?),
            ValueType::Array => {
                let element = read_type(cursor, what)?;
                let count = cursor.u64(what)?;
                let bytes = cursor.take(cursor.left() as u64, what)?;
                let len = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
                Value::Array(Array { element, len, bytes })
            }
        })
    }
}

fn read_type(cursor: &mut Cursor<'_>, what: Arguments<'_>) -> Result<ValueType, GgufError> {
    let at = cursor.at();
    let id = cursor.u32(what)?;
    ValueType::from_id(id).ok_or_else(|| invalid(what, at, format!("has the unknown type {id}")))
}

/// Moves over one value, checking lengths, booleans and UTF-8. Its work is bounded by the bytes it passes.
fn skip(
    cursor: &mut Cursor<'_>,
    value_type: ValueType,
    what: Arguments<'_>,
    depth: usize,
) -> Result<(), GgufError> {
    match value_type {
        ValueType::String => cursor.string(what).map(drop),
        ValueType::Bool => {
            let at = cursor.at();
            match cursor.array::<1>(what)? {
                [0 | 1] => Ok(()),
                [other] => Err(invalid(what, at, format!("is a boolean of {other}, neither 0 nor 1"))),
            }
        }
        ValueType::Array => {
            let at = cursor.at();
            if depth == MAX_DEPTH {
                return Err(invalid(what, at, format!("nests arrays more than {MAX_DEPTH} deep")));
            }
            let element = read_type(cursor, what)?;
            let count = cursor.u64(what)?;
            if let (Some(size), false) = (element.size(), element == ValueType::Bool) {
                let Some(bytes) = count.checked_mul(size as u64) else {
                    return Err(invalid(what, at, format!("claims {count} elements")));
                };
                return cursor.take(bytes, what).map(drop);
            }
            (0..count).try_for_each(|_| skip(cursor, element, what, depth + 1))
        }
        scalar => cursor.take(scalar.size().unwrap_or(0) as u64, what).map(drop),
    }
}

/// A metadata value. Integers and floats are widened.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    String(&'a str),
    Array(Array<'a>),
}

impl Value<'_> {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Unsigned(value) => format!("the integer {value}"),
            Self::Signed(value) => format!("the integer {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::String(_) => "a string".to_owned(),
            Self::Array(array) => format!("an array of {} × {}", array.len, array.element.name()),
        }
    }
}

/// A metadata array, still in the file's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Array<'a> {
    element: ValueType,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    #[must_use]
    pub fn element(&self) -> ValueType {
        self.element
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A Rust type that a metadata value can be read as.
pub trait FromValue<'a>: Sized {
    /// What the value should be, for the error.
    const EXPECTED: &'static str;

    fn from_value(value: Value<'a>) -> Option<Self>;
}

macro_rules! integers {
    ($($ty:ty = $expected:literal),*) => {$(
        impl FromValue<'_> for $ty {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Unsigned(value) => value.try_into().ok(),
                    Value::Signed(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        }

        impl FromValue<'_> for Vec<$ty> {
            const EXPECTED: &'static str = concat!("an array, each element ", $expected);

            fn from_value(value: Value<'_>) -> Option<Self> {
                let Value::Array(array) = value else { return None };
                let size = array.element.size()?;
                array.bytes.chunks_exact(size).take(array.len).map(|bytes| {
                    let mut wide = [0; 8];
                    wide[..size].copy_from_slice(bytes);
                    let unsigned = u64::from_le_bytes(wide);
                    match array.element {
                        ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => {
                            unsigned.try_into().ok()
                        }
                        ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64 => {
                            let shift = 64 - 8 * size;
                            (unsigned.cast_signed() << shift >> shift).try_into().ok()
                        }
                        _ => None,
                    }
                }).collect()
            }
        }
    )*};
}

integers! {
    u16 = "an integer from 0 to 65535",
    u32 = "an integer from 0 to 4294967295",
    u64 = "an integer of at least 0",
    usize = "an integer of at least 0",
    i32 = "an integer of 32 bits"
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a finite number";

    #[allow(
        clippy::cast_possible_truncation,
        reason = "f64 values are rounded to what the model computes with"
    )]
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Float(value) => Some(value as Self).filter(|value| value.is_finite()),
            _ => None,
        }
    }
}

impl FromValue<'_> for Vec<f32> {
    const EXPECTED: &'static str = "an array of f32";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Array(array) if array.element == ValueType::F32 => Some(
                array
                    .bytes
                    .as_chunks()
                    .0
                    .iter()
                    .take(array.len)
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect(),
            ),
            _ => None,
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "a boolean";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::String(value) => Some(value),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for Vec<&'a str> {
    const EXPECTED: &'static str = "an array of strings";

    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Array(array) if array.element == ValueType::String => {
                let mut cursor = Cursor::new(array.bytes, 0);
                (0..array.len).map(|_| cursor.string(format_args!("a string")).ok()).collect()
            }
            _ => None,
        }
    }
}
