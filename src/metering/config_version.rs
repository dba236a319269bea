//! Which configuration an attempt was served by.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A version of the configuration, as records name it: `3-1a2b3c4d`. Version 0 is the compiled-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigVersion {
    pub number: u32,
    /// The first four bytes of the SHA-256 of the configuration's JSON.
    pub hash: u32,
}

impl fmt::Display for ConfigVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.number, self.hash)
    }
}

impl ConfigVersion {
    fn parse(text: &str) -> Option<Self> {
        let (number, hash) = text.split_once('-')?;
        Some(Self { number: number.parse().ok()?, hash: u32::from_str_radix(hash, 16).ok()? })
    }
}

impl Serialize for ConfigVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConfigVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("no version of a configuration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (number, hash, text) in [(0, 0x1a, "0-0000001a"), (u32::MAX, u32::MAX, "4294967295-ffffffff")] {
            let version = ConfigVersion { number, hash };
            let json = serde_json::to_string(&version).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<ConfigVersion>(&json).unwrap(), version);
        }
        for text in ["", "3", "3-", "x-0", "3-xyz", "-1-00000000"] {
            assert_eq!(ConfigVersion::parse(text), None, "{text}");
        }
    }
}
