//! −d, 0 and d.

use super::f16_at;

/// Five elements a byte: the byte is their number in base 3 as a fraction of 243, rounded up to a fraction of 256.
/// 160 elements stand in the first 32 bytes, 80 in 16 more, and the last 16 in four bytes of four.
pub(super) fn tq1_0(block: &[u8; 54], out: &mut [f32; 256]) {
    let d = f16_at(block, 52);
    let (first, out) = out.split_at_mut(160);
    let (second, third) = out.split_at_mut(80);
    for (bytes, out) in [(&block[..32], first), (&block[32..48], second), (&block[48..52], third)] {
        for (out, power) in out.chunks_exact_mut(bytes.len()).zip([1, 3, 9, 27, 81]) {
            for (out, byte) in out.iter_mut().zip(bytes) {
                let trit = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
                *out = d * (f32::from(trit) - 1.0);
            }
        }
    }
}

/// Two bits an element: a byte has one of each quarter of a half block.
pub(super) fn tq2_0(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = f16_at(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        let q = (block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
        *out = d * (f32::from(q) - 1.0);
    }
}
