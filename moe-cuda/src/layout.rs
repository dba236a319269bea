//! What host and device say to each other: the structs of `kernels/layout.cuh`, field by field.

/// Positions of a split of attention.
pub const SPLIT: usize = 128;
/// Logits of a chunk of candidates.
pub const CHUNK: usize = 512;
/// Candidates that a step yields for each token.
pub const KEPT: usize = 32;
/// Parts of a split, each of which leaves a mixture of its own.
pub const PARTS: usize = 16;
pub const MOST_EXPERTS: usize = 256;
pub const MOST_HIDDEN: usize = 8192;

/// Forms of activations.
pub const COARSE: u32 = 1;
pub const FINE: u32 = 2;
pub const FLOAT: u32 = 4;

/// A layer's flags.
pub const ROPE: u32 = 1;
pub const CHUNKED: u32 = 2;
pub const ROUTED: u32 = 4;
pub const SHARED: u32 = 8;

/// A step's flags.
pub const SOFTMAX_ON_OUTPUT: u32 = 1;
pub const ROPE_HALVES: u32 = 2;
pub const NORM_PLAIN: u32 = 4;
pub const NORM_WEIGHTED: u32 = 8;
pub const PREFETCH: u32 = 16;
pub const STORED: u32 = 32;

/// Tokens that a block multiplies at a time.
pub const PANEL: usize = 8;
/// Rows of a step up to which its products are those of panels; with more, those of [`MANY`] rows.
pub const FEW: usize = 32;
/// Rows that a block multiplies where a step has many, with its shared memory: three buffers for 256 columns of activations, and
/// what it notes.
pub const MANY: usize = 64;
pub const MANY_BYTES: u32 = 3 * (MANY as u32 * (256 + 32)) + 1280;
/// Threads of a block, but for products.
pub const THREADS: u32 = 512;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Matrix {
    pub at: u64,
    pub expert_bytes: u64,
    pub kind: u32,
    pub rows: u32,
    pub columns: u32,
    pub pad: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Layer {
    pub query: Matrix,
    pub key: Matrix,
    pub value: Matrix,
    pub output: Matrix,
    pub router: Matrix,
    pub shared_gate: Matrix,
    pub shared_up: Matrix,
    pub shared_down: Matrix,
    pub gate: Matrix,
    pub up: Matrix,
    pub down: Matrix,
    pub attn_norm: u64,
    pub ffn_norm: u64,
    pub query_norm: u64,
    pub key_norm: u64,
    pub keys: u64,
    pub values: u64,
    pub flags: u32,
    pub qkv_forms: u32,
    pub output_forms: u32,
    pub up_forms: u32,
    pub down_forms: u32,
    pub pad: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows {
    pub coarse: u64,
    pub fine: u64,
    pub plain: u64,
    pub coarse_stride: u32,
    pub fine_stride: u32,
    pub plain_stride: u32,
    pub pad: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    pub embedding: Matrix,
    pub head: Matrix,
    pub final_norm: u64,
    pub normed: Rows,
    pub attended: Rows,
    pub inner: Rows,
    pub tokens_in: u64,
    pub positions: u64,
    pub starts: u64,
    pub rope: u64,
    pub query_scale: u64,
    pub slots_in: u64,
    pub picks: u64,
    pub tables: [u64; 2],
    pub x: [u64; 2],
    pub qkv: u64,
    pub partial: u64,
    pub partial_ml: u64,
    pub attn_out: u64,
    pub router_logits: u64,
    pub choices: u64,
    pub choice_weights: u64,
    pub slots: u64,
    pub inner_float: u64,
    pub mixed: u64,
    pub logits: u64,
    pub chunk_candidates: u64,
    pub chunk_sums: u64,
    pub candidates: u64,
    pub sums: u64,
    pub counters: u64,
    pub hidden: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub experts: u32,
    pub used: u32,
    pub vocab: u32,
    pub flags: u32,
    pub tokens: u32,
    pub capacity: u32,
    pub splits: u32,
    pub block_tokens: u32,
    pub table_stride: u32,
    pub head_forms: u32,
    pub wanted: u32,
    pub first: u32,
    pub chunks: u32,
    pub inner_columns: u32,
    pub max_slots: u32,
    pub term_bytes: u32,
    pub eps: f32,
}

/// Parameters of the kernel `fill`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Fill {
    pub at: u64,
    pub bytes: u64,
    pub kind: u32,
    pub columns: u32,
    pub seed: u32,
    pub amplitude: f32,
}

/// Structs of numbers without padding: they may be seen as bytes.
///
/// # Safety
/// All bytes of a value are initialised, and any bytes are a value.
pub unsafe trait Plain: Copy {}

// SAFETY: `repr(C)`, fields of 4 and 8 bytes, each at a multiple of its size with no gap (the test below adds them up).
unsafe impl Plain for Layer {}
// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: numbers.
unsafe impl Plain for u32 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}

/// The bytes of plain values.
#[must_use]
pub fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: by the trait's contract; the slice covers the same memory.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The same, to be written.
#[must_use]
pub fn bytes_of_mut<T: Plain>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: by the trait's contract; the slice covers the same memory.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// Where column `column` of a quantised row stands; see `kernels/quantise.cuh`.
#[must_use]
pub fn quant_place(column: usize) -> usize {
    (column & !63) + ((column >> 3) & 3) * 16 + ((column >> 5) & 1) * 8 + (column & 7)
}

/// Bytes from row to row of quantised activations: lanes of neighbouring rows then read different banks.
#[must_use]
pub fn row_stride(columns: usize, form: u32) -> u32 {
    let units = columns.div_ceil(256);
    let bytes = if form == COARSE { units * (256 + 16 + 4) } else { units * (256 + 32) };
    (bytes.next_multiple_of(128) + 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_have_no_gaps_and_places_are_a_permutation() {
        assert_eq!(size_of::<Layer>(), 11 * size_of::<Matrix>() + 6 * 8 + 6 * 4);
        let mut places: Vec<usize> = (0..256).map(quant_place).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..256));
    }
}
