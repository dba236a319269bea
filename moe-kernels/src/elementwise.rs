//! What is done to activations between the products.

use crate::{LANES, isa::dispatch, simd::Vector};

/// `e^x`, to about one unit in the last place; 0 below −87, where the result would not be a normal number. The
/// polynomial is Cephes' `expf`.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > 88.0 { 88.0 } else { x };
    let rounded = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    // ln 2 in two parts, the first of few bits.
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_6e-1);
    p = p.mul_add(r, 0.5);
    let value = p.mul_add(r * r, r) + 1.0;
    let scaled = f32::from_bits(value.to_bits().wrapping_add(rounded.to_bits() << 23));
    if x < -87.0 {
        0.0
    } else if x.is_nan() {
        x
    } else {
        scaled
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

dispatch! {
    /// `gate = silu(gate) · up`, element by element.
    pub fn swiglu(gate: &mut [f32], up: &[f32]) = swiglu_all
}

#[inline(always)]
fn swiglu_all<V: Vector>(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = *g * sigmoid(*g) * *u;
    }
}

/// The sum of squares in [`LANES`] lanes. A part vector counts as padded with zeros.
#[inline(always)]
fn sum_of_squares<V: Vector>(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut acc = V::zero();
    for chunk in whole {
        let v = V::load(chunk);
        acc = acc.fma(v, v);
    }
    if !rest.is_empty() {
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let v = V::load(&last);
        acc = acc.fma(v, v);
    }
    acc.sum()
}

/// `1 / √(mean(x²) + eps)`.
#[inline(always)]
#[allow(clippy::cast_precision_loss)]
fn inverse_rms<V: Vector>(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum_of_squares::<V>(x) / x.len() as f32 + eps).sqrt()
}

dispatch! {
    /// `out = x / rms(x) · weight` (RMSNorm, [Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467)). All three
    /// are of one length.
    pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = rms_norm_one
}

#[inline(always)]
fn rms_norm_one<V: Vector>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = inverse_rms::<V>(x, eps);
    for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
        *o = x * scale * w;
    }
}

dispatch! {
    /// `x = x / rms(x)`: Llama 4's weightless norm of queries and keys.
    pub fn rms_norm_in_place(x: &mut [f32], eps: f32) = rms_norm_here
}

#[inline(always)]
fn rms_norm_here<V: Vector>(x: &mut [f32], eps: f32) {
    let scale = inverse_rms::<V>(x, eps);
    for x in x {
        *x *= scale;
    }
}

dispatch! {
    /// `x = x / rms(x) · weight`: the norm of queries and keys in models that have weights for it. Both are of one length.
    pub fn weighted_rms_norm_in_place(x: &mut [f32], weight: &[f32], eps: f32) = weighted_rms_norm_here
}

#[inline(always)]
fn weighted_rms_norm_here<V: Vector>(x: &mut [f32], weight: &[f32], eps: f32) {
    let scale = inverse_rms::<V>(x, eps);
    for (x, w) in x.iter_mut().zip(weight) {
        *x = *x * scale * w;
    }
}

dispatch! {
    /// Turns each adjacent pair `(x[2i], x[2i + 1])` by the angle of which `cos[i]` and `sin[i]` are cosine and sine.
    pub fn rope_adjacent(x: &mut [f32], cos: &[f32], sin: &[f32]) = rope_adjacent_one
}

#[inline(always)]
fn rope_adjacent_one<V: Vector>(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    for (pair, (cos, sin)) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
        let [a, b] = *pair;
        *pair = [a * cos - b * sin, a * sin + b * cos];
    }
}

dispatch! {
    /// The same with the pairs `(x[i], x[i + n])`, where `n` is half of `x`'s length ("NEOX").
    pub fn rope_halves(x: &mut [f32], cos: &[f32], sin: &[f32]) = rope_halves_one
}

#[inline(always)]
fn rope_halves_one<V: Vector>(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (low, high) = x.split_at_mut(x.len() / 2);
    for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
    }
}

/// `x += y`.
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// `x += by · y`, rounded twice.
pub fn add_scaled(x: &mut [f32], y: &[f32], by: f32) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += by * y;
    }
}

/// `x *= by`.
pub fn scale(x: &mut [f32], by: f32) {
    for x in x {
        *x *= by;
    }
}
