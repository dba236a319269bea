//! Softmax attention over keys and values that lie in blocks, in one pass with a running maximum
//! ([Milakov and Gimelshein 2018](https://arxiv.org/abs/1805.02867)).
//!
//! The order of reduction depends on the blocks' length and on where the visible keys begin, and on nothing else: not
//! on how many queries are asked together.

use crate::{
    LANES,
    elementwise::exp,
    isa::dispatch,
    matmul::{Activations, blocks_f32},
    padded,
    simd::Vector,
};

/// The longest block.
pub const MAX_BLOCK: usize = 32;

/// Keys and values of one head: each `block_len` rows of `padded(head_dim)` values, the padding zero.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

/// Room for intermediate results, kept from call to call.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One row per key of the block, one column per query.
    scores: Vec<f32>,
    /// `e^(score − maximum)`, [`MAX_BLOCK`] per query.
    weights: Vec<[f32; MAX_BLOCK]>,
    queries: Vec<Running>,
}

/// How far one query has come.
#[derive(Debug, Clone, Copy)]
struct Running {
    maximum: f32,
    /// The sum of the weights so far, in lanes.
    sum: [f32; LANES],
    /// By how much what is there shrinks, as the maximum has grown.
    shrink: f32,
    /// Keys of the present block that it sees.
    visible: usize,
}

/// What to attend to.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// `padded(head_dim)` for each query, already scaled.
    pub queries: &'a [f32],
    /// For each query, how many keys it sees, from the start of the first block; at least one.
    pub visible: &'a [usize],
    pub blocks: &'a [Block<'a>],
    pub block_len: usize,
    pub head_dim: usize,
}

/// Writes for each query the mean of the values it sees, weighted by softmax, to `out` (laid out as the queries).
///
/// # Panics
/// Where lengths do not fit each other.
pub fn attend(isa: crate::Isa, what: &Attention<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    let stride = padded(what.head_dim);
    assert!((1..=MAX_BLOCK).contains(&what.block_len), "blocks of {} keys", what.block_len);
    assert_eq!(what.queries.len(), what.visible.len() * stride, "queries of {stride} values");
    assert_eq!(out.len(), what.queries.len(), "room for the results");
    let length = what.block_len * stride;
    assert!(what.blocks.iter().all(|b| b.keys.len() == length && b.values.len() == length), "block lengths");
    let held = what.blocks.len() * what.block_len;
    assert!(what.visible.iter().all(|n| (1..=held).contains(n)), "visible keys among {held}");
    attend_on(isa, what, scratch, out);
}

dispatch! { fn attend_on(what: &Attention<'_>, scratch: &mut Scratch, out: &mut [f32]) = attend_all }

#[inline(always)]
fn attend_all<V: Vector>(what: &Attention<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    let stride = padded(what.head_dim);
    let count = what.visible.len();
    let fresh = Running { maximum: f32::NEG_INFINITY, sum: [0.0; LANES], shrink: 0.0, visible: 0 };
    scratch.queries.clear();
    scratch.queries.resize(count, fresh);
    scratch.weights.resize(count, [0.0; MAX_BLOCK]);
    scratch.scores.resize(MAX_BLOCK * count, 0.0);
    out.fill(0.0);
    let queries = Activations::new(what.queries, count, stride);
    let furthest = what.visible.iter().copied().max().unwrap_or(0);

    for (index, block) in what.blocks.iter().enumerate() {
        let first = index * what.block_len;
        if first >= furthest {
            break;
        }
        let keys = what.block_len.min(furthest - first);
        let scores = &mut scratch.scores[..keys * count];
        // SAFETY: any `f32` is four bytes; the slice covers the same memory.
        let bytes = unsafe {
            std::slice::from_raw_parts(block.keys.as_ptr().cast::<u8>(), std::mem::size_of_val(block.keys))
        };
        blocks_f32::<V>(bytes, stride * 4, keys, &queries, scores);
        for (q, (running, weights)) in scratch.queries.iter_mut().zip(&mut scratch.weights).enumerate() {
            running.visible = what.visible[q].saturating_sub(first).min(what.block_len);
            if running.visible > 0 {
                weigh::<V>(scores, q, count, running, weights);
            }
        }
        let state = (&scratch.queries[..], &scratch.weights[..]);
        let vectors = stride / LANES;
        let mut q = 0;
        while q + 4 <= count {
            accumulate::<V, 4>(block.values, vectors, state, q, out);
            q += 4;
        }
        while q < count {
            accumulate::<V, 1>(block.values, vectors, state, q, out);
            q += 1;
        }
    }
    for (out, running) in out.chunks_exact_mut(stride).zip(&scratch.queries) {
        let by = 1.0 / V::load(&running.sum).sum();
        for o in out {
            *o *= by;
        }
    }
}

/// Turns column `q` of the scores into weights and brings its maximum and sum up to date.
#[inline(always)]
fn weigh<V: Vector>(
    scores: &[f32],
    q: usize,
    count: usize,
    running: &mut Running,
    weights: &mut [f32; MAX_BLOCK],
) {
    let mut maximum = running.maximum;
    *weights = [f32::NEG_INFINITY; MAX_BLOCK];
    for (key, weight) in weights[..running.visible].iter_mut().enumerate() {
        *weight = scores[key * count + q];
        maximum = if *weight > maximum { *weight } else { maximum };
    }
    for weight in &mut *weights {
        *weight = exp(*weight - maximum);
    }
    running.shrink = exp(running.maximum - maximum);
    running.maximum = maximum;
    let mut sum = V::load(&running.sum).mul(V::splat(running.shrink));
    for lanes in weights.as_chunks::<LANES>().0 {
        sum = sum.add(V::load(lanes));
    }
    sum.store(&mut running.sum);
}

/// Shrinks the results of the `T` queries from `q` on and adds this block's values, key by key.
#[inline(always)]
fn accumulate<V: Vector, const T: usize>(
    values: &[f32],
    vectors: usize,
    (queries, weights): (&[Running], &[[f32; MAX_BLOCK]]),
    q: usize,
    out: &mut [f32],
) {
    let mut vector = 0;
    if V::WIDE {
        while vector + 4 <= vectors {
            accumulate_at::<V, T, 4>(values, vectors, vector, (queries, weights), q, out);
            vector += 4;
        }
    }
    while vector < vectors {
        accumulate_at::<V, T, 1>(values, vectors, vector, (queries, weights), q, out);
        vector += 1;
    }
}

#[inline(always)]
fn accumulate_at<V: Vector, const T: usize, const D: usize>(
    values: &[f32],
    vectors: usize,
    vector: usize,
    (queries, weights): (&[Running], &[[f32; MAX_BLOCK]]),
    q: usize,
    out: &mut [f32],
) {
    let (values, _) = values.as_chunks::<LANES>();
    let (out, _) = out.as_chunks_mut::<LANES>();
    let queries = &queries[q..q + T];
    let weights = &weights[q..q + T];
    let mut acc = [[V::zero(); D]; T];
    for t in 0..T {
        // A query that sees nothing of this block keeps what it has.
        let shrink = V::splat(if queries[t].visible > 0 { queries[t].shrink } else { 1.0 });
        for d in 0..D {
            acc[t][d] = V::load(&out[(q + t) * vectors + vector + d]).mul(shrink);
        }
    }
    let mut common = queries[0].visible;
    for query in queries {
        common = common.min(query.visible);
    }
    let mut v = [V::zero(); D];
    for key in 0..common {
        let row = &values[key * vectors + vector..][..D];
        for d in 0..D {
            v[d] = V::load(&row[d]);
        }
        for t in 0..T {
            let weight = V::splat(weights[t][key]);
            for d in 0..D {
                acc[t][d] = acc[t][d].fma(weight, v[d]);
            }
        }
    }
    for t in 0..T {
        for key in common..queries[t].visible {
            let weight = V::splat(weights[t][key]);
            for d in 0..D {
                acc[t][d] = acc[t][d].fma(weight, V::load(&values[key * vectors + vector + d]));
            }
        }
        for d in 0..D {
            acc[t][d].store(&mut out[(q + t) * vectors + vector + d]);
        }
    }
}
