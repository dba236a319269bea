//! The members of a stream's chunk that are looked at.

use crate::dialect::json::Text;
use crate::dialect::usage::OTHERS;
use crate::json::from_bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A member given twice is what the last one says, as in most parsers; null is none.
#[derive(Default)]
pub(super) struct Chunk<'a> {
    pub(super) choices: Option<Vec<&'a RawValue>>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    /// Other places of counts: [`OTHERS`].
    pub(super) counts: [Option<&'a RawValue>; 4],
}

impl<'a> Chunk<'a> {
    /// `None` where it is no object, or its choices are no list.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        from_bytes(data).ok()
    }
}

impl<'de> Deserialize<'de> for Chunk<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Chunk<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Chunk<'de>, A::Error> {
        let mut chunk = Chunk::default();
        while let Some(Text(name)) = map.next_key()? {
            let slot = match &*name {
                "choices" => {
                    chunk.choices = map.next_value()?;
                    continue;
                }
                "usage" => &mut chunk.usage,
                "error" => &mut chunk.error,
                name => match OTHERS.iter().position(|own| *own == name) {
                    Some(at) => &mut chunk.counts[at],
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            let value: &RawValue = map.next_value()?;
            *slot = (value.get() != "null").then_some(value);
        }
        Ok(chunk)
    }
}
