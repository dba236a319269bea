//! Attention against plain `f64` on rounded keys and values, and every instruction set, batch and split against each
//! other, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::Range;

use moe_kernels::{
    Isa,
    attention::{Attention, KvType, Layout, Paged, Partial, Scratch, attend, attend_part, merge},
};

/// Values in (−1, 1) by splitmix64.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let one = |i: u64| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count as u64).map(one).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The nearest half, ties to even; what is too large becomes the largest.
fn half(x: f64) -> f64 {
    let exponent = x.abs().log2().floor().max(-14.0);
    let unit = (exponent - 10.0).exp2();
    ((x / unit).round_ties_even() * unit).clamp(-65504.0, 65504.0)
}

fn rounded(kv_type: KvType, row: &[f32]) -> Vec<f64> {
    match kv_type {
        KvType::F32 => row.iter().map(|x| f64::from(*x)).collect(),
        KvType::F16 => row.iter().map(|x| half(f64::from(*x))).collect(),
        KvType::Q8_0 => row
            .chunks(32)
            .flat_map(|group| {
                let most = group.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                let scale = half(f64::from(most / 127.0)) as f32;
                let by = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                let quant = move |x: &f32| (x * by).round_ties_even().clamp(-127.0, 127.0);
                group.iter().map(move |x| f64::from(quant(x)) * f64::from(scale))
            })
            .collect(),
    }
}

/// One head's keys and values in blocks that lie apart from each other and out of order.
struct Held {
    layout: Layout,
    head_dim: usize,
    data: Vec<u8>,
    table: Vec<u32>,
    stride: usize,
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

const OFFSET: usize = 96;

impl Held {
    /// `seen` positions; what lies beyond is no number.
    fn new(isa: Isa, kv_type: KvType, head_dim: usize, block_len: usize, seen: usize) -> Self {
        let layout = Layout::new(kv_type, head_dim, block_len).unwrap();
        let blocks = seen.div_ceil(block_len) + 1;
        let stride = layout.bytes() + 160;
        // All bits set: no number, in every type.
        let mut data = vec![0xFF; blocks * stride + 64];
        let table: Vec<u32> = (0..blocks as u32).rev().collect();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for position in 0..seen {
            let mut key = noise(3 + position as u64, head_dim);
            key.iter_mut().for_each(|x| *x *= 4.0);
            let value = noise(100_000 + position as u64, head_dim);
            let start = table[position / block_len] as usize * stride + OFFSET;
            let block = &mut data[start..start + layout.bytes()];
            layout.store(isa, block, position % block_len, &key, &value);
            keys.push(rounded(kv_type, &key));
            values.push(rounded(kv_type, &value));
        }
        Self { layout, head_dim, data, table, stride, keys, values }
    }

    /// Softmax attention as it is written down.
    fn plain(&self, query: &[f32], visible: usize) -> Vec<f64> {
        let dot = |key: &Vec<f64>| -> f64 { key.iter().zip(query).map(|(k, q)| k * f64::from(*q)).sum() };
        let scores: Vec<f64> = self.keys[..visible].iter().map(dot).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut out = vec![0.0; self.head_dim];
        for (weight, value) in weights.iter().zip(&self.values) {
            for (o, v) in out.iter_mut().zip(value) {
                *o += weight / sum * v;
            }
        }
        out
    }
}

/// Tokens whose queries are rows of `stride` values, the first of which sees `visible` keys.
#[derive(Clone)]
struct Asked {
    queries: Vec<f32>,
    stride: usize,
    tokens: usize,
    shared: usize,
    visible: usize,
}

impl Asked {
    fn part(&self, range: Range<usize>) -> Self {
        let queries = self.queries[range.start * self.stride..range.end * self.stride].to_vec();
        Self { queries, tokens: range.len(), visible: self.visible + range.start, ..*self }
    }

    fn what<'a>(&'a self, held: &'a Held) -> Attention<'a> {
        let Held { layout, data, table, stride, .. } = held;
        let blocks = Paged { data, table, stride: *stride, offset: OFFSET };
        let Self { queries, stride, tokens, shared, visible } = self;
        let (stride, tokens, shared, visible) = (*stride, *tokens, *shared, *visible);
        Attention { layout: *layout, blocks, queries, stride, tokens, shared, visible }
    }

    /// Token after token.
    fn run(&self, isa: Isa, held: &Held) -> Vec<f32> {
        let mut out = vec![f32::NAN; self.tokens * self.shared * held.head_dim];
        let mut rows: Vec<&mut [f32]> = out.chunks_mut(self.shared * held.head_dim).collect();
        attend(isa, &self.what(held), &mut Scratch::default(), &mut rows);
        out
    }

    fn run_in_parts(&self, isa: Isa, held: &Held) -> Vec<f32> {
        let what = self.what(held);
        let mut parts = vec![Partial::default(); what.parts()];
        // Any order will do.
        for (index, part) in parts.iter_mut().enumerate().rev() {
            attend_part(isa, &what, index, &mut Scratch::default(), part);
        }
        let mut out = vec![f32::NAN; self.tokens * self.shared * held.head_dim];
        let mut rows: Vec<&mut [f32]> = out.chunks_mut(self.shared * held.head_dim).collect();
        merge(&mut parts, &mut rows);
        out
    }
}

fn check(
    kv_type: KvType,
    head_dim: usize,
    block_len: usize,
    (tokens, shared): (usize, usize),
    visible: usize,
) {
    let seen = visible + tokens - 1;
    let stride = shared * head_dim + 5;
    let mut queries = noise(7, tokens * stride);
    queries.iter_mut().for_each(|x| *x *= 2.0 / (head_dim as f32).sqrt());
    let asked = Asked { queries, stride, tokens, shared, visible };
    let name =
        format!("{kv_type}, heads of {head_dim}, blocks of {block_len}, {tokens}·{shared} see {visible}");
    let mut first: Option<(Vec<u8>, Vec<u32>)> = None;
    for isa in Isa::available() {
        let held = Held::new(isa, kv_type, head_dim, block_len, seen);
        let all = asked.run(isa, &held);
        for (index, out) in all.chunks(head_dim).enumerate() {
            let (token, head) = (index / shared, index % shared);
            let query = &asked.queries[token * stride + head * head_dim..][..head_dim];
            for (e, o) in held.plain(query, visible + token).iter().zip(out) {
                assert!((e - f64::from(*o)).abs() < 2e-6, "{name}, {isa}: {e} and {o}");
            }
        }
        assert_eq!(bits(&asked.run_in_parts(isa, &held)), bits(&all), "{name}, {isa}: in parts");
        let (middle, width) = (tokens / 2, shared * head_dim);
        for range in [0..1, tokens - 1..tokens, 0..middle, middle..tokens] {
            if !range.is_empty() {
                let part = asked.part(range.clone()).run(isa, &held);
                let same = &all[range.start * width..range.end * width];
                assert_eq!(bits(&part), bits(same), "{name}, {isa}: {range:?} alone");
            }
        }
        let found = (held.data, bits(&all));
        let (data, outs) = first.get_or_insert_with(|| found.clone());
        assert!(*data == found.0, "{name}: stored differently on {isa}");
        assert_eq!(*outs, found.1, "{name}: differs on {isa}");
    }
}

#[test]
fn small_and_odd_shapes() {
    for kv_type in KvType::ALL {
        for (head_dim, block_len) in [(32, 16), (64, 32), (96, 32), (20, 8), (80, 1), (2, 20), (48, 31)] {
            if kv_type == KvType::Q8_0 && head_dim % 32 != 0 {
                continue;
            }
            for (tokens, shared, visible) in [(1, 1, 1), (7, 1, 1), (3, 2, 40), (5, 5, 9), (13, 3, 120)] {
                check(kv_type, head_dim, block_len, (tokens, shared), visible);
            }
        }
    }
}

#[test]
fn several_parts() {
    for kv_type in KvType::ALL {
        // The second token is the first that sees the third part; a part of blocks of one has 64 positions.
        check(kv_type, 64, 32, (3, 4), 2048);
        check(kv_type, 32, 1, (40, 1), 100);
        check(kv_type, 128, 32, (2, 8), 1100);
    }
}

#[test]
fn every_tile_of_queries() {
    for kv_type in KvType::ALL {
        for shared in 1..=9 {
            check(kv_type, 32, 32, (1, shared), 50);
        }
        // Enough of them to expand the blocks; alone they do not.
        check(kv_type, 128, 32, (33, 4), 100);
    }
}

/// What F16 makes of single numbers, on every level.
#[test]
fn halves() {
    let layout = Layout::new(KvType::F16, 32, 1).unwrap();
    let stored = |isa, x: f32| {
        let mut block = vec![0; layout.bytes()];
        layout.store(isa, &mut block, 0, &[x; 32], &[x; 32]);
        let values = block.len() - 64;
        let found: Vec<u16> =
            block[values..].as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        assert!(found.iter().all(|h| *h == found[0]) && block[..2] == found[0].to_le_bytes());
        found[0]
    };
    let number = |h: u16| {
        let (exponent, mantissa) = (i32::from(h >> 10 & 31), f64::from(h & 0x3FF));
        let normal = (1024.0 + mantissa) * f64::from(exponent - 25).exp2();
        let size = if exponent == 0 { mantissa * (-24.0_f64).exp2() } else { normal };
        if h >> 15 == 1 { -size } else { size }
    };
    for isa in Isa::available() {
        for half in 0..0x7BFF_u16 {
            let (low, high) = (number(half), number(half + 1));
            let middle = low.midpoint(high) as f32;
            let even = half + (half & 1);
            for (x, expected) in [
                (low as f32, half),
                (middle, even),
                (middle.next_down(), half),
                (middle.next_up(), half + 1),
                (-middle, even | 0x8000),
            ] {
                assert_eq!(stored(isa, x), expected, "{isa}: {x:e}");
            }
        }
        for (x, expected) in [
            (0.0, 0),
            (-0.0, 0x8000),
            (f32::from_bits(1), 0),
            (65504.0, 0x7BFF),
            (65519.0, 0x7BFF),
            (65520.0, 0x7BFF),
            (-1e30, 0xFBFF),
        ] {
            assert_eq!(stored(isa, x), expected, "{isa}: {x:e}");
        }
        for nan in [0x7F80_0000, 0xFF80_0000, 0x7F80_0001, 0x7FC0_0000, 0xFFC1_2345, 0x7FFF_FFFF_u32] {
            let found = stored(isa, f32::from_bits(nan));
            assert!(found & 0x7C00 == 0x7C00 && found & 0x3FF != 0, "{isa}: {nan:x} became {found:x}");
            assert_eq!(found, stored(Isa::available()[0], f32::from_bits(nan)));
        }
    }
}

/// A key that is not finite must not pass for one that is; one that is too large stays finite.
#[test]
fn what_cannot_be_held() {
    for kv_type in KvType::ALL {
        let layout = Layout::new(kv_type, 32, 4).unwrap();
        let one = |x: &f32| (x - 1.0).abs() < 1e-3;
        for isa in Isa::available() {
            let run = |odd: f32| {
                let mut data = vec![0; layout.bytes()];
                let (mut row, plain) = ([0.5; 32], [1.0; 32]);
                layout.store(isa, &mut data, 0, &row, &plain);
                row[17] = odd;
                layout.store(isa, &mut data, 1, &row, &plain);
                let blocks = Paged { data: &data, table: &[0], stride: 0, offset: 0 };
                let queries = &[1e-3; 32];
                let what =
                    Attention { layout, blocks, queries, stride: 32, tokens: 1, shared: 1, visible: 2 };
                let mut out = [0.0; 32];
                attend(isa, &what, &mut Scratch::default(), &mut [&mut out]);
                out
            };
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert!(run(odd).iter().all(|x| x.is_nan()), "{kv_type} on {isa}");
            }
            assert!(run(3e38).iter().all(one), "{kv_type} on {isa}");
        }
    }
}

#[test]
fn layouts() {
    let size = |kv_type, head_dim| Layout::new(kv_type, head_dim, 32).unwrap().bytes();
    assert_eq!(size(KvType::F32, 128), 2 * 32 * 128 * 4);
    assert_eq!(size(KvType::F16, 128), 2 * 32 * 128 * 2);
    assert_eq!(size(KvType::Q8_0, 128), 2 * 32 * 128 / 32 * 34);
    for (kv_type, head_dim, block_len) in [
        (KvType::Q8_0, 80, 32),
        (KvType::F16, 0, 32),
        (KvType::F16, 64, 0),
        (KvType::F16, 64, 33),
        (KvType::F32, 1 << 17, 1),
    ] {
        assert_eq!(Layout::new(kv_type, head_dim, block_len), None);
    }
}
