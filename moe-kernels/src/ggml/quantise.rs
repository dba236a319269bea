//! To Q8_0.

use super::BlockType;

/// Elements and bytes of a block.
const ELEMENTS: usize = BlockType::Q8_0.block_elements();
const BYTES: usize = BlockType::Q8_0.block_bytes();

/// The largest F16.
const MAX_SCALE: f32 = 65504.0;
/// An F16 that is no number.
const NAN_SCALE: u16 = 0x7E00;

/// Whole blocks of Q8_0 as ggml's `quantize_row_q8_0_ref` rounds them: the scale is a 127th of the largest magnitude, to
/// the nearest F16; codes are by the scale before that, to the nearest, half away from zero.
///
/// Where ggml's result is not usable: a block with a value that is not finite gets the scale NaN, so that it is noticed;
/// values beyond 127 times the largest F16 become that; in a block whose scale has no finite reciprocal all are zero.
///
/// # Panics
/// Where `values` is no whole number of blocks, or `out` has not room for just those.
pub fn quantise_q8_0(values: &[f32], out: &mut [u8]) {
    let (blocks, rest) = values.as_chunks::<ELEMENTS>();
    let (outs, over) = out.as_chunks_mut::<BYTES>();
    assert!(rest.is_empty(), "{} values are no whole number of blocks of {ELEMENTS}", values.len());
    assert!(
        over.is_empty() && blocks.len() == outs.len(),
        "{} blocks of {BYTES} bytes need just as much room",
        blocks.len()
    );
    for (values, out) in blocks.iter().zip(outs) {
        // Magnitudes are in the order of their bits, NaN above all.
        let most = values.iter().fold(0, |most, value| value.abs().to_bits().cast_signed().max(most));
        let most = f32::from_bits(most.cast_unsigned());
        if !most.is_finite() {
            out.fill(0);
            out[..2].copy_from_slice(&NAN_SCALE.to_le_bytes());
            continue;
        }
        let scale = (most / 127.0).min(MAX_SCALE);
        let inverse = 1.0 / scale;
        let inverse = if inverse.is_finite() { inverse } else { 0.0 };
        out[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
        for (out, value) in out[2..].iter_mut().zip(values) {
            *out = (rounded(value * inverse) as i8).cast_unsigned();
        }
    }
}

/// To the nearest integer, half away from zero, from −127 to 127. (`f32::round` is a call on plain x86-64.)
fn rounded(value: f32) -> i32 {
    let value = value.clamp(-127.0, 127.0);
    let whole = value as i32;
    let rest = value - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// The nearest F16 of a value from 0 to [`MAX_SCALE`], ties to even.
fn f16_bits(value: f32) -> u16 {
    const LEAST_NORMAL: f32 = 1.0 / 16384.0;
    if value < LEAST_NORMAL {
        // Multiples of 2⁻²⁴; 1024 of them are the least normal number, in this notation too.
        return (value * 16_777_216.0).round_ties_even() as u16;
    }
    // Thirteen bits of mantissa fall off, and the exponent's bias shrinks by 112.
    let bits = value.to_bits() - (112 << 23);
    ((bits + 0x0FFF + ((bits >> 13) & 1)) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::f16_to_f32;

    #[test]
    fn every_f16_is_the_nearest_of_what_lies_around_it() {
        for low in 0..0x7BFF_u16 {
            // Halfway between two neighbours is exact in F32.
            let middle = f32::midpoint(f16_to_f32(low), f16_to_f32(low + 1));
            assert_eq!(f16_bits(f16_to_f32(low)), low);
            assert_eq!(f16_bits(middle.next_down()), low);
            assert_eq!(f16_bits(middle), low + low % 2, "a tie goes to the even one");
            assert_eq!(f16_bits(middle.next_up()), low + 1);
        }
        assert_eq!(f16_bits(MAX_SCALE), 0x7BFF);
    }

    #[test]
    fn halves_go_away_from_zero() {
        for half in -260..=260 {
            let tie = half as f32 / 2.0;
            for value in [tie.next_down(), tie, tie.next_up()] {
                assert_eq!(rounded(value), (value.round() as i32).clamp(-127, 127), "{value}");
            }
        }
    }
}
