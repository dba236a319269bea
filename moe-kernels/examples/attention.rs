//! Times attention with every type of keys and values, on one thread, interleaved: `cargo run --release -p moe-kernels
//! --example attention [rounds]`. Prefill goes by tiles of a few tokens, as the engine does; decode walks through more memory
//! than any cache holds, as the layers of a model do.
#![allow(clippy::unwrap_used, reason = "an example may stop at the first surprise")]

use std::{hint::black_box, time::Instant};

use moe_kernels::{
    Isa,
    attention::{Attention, KvType, Layout, Paged, Scratch, attend},
};

const HEADS: usize = 16;
const KV_HEADS: usize = 4;
const SHARED: usize = HEADS / KV_HEADS;
const HEAD_DIM: usize = 128;
const BLOCK: usize = 32;
/// Tokens that a tile of prefill has.
const TILE: usize = 64 / SHARED;
/// Bytes that decode walks through.
const MEMORY: usize = 192 << 20;

/// Keys and values of several layers: block after block, head after head.
struct Cache {
    layout: Layout,
    data: Vec<u8>,
    aligned: usize,
    table: Vec<u32>,
}

impl Cache {
    fn new(kv_type: KvType, blocks: usize) -> Self {
        let layout = Layout::new(kv_type, HEAD_DIM, BLOCK).unwrap();
        let size = layout.bytes() * KV_HEADS;
        let mut data = vec![0; size * blocks + 64];
        let aligned = data.as_ptr().align_offset(64);
        let row: Vec<f32> = (0..HEAD_DIM + BLOCK).map(|i| ((i * 37 % 64) as f32 - 31.5) / 32.0).collect();
        for block in data[aligned..].chunks_exact_mut(layout.bytes()).take(blocks * KV_HEADS) {
            for index in 0..BLOCK {
                let row = &row[index..index + HEAD_DIM];
                layout.store(Isa::detect(), block, index, row, row);
            }
        }
        // Neighbours in a sequence are none in memory.
        let table = (0..blocks).map(|i| (i * 7 % blocks) as u32).collect();
        Self { layout, data, aligned, table }
    }

    fn attention<'a>(&'a self, blocks: &'a [u32], head: usize, queries: &'a [f32]) -> Attention<'a> {
        let stride = self.layout.bytes() * KV_HEADS;
        let data = &self.data[self.aligned..];
        let blocks = Paged { data, table: blocks, stride, offset: head * self.layout.bytes() };
        let stride = HEADS * HEAD_DIM;
        Attention { layout: self.layout, blocks, queries, stride, tokens: 1, shared: SHARED, visible: 1 }
    }
}

/// One run over a cache; the number counts them.
type Work<'a> = &'a mut dyn FnMut(&Cache, usize, &mut Scratch, &mut [f32]);

fn prefill(isa: Isa, cache: &Cache, tokens: usize, queries: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
    for first in (0..tokens).step_by(TILE) {
        for head in 0..KV_HEADS {
            let queries = &queries[(first * KV_HEADS + head) * SHARED * HEAD_DIM..];
            let what = Attention {
                tokens: TILE,
                visible: first + 1,
                ..cache.attention(&cache.table[..tokens / BLOCK], head, queries)
            };
            let mut out: Vec<&mut [f32]> = out.chunks_mut(SHARED * HEAD_DIM).take(TILE).collect();
            attend(isa, &what, scratch, &mut out);
        }
    }
}

/// One token of each of `sequences` sequences; `turn` counts the calls.
fn decode(
    isa: Isa,
    cache: &Cache,
    (context, sequences, turn): (usize, usize, usize),
    queries: &[f32],
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let length = context / BLOCK;
    let places = cache.table.len() / length;
    for sequence in 0..sequences {
        let at = (turn * sequences + sequence) % places * length;
        for head in 0..KV_HEADS {
            let queries = &queries[head * SHARED * HEAD_DIM..];
            let what = Attention {
                visible: context,
                ..cache.attention(&cache.table[at..at + length], head, queries)
            };
            attend(isa, &what, scratch, &mut [&mut out[..SHARED * HEAD_DIM]]);
        }
    }
}

/// What AVX-512's fused multiply-add does without memory, in GFLOP/s; 0 where there is none.
fn peak() -> f64 {
    let mut best = 0.0_f64;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
        const TIMES: usize = 100_000;
        #[target_feature(enable = "avx512f")]
        fn run(by: f32) -> f32 {
            let by = _mm512_set1_ps(by);
            let mut sums = [by; 12];
            for _ in 0..TIMES {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, by, by);
                }
            }
            sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
        }
        for _ in 0..20 {
            let start = Instant::now();
            // SAFETY: the feature was detected.
            black_box(unsafe { run(black_box(0.5)) });
            best = best.max((2 * 12 * 16 * TIMES) as f64 / start.elapsed().as_nanos() as f64);
        }
    }
    best
}

/// Median and best.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(9, |n| n.parse().unwrap());
    let isa = Isa::detect();
    println!("{isa}, one thread; fused multiply-add without memory: {:.0} GFLOP/s", peak());
    let caches = KvType::ALL.map(|kv_type| {
        let size = Layout::new(kv_type, HEAD_DIM, BLOCK).unwrap().bytes() * KV_HEADS;
        // A number that 7 does not divide.
        Cache::new(kv_type, (MEMORY / size).next_multiple_of(7) + 1)
    });
    let queries: Vec<f32> =
        (0..2048 * HEADS * HEAD_DIM).map(|i| (i * 29 % 61) as f32 / 305.0 - 0.1).collect();
    let mut out = vec![0.0; TILE * SHARED * HEAD_DIM];
    let mut scratch = Scratch::default();
    let mut row = |name: &str, pairs: f64, read: f64, run: Work<'_>| {
        let mut times = KvType::ALL.map(|_| Vec::new());
        for turn in 0..rounds {
            for (cache, times) in caches.iter().zip(&mut times) {
                let start = Instant::now();
                run(cache, turn, &mut scratch, &mut out);
                times.push(start.elapsed().as_nanos() as f64);
            }
        }
        for (cache, times) in caches.iter().zip(times) {
            let (ns, best) = summary(times);
            let work = pairs * (HEADS * HEAD_DIM) as f64;
            let size = cache.layout.bytes() as f64 / BLOCK as f64 * KV_HEADS as f64;
            println!(
                "{name:26} {:5} {:9.1} µs (best {:9.1}) {:.4} ns per query·key·dimension {:6.1} GFLOP/s {:5.1} GB/s",
                cache.layout.kv_type().to_string(),
                ns / 1e3,
                best / 1e3,
                ns / work,
                4.0 * work / ns,
                read * size / ns,
            );
        }
    };
    for tokens in [512, 2048] {
        let pairs = (tokens * (tokens + 1) / 2) as f64;
        row(&format!("prefill {tokens}"), pairs, 0.0, &mut |cache, _, scratch, out| {
            prefill(isa, cache, tokens, &queries, scratch, out);
        });
    }
    for context in [512, 2048, 8192] {
        for sequences in [1, 8] {
            let pairs = (context * sequences) as f64;
            row(
                &format!("decode {context}, {sequences} sequence(s)"),
                pairs,
                pairs,
                &mut |cache, turn, scratch, out| {
                    decode(isa, cache, (context, sequences, turn), &queries, scratch, out);
                },
            );
        }
    }
}
