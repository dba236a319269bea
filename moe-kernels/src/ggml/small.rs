//! Blocks of one F16 scale `d`, some with a minimum `m` behind it: `q · d + m`.

use super::{f16_at, nibbles, u32_at};

/// A bit is the sign: −d or d.
pub(super) fn q1_0(block: &[u8; 18], out: &mut [f32; 128]) {
    let d = f16_at(block, 0);
    for (i, out) in out.iter_mut().enumerate() {
        *out = if (block[2 + i / 8] >> (i % 8)) & 1 == 1 { d } else { -d };
    }
}

/// −1, 0, 1 or 2.
pub(super) fn q2_0(block: &[u8; 18], out: &mut [f32; 64]) {
    let d = f16_at(block, 0);
    for (i, out) in out.iter_mut().enumerate() {
        let q = (block[2 + i / 4] >> (i % 4 * 2)) & 3;
        *out = d * (f32::from(q) - 1.0);
    }
}

pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    nibbles(&block[2..], out, |_, q| d * (f32::from(q) - 8.0));
}

pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (f16_at(block, 0), f16_at(block, 2));
    nibbles(&block[4..], out, |_, q| d * f32::from(q) + m);
}

/// The fifth bits of all elements stand before the nibbles.
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let (d, high) = (f16_at(block, 0), u32_at(block, 2));
    nibbles(&block[6..], out, |i, q| d * (f32::from(q | fifth(high, i)) - 16.0));
}

pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m, high) = (f16_at(block, 0), f16_at(block, 2), u32_at(block, 4));
    nibbles(&block[8..], out, |i, q| d * f32::from(q | fifth(high, i)) + m);
}

fn fifth(high: u32, i: usize) -> u8 {
    if (high >> i) & 1 == 1 { 16 } else { 0 }
}

pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = f16_at(block, 0);
    for (out, q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(q.cast_signed());
    }
}
