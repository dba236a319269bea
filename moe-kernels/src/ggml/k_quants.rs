//! Blocks of 256 with scales of two levels: an F16 for the block, small integers for each 16 or 32 elements.

use super::{f16_at, u32_at};

/// Elements `16 · sub ..` of two-bit codes: a byte has those of one element in each quarter of a half block.
fn two_bits(codes: &[u8], sub: usize, l: usize) -> u8 {
    (codes[sub / 8 * 32 + sub % 2 * 16 + l] >> (sub % 8 / 2 * 2)) & 3
}

/// Scales and minima in nibbles, codes, d, dmin.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (d, dmin) = (f16_at(block, 80), f16_at(block, 82));
    for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(block[sub] & 15);
        let min = dmin * f32::from(block[sub] >> 4);
        for (l, out) in out.iter_mut().enumerate() {
            *out = scale * f32::from(two_bits(&block[16..80], sub, l)) - min;
        }
    }
}

/// Third bits, codes, six-bit scales plus 32, d. Where the third bit is not set, 4 is taken off.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = f16_at(block, 108);
    let scales = &block[96..108];
    for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let low = (scales[sub % 8] >> (sub / 8 * 4)) & 15;
        let high = (scales[8 + sub % 4] >> (sub / 4 * 2)) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        for (l, out) in out.iter_mut().enumerate() {
            let third = (block[sub % 2 * 16 + l] >> (sub / 2)) & 1;
            let q = two_bits(&block[32..96], sub, l) | third << 2;
            *out = scale * (f32::from(q) - 4.0);
        }
    }
}

/// Scale and minimum of 32 elements, six bits each, from twelve bytes.
fn scale_and_min(bytes: &[u8], sub: usize) -> (f32, f32) {
    let (scale, min) = if sub < 4 {
        (bytes[sub] & 63, bytes[sub + 4] & 63)
    } else {
        let low = bytes[sub + 4];
        ((low & 15) | (bytes[sub - 4] >> 6 << 4), (low >> 4) | (bytes[sub] >> 6 << 4))
    };
    (f32::from(scale), f32::from(min))
}

/// d, dmin, scales and minima, nibbles: 32 elements in the low ones, the next 32 in the high ones.
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, dmin) = (f16_at(block, 0), f16_at(block, 2));
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], sub);
        let (scale, min) = (d * scale, dmin * min);
        for (out, byte) in out.iter_mut().zip(&block[16 + sub / 2 * 32..]) {
            *out = scale * f32::from((byte >> (sub % 2 * 4)) & 15) - min;
        }
    }
}

/// As Q4_K, with the fifth bits before the nibbles.
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (d, dmin) = (f16_at(block, 0), f16_at(block, 2));
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], sub);
        let (scale, min) = (d * scale, dmin * min);
        for (l, out) in out.iter_mut().enumerate() {
            let low = (block[48 + sub / 2 * 32 + l] >> (sub % 2 * 4)) & 15;
            let high = (block[16 + l] >> sub) & 1;
            *out = scale * f32::from(low | high << 4) - min;
        }
    }
}

/// Nibbles, pairs of high bits, signed scales, d; codes are plus 32.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let d = f16_at(block, 208);
    for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(block[192 + sub].cast_signed());
        let (half, quarter) = (sub / 8, sub % 8 / 2);
        for (l, out) in out.iter_mut().enumerate() {
            let l = sub % 2 * 16 + l;
            let low = (block[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4)) & 15;
            let high = (block[128 + half * 32 + l] >> (quarter * 2)) & 3;
            *out = scale * (f32::from(low | high << 4) - 32.0);
        }
    }
}

/// ggml's form of activations: an F32 scale, codes, and their sums, which say nothing new.
pub(super) fn q8_k(block: &[u8; 292], out: &mut [f32; 256]) {
    let d = f32::from_bits(u32_at(block, 0));
    for (out, q) in out.iter_mut().zip(&block[4..260]) {
        *out = d * f32::from(q.cast_signed());
    }
}
