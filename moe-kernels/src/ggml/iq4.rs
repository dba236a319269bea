//! Nibbles that stand for unevenly spaced values.

use super::{f16_at, nibbles, u16_at};

const VALUES: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    nibbles(&block[2..], out, |_, q| d * VALUES[usize::from(q)]);
}

/// d, the two high bits of the scales (plus 32) of each 32 elements, their low bits, nibbles.
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let (d, high) = (f16_at(block, 0), u16_at(block, 2));
    for (sub, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = u16::from((block[4 + sub / 2] >> (sub % 2 * 4)) & 15);
        let scale = d * (f32::from(low | ((high >> (2 * sub)) & 3) << 4) - 32.0);
        nibbles(&block[8 + sub * 16..][..16], out, |_, q| scale * VALUES[usize::from(q)]);
    }
}
