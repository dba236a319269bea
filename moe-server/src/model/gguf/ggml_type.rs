//! The element types of ggml, with the size of their blocks.

use std::fmt;

use moe_kernels::packed::PackedType;

/// Types of our own begin here, far outside of ggml's: "mg" and ggml's number of what was packed.
const PACKED: u32 = 0x6D67_0000;

macro_rules! ggml_types {
    ($($name:ident = $id:literal, $elements:literal, $bytes:literal;)*) => {
        /// How a tensor's elements are stored. Rows are cut into blocks of [`Self::block_elements`] elements, each
        /// [`Self::block_bytes`] long (ggml's `type_traits`; gguf-py's `GGML_QUANT_SIZES`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "ggml's own names")]
        pub enum GgmlType {
            $($name,)*
            /// Of packed files: tiles of rows, each matrix of a stack for itself.
            Packed(PackedType),
            /// A number that no known version of ggml uses; the tensor's size cannot be told.
            Unknown(u32),
        }

        impl GgmlType {
            /// Every known type of ggml's.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            #[must_use]
            pub fn from_id(id: u32) -> Self {
                match id {
                    $($id => Self::$name,)*
                    other => PackedType::ALL
                        .into_iter()
                        .map(Self::Packed)
                        .find(|packed| packed.id() == other)
                        .unwrap_or(Self::Unknown(other)),
                }
            }

            #[must_use]
            pub fn id(self) -> u32 {
                match self {
                    $(Self::$name => $id,)*
                    Self::Packed(packed) => PACKED | Self::of_packed(packed).id(),
                    Self::Unknown(id) => id,
                }
            }

            /// Elements and bytes of one block (of one row, where it is packed); none where the type is unknown.
            #[must_use]
            pub fn block(self) -> Option<(usize, usize)> {
                match self {
                    $(Self::$name => Some(($elements, $bytes)),)*
                    Self::Packed(packed) => Some((packed.block_columns(), packed.block_bytes())),
                    Self::Unknown(_) => None,
                }
            }

            fn known_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    Self::Packed(_) | Self::Unknown(_) => None,
                }
            }
        }
    };
}

ggml_types! {
    F32 = 0, 1, 4;
    F16 = 1, 1, 2;
    Q4_0 = 2, 32, 18;
    Q4_1 = 3, 32, 20;
    Q5_0 = 6, 32, 22;
    Q5_1 = 7, 32, 24;
    Q8_0 = 8, 32, 34;
    Q8_1 = 9, 32, 40;
    Q2_K = 10, 256, 84;
    Q3_K = 11, 256, 110;
    Q4_K = 12, 256, 144;
    Q5_K = 13, 256, 176;
    Q6_K = 14, 256, 210;
    Q8_K = 15, 256, 292;
    IQ2_XXS = 16, 256, 66;
    IQ2_XS = 17, 256, 74;
    IQ3_XXS = 18, 256, 98;
    IQ1_S = 19, 256, 50;
    IQ4_NL = 20, 32, 18;
    IQ3_S = 21, 256, 110;
    IQ2_S = 22, 256, 82;
    IQ4_XS = 23, 256, 136;
    I8 = 24, 1, 1;
    I16 = 25, 1, 2;
    I32 = 26, 1, 4;
    I64 = 27, 1, 8;
    F64 = 28, 1, 8;
    IQ1_M = 29, 256, 56;
    BF16 = 30, 1, 2;
    TQ1_0 = 34, 256, 54;
    TQ2_0 = 35, 256, 66;
    MXFP4 = 39, 32, 17;
    NVFP4 = 40, 64, 36;
    Q1_0 = 41, 128, 18;
    Q2_0 = 42, 64, 18;
}

impl GgmlType {
    /// The type whose blocks are packed.
    fn of_packed(packed: PackedType) -> Self {
        match packed {
            PackedType::Q4_K => Self::Q4_K,
            PackedType::Q6_K => Self::Q6_K,
            PackedType::Q8_0 => Self::Q8_0,
            PackedType::MXFP4 => Self::MXFP4,
        }
    }

    /// Elements in one block, 1 for the plain types and the unknown.
    #[must_use]
    pub fn block_elements(self) -> usize {
        self.block().map_or(1, |(elements, _)| elements)
    }

    /// Bytes of one block, 0 where the type is unknown.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        self.block().map_or(0, |(_, bytes)| bytes)
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known_name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Packed(packed)) => write!(f, "packed {packed:?}"),
            (None, _) => write!(f, "unknown type {}", self.id()),
        }
    }
}
