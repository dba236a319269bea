//! Every block type of ggml that can hold weights, decoded exactly: the same `f32` operations in the same order as
//! ggml's `dequantize_row_*` (ggml project, MIT), so that a weight has one value whoever reads it.
//!
//! Only [`quantise_q8_0`] goes the other way: what has no kernel of its own becomes Q8_0 when a model is packed.

mod fp4;
mod grids;
mod iq;
mod iq4;
mod k_quants;
mod plain;
mod quantise;
mod small;
mod ternary;

use crate::simd::f16_to_f32;
pub use quantise::quantise_q8_0;

macro_rules! block_types {
    ($($name:ident = $elements:literal, $bytes:literal, $decode:path;)*) => {
        /// How weights lie in a file, by ggml's names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "ggml's own names")]
        pub enum BlockType {
            $($name,)*
        }

        impl BlockType {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Elements of a block; a row is a whole number of blocks.
            #[must_use]
            pub const fn block_elements(self) -> usize {
                match self {
                    $(Self::$name => $elements,)*
                }
            }

            /// Bytes of a block.
            #[must_use]
            pub const fn block_bytes(self) -> usize {
                match self {
                    $(Self::$name => $bytes,)*
                }
            }
        }

        /// The elements of whole blocks as `f32`. Any bytes have a meaning; scales that are no numbers give elements
        /// that are none.
        ///
        /// # Panics
        /// Where `bytes` is no whole number of blocks, or `out` has not room for just their elements.
        pub fn dequantise(block_type: BlockType, bytes: &[u8], out: &mut [f32]) {
            match block_type {
                $(BlockType::$name => each::<$bytes, $elements>(bytes, out, $decode),)*
            }
        }
    };
}

block_types! {
    F32 = 1, 4, plain::f32;
    F16 = 1, 2, plain::f16;
    BF16 = 1, 2, plain::bf16;
    Q1_0 = 128, 18, small::q1_0;
    Q2_0 = 64, 18, small::q2_0;
    Q4_0 = 32, 18, small::q4_0;
    Q4_1 = 32, 20, small::q4_1;
    Q5_0 = 32, 22, small::q5_0;
    Q5_1 = 32, 24, small::q5_1;
    Q8_0 = 32, 34, small::q8_0;
    Q2_K = 256, 84, k_quants::q2_k;
    Q3_K = 256, 110, k_quants::q3_k;
    Q4_K = 256, 144, k_quants::q4_k;
    Q5_K = 256, 176, k_quants::q5_k;
    Q6_K = 256, 210, k_quants::q6_k;
    Q8_K = 256, 292, k_quants::q8_k;
    IQ1_S = 256, 50, iq::iq1_s;
    IQ1_M = 256, 56, iq::iq1_m;
    IQ2_XXS = 256, 66, iq::iq2_xxs;
    IQ2_XS = 256, 74, iq::iq2_xs;
    IQ2_S = 256, 82, iq::iq2_s;
    IQ3_XXS = 256, 98, iq::iq3_xxs;
    IQ3_S = 256, 110, iq::iq3_s;
    IQ4_NL = 32, 18, iq4::iq4_nl;
    IQ4_XS = 256, 136, iq4::iq4_xs;
    TQ1_0 = 256, 54, ternary::tq1_0;
    TQ2_0 = 256, 66, ternary::tq2_0;
    MXFP4 = 32, 17, fp4::mxfp4;
    NVFP4 = 64, 36, fp4::nvfp4;
}

fn each<const BYTES: usize, const ELEMENTS: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; ELEMENTS]),
) {
    let (blocks, rest) = bytes.as_chunks();
    let (outs, over) = out.as_chunks_mut();
    assert!(rest.is_empty(), "{} bytes are no whole number of blocks of {BYTES}", bytes.len());
    assert!(
        over.is_empty() && blocks.len() == outs.len(),
        "{} blocks of {ELEMENTS} elements need just as much room",
        blocks.len()
    );
    for (block, out) in blocks.iter().zip(outs) {
        decode(block, out);
    }
}

fn u16_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from(u16_at(block, at)) | u32::from(u16_at(block, at + 2)) << 16
}

fn f16_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16_at(block, at))
}

/// Element `i` of a half of 16 or more that lie in the low nibbles, and of one behind it in the high ones.
fn nibbles(bytes: &[u8], out: &mut [f32], value: impl Fn(usize, u8) -> f32) {
    let (low, high) = out.split_at_mut(bytes.len());
    for (i, ((low, high), byte)) in low.iter_mut().zip(high).zip(bytes).enumerate() {
        *low = value(i, byte & 15);
        *high = value(i + bytes.len(), byte >> 4);
    }
}
