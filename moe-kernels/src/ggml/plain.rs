//! Types without blocks.

use crate::simd::f16_to_f32;

pub(super) fn f32(bytes: &[u8; 4], out: &mut [f32; 1]) {
    *out = [f32::from_le_bytes(*bytes)];
}

pub(super) fn f16(bytes: &[u8; 2], out: &mut [f32; 1]) {
    *out = [f16_to_f32(u16::from_le_bytes(*bytes))];
}

pub(super) fn bf16(bytes: &[u8; 2], out: &mut [f32; 1]) {
    *out = [f32::from_le_bytes([0, 0, bytes[0], bytes[1]])];
}
