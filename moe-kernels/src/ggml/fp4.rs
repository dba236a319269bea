//! Floats of four bits (E2M1) with scales of eight.

use super::nibbles;

/// E2M1's values, doubled; hence the halves of the scales below.
const VALUES: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// Half of E8M0: 2 to the power of the byte less 128. ggml gives 255, which should be no number, a value as well.
fn half_e8m0(scale: u8) -> f32 {
    match scale {
        // Subnormal.
        0..2 => f32::from_bits(0x0020_0000 << scale),
        _ => f32::from_bits(u32::from(scale - 1) << 23),
    }
}

/// Half of E4M3 without a sign; the eighth bit is not looked at, but that 255 is a number and 127 counts as zero.
fn half_ue4m3(scale: u8) -> f32 {
    let mantissa = f32::from(scale & 7);
    match (scale >> 3) & 15 {
        _ if scale == 127 => 0.0,
        0 => mantissa * (1.0 / 1024.0),
        exponent => (1.0 + mantissa / 8.0) * f32::from_bits((u32::from(exponent) + 119) << 23),
    }
}

pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    let d = half_e8m0(block[0]);
    nibbles(&block[1..], out, |_, q| d * VALUES[usize::from(q)]);
}

/// Four scales, each of 16 elements.
pub(super) fn nvfp4(block: &[u8; 36], out: &mut [f32; 64]) {
    for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let d = half_ue4m3(block[sub]);
        nibbles(&block[4 + sub * 8..][..8], out, |_, q| d * VALUES[usize::from(q)]);
    }
}
