//! What keys and values are rounded to, and the bytes that they take; `kernels/kv.cuh` says how they lie.

use std::{fmt, str::FromStr};

/// Dimensions that share a scale in [`KvType::Q8_0`].
pub const GROUP: usize = 32;

/// What keys and values are rounded to (to the nearest, ties to even).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "ggml's own names")]
pub enum KvType {
    /// IEEE halves.
    F16,
    /// 8 bits, and a half as scale per 32 dimensions: what moe-kernels keeps of the same values, bit for bit.
    Q8_0,
}

impl KvType {
    pub const ALL: [Self; 2] = [Self::F16, Self::Q8_0];

    /// Bytes of a key or a value of a head of `head_dim` dimensions, scales included.
    #[must_use]
    pub fn vector_bytes(self, head_dim: usize) -> usize {
        match self {
            Self::F16 => 2 * head_dim,
            Self::Q8_0 => head_dim + head_dim / GROUP * 2,
        }
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        })
    }
}

impl FromStr for KvType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kv_type| kv_type.to_string() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_bytes_and_names() {
        let bytes = |head_dim| KvType::ALL.map(|kv_type| kv_type.vector_bytes(head_dim));
        assert_eq!([bytes(32), bytes(64), bytes(128)], [[64, 34], [128, 68], [256, 136]]);
        for kv_type in KvType::ALL {
            assert_eq!(kv_type.to_string().parse(), Ok(kv_type));
        }
        assert_eq!("f32".parse::<KvType>(), Err(()));
    }
}
