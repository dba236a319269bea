//! Blocks of 256 whose codes are indices into code books of eight or four values; the signs stand apart (IQ2, IQ3), or
//! the values are −1, 0 and 1 with an offset (IQ1).

use super::{f16_at, grids, u16_at, u32_at};
use crate::simd::f16_to_f32;

/// What the codes of two bits of IQ2 stand for; none is 3.
const IQ2: [f32; 4] = [8.0, 25.0, 43.0, 0.0];
/// What the codes of four bits stand for; none is 8 or more.
const IQ3_XXS: [f32; 8] = [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0];
const IQ3_S: [f32; 8] = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0];

/// The signs of eight elements from seven: the number of minuses is even.
fn signs(seven: u32) -> u8 {
    let seven = (seven & 127) as u8;
    seven | ((seven.count_ones() & 1) << 7) as u8
}

fn signed(value: f32, signs: u8, i: usize) -> f32 {
    if (signs >> i) & 1 == 1 { -value } else { value }
}

fn eight(codes: u16, scale: f32, signs: u8, out: &mut [f32; 8]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = signed(scale * IQ2[usize::from((codes >> (2 * i)) & 3)], signs, i);
    }
}

fn twice_four(codes: [u16; 2], values: &[f32; 8], scale: f32, signs: u8, out: &mut [f32; 8]) {
    for (i, out) in out.iter_mut().enumerate() {
        let code = (codes[i / 4] >> (i % 4 * 4)) & 7;
        *out = signed(scale * values[usize::from(code)], signs, i);
    }
}

/// d; then for each 32 elements four indices, four times seven signs and a scale of four bits.
pub(super) fn iq2_xxs(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let part = &block[2 + sub * 8..][..8];
        let rest = u32_at(part, 4);
        let scale = d * (0.5 + (rest >> 28) as f32) * 0.25;
        for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
            eight(grids::IQ2_XXS[usize::from(part[l])], scale, signs(rest >> (7 * l)), out);
        }
    }
}

/// d, indices of nine bits with seven signs, scales of each 16 elements in nibbles.
pub(super) fn iq2_xs(block: &[u8; 74], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let code = u16_at(block, 2 + 2 * l);
        let scale = d * (0.5 + half_nibble(&block[66..], l)) * 0.25;
        eight(grids::IQ2_XS[usize::from(code & 511)], scale, signs(u32::from(code >> 9)), out);
    }
}

/// The scale of the eight elements `l`, where one stands for 16.
fn half_nibble(scales: &[u8], l: usize) -> f32 {
    f32::from((scales[l / 4] >> (l % 4 / 2 * 4)) & 15)
}

/// d, low bytes of the indices, signs, high bits of the indices, scales as above.
pub(super) fn iq2_s(block: &[u8; 82], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let high = (block[66 + l / 4] >> (l % 4 * 2)) & 3;
        let index = usize::from(block[2 + l]) | usize::from(high) << 8;
        let scale = d * (0.5 + half_nibble(&block[74..], l)) * 0.25;
        eight(grids::IQ2_S[index], scale, block[34 + l], out);
    }
}

/// d, indices; then for each 32 elements four times seven signs and a scale of four bits.
pub(super) fn iq3_xxs(block: &[u8; 98], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let rest = u32_at(block, 66 + sub * 4);
        let scale = d * (0.5 + (rest >> 28) as f32) * 0.5;
        for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
            let codes = [0, 1].map(|i| grids::IQ3_XXS[usize::from(block[2 + sub * 8 + l * 2 + i])]);
            twice_four(codes, &IQ3_XXS, scale, signs(rest >> (7 * l)), out);
        }
    }
}

/// d, low bytes of the indices, their ninth bits, signs, scales of each 32 elements in nibbles.
pub(super) fn iq3_s(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let code = (block[106 + l / 8] >> (l / 4 % 2 * 4)) & 15;
        let scale = d * (1.0 + 2.0 * f32::from(code));
        let codes = [2 * l, 2 * l + 1].map(|i| {
            let ninth = (block[66 + i / 8] >> (i % 8)) & 1;
            grids::IQ3_S[usize::from(block[2 + i]) | usize::from(ninth) << 8]
        });
        twice_four(codes, &IQ3_S, scale, block[74 + l], out);
    }
}

/// How far IQ1's values lie above or below −1, 0 and 1.
const DELTA: f32 = 0.125;

fn offset_eight(codes: u16, scale: f32, below: bool, out: &mut [f32; 8]) {
    let delta = if below { -DELTA } else { DELTA };
    for (i, out) in out.iter_mut().enumerate() {
        *out = scale * (f32::from((codes >> (2 * i)) & 3) - 1.0 + delta);
    }
}

/// d, low bytes of the indices; then for each 32 elements the high bits, a scale of three bits and the offset's sign.
pub(super) fn iq1_s(block: &[u8; 50], out: &mut [f32; 256]) {
    let d = f16_at(block, 0);
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let rest = u16_at(block, 34 + 2 * sub);
        let scale = d * (2.0 * f32::from((rest >> 12) & 7) + 1.0);
        for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
            let index = u16::from(block[2 + 4 * sub + l]) | ((rest >> (3 * l)) & 7) << 8;
            offset_eight(grids::IQ1[usize::from(index)], scale, rest >> 15 == 1, out);
        }
    }
}

/// Low bytes of the indices; nibbles of high bits and offsets' signs; scales of three bits for each 16 elements, four in
/// a word, whose upper nibbles together are d.
pub(super) fn iq1_m(block: &[u8; 56], out: &mut [f32; 256]) {
    let words = [0, 1, 2, 3].map(|i| u16_at(block, 48 + 2 * i));
    let d = f16_to_f32((0..4).fold(0, |d, i| d | words[i] >> 12 << (4 * i)));
    for (l, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        let scale = d * (2.0 * f32::from((words[l / 8] >> (l % 8 / 2 * 3)) & 7) + 1.0);
        let nibble = block[32 + l / 2] >> (l % 2 * 4);
        let index = usize::from(block[l]) | usize::from(nibble & 7) << 8;
        offset_eight(grids::IQ1[index], scale, nibble & 8 == 8, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    }

    /// The hash of all values of a code book, a signed byte each.
    fn hash(grid: &[u16], bits: usize, values: &[f32]) -> u64 {
        let codes = grid
            .iter()
            .flat_map(|entry| (0..16 / bits).map(move |i| (entry >> (i * bits)) & ((1 << bits) - 1)));
        fnv1a(codes.map(|code| (values[usize::from(code)] as i8).cast_unsigned()))
    }

    #[test]
    fn code_books_are_ggufs() {
        let ours = [
            ("IQ1_S", hash(&grids::IQ1, 2, &[-1.0, 0.0, 1.0])),
            ("IQ2_XXS", hash(&grids::IQ2_XXS, 2, &IQ2[..3])),
            ("IQ2_XS", hash(&grids::IQ2_XS, 2, &IQ2[..3])),
            ("IQ2_S", hash(&grids::IQ2_S, 2, &IQ2[..3])),
            ("IQ3_XXS", hash(&grids::IQ3_XXS, 4, &IQ3_XXS)),
            ("IQ3_S", hash(&grids::IQ3_S, 4, &IQ3_S)),
        ];
        let ours: String = ours.iter().map(|(name, hash)| format!("{name} {hash:016x}\n")).collect();
        assert_eq!(ours, include_str!("../../goldens/grids.txt"));
    }
}
