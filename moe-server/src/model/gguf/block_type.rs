//! Which of the file's types hold weights that can be decoded.

use moe_kernels::ggml::BlockType;

use super::GgmlType;

impl GgmlType {
    /// How blocks of the type are decoded; none for integers, F64, what ggml itself never stores (Q8_1), tiles, and the
    /// unknown.
    #[must_use]
    pub fn block_type(self) -> Option<BlockType> {
        macro_rules! same_names {
            ($($name:ident)*) => {
                match self {
                    $(Self::$name => Some(BlockType::$name),)*
                    Self::I8 | Self::I16 | Self::I32 | Self::I64 | Self::F64 | Self::Q8_1 => None,
                    Self::Packed(_) | Self::Unknown(_) => None,
                }
            };
        }
        same_names! {
            F32 F16 BF16 Q1_0 Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ1_S IQ1_M IQ2_XXS IQ2_XS
            IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both tables go by ggml's names; a block of another size would be read as nonsense.
    #[test]
    fn types_have_their_decoders() {
        use GgmlType::{F64, I8, I16, I32, I64, Q8_1};
        let mut without = Vec::new();
        for ggml_type in GgmlType::ALL {
            let Some(block_type) = ggml_type.block_type() else {
                without.push(*ggml_type);
                continue;
            };
            assert_eq!(format!("{block_type:?}"), ggml_type.to_string());
            assert_eq!(ggml_type.block(), Some((block_type.block_elements(), block_type.block_bytes())));
        }
        assert_eq!(without, [Q8_1, I8, I16, I32, I64, F64]);
        assert_eq!(GgmlType::ALL.len() - without.len(), BlockType::ALL.len());
    }
}
