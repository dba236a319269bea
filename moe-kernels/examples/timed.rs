//! Times the packed products for `cargo xtask bench moe`, as `bench/moe/kernels.cpp` times ggml's.
//!
//! `timed THREADS`, then a request a line on standard input and a JSON object a line on standard output:
//!   dense TYPE LAYERS ROWS COLUMNS TOKENS REPETITIONS
//!   experts|ffn TYPE LAYERS ROWS COLUMNS TOKENS REPETITIONS EXPERTS TOP_K
//! `ffn` is a whole expert: gate, up, SwiGLU, down. LAYERS sets of weights are taken one after the other, so that they
//! come from memory as a model's do; `ns` is per set. Activations are `f32` at first: quantising them counts.

#![allow(clippy::unwrap_used, reason = "an example may stop at the first surprise")]

use std::{io::BufRead, ops::Range, sync::Mutex, time::Instant};

use moe_kernels::{
    Isa, Team,
    packed::{
        Columns, PANEL, PackedMatrix, PackedType, Panels, Row, TILE_ROWS, gated, pack, product, quantise,
    },
    padded,
};

/// Tiles of a task at most where several panels share them, and tasks of a thread at least: as in the engine.
const TILES: usize = 4;
const TASKS: usize = 6;
/// The same for one panel.
const LONG_TASKS: usize = 2;
/// Tokens that a thread quantises at a time.
const TOKENS: usize = 16;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// A matrix of weights for each expert.
struct Stack {
    packed_type: PackedType,
    rows: usize,
    columns: usize,
    matrices: Vec<Vec<u8>>,
}

impl Stack {
    /// Random quants; scales such that products neither overflow nor are denormal.
    fn random(
        packed_type: PackedType,
        (rows, columns): (usize, usize),
        experts: usize,
        random: &mut Random,
    ) -> Self {
        let scale = 0x1400_u16.to_le_bytes();
        let block_bytes = packed_type.block_bytes();
        let matrix = |_| {
            let mut bytes = vec![0; rows * packed_type.row_bytes(columns)];
            bytes.fill_with(|| random.next() as u8);
            for block in bytes.chunks_exact_mut(block_bytes) {
                match packed_type {
                    PackedType::Q4_K => block[..4].copy_from_slice(&[scale, scale].concat()),
                    PackedType::Q6_K => block[block_bytes - 2..].copy_from_slice(&scale),
                    PackedType::Q8_0 => block[..2].copy_from_slice(&scale),
                    PackedType::MXFP4 => block[0] = 118,
                }
            }
            let mut packed = vec![0; packed_type.matrix_bytes(rows, columns).unwrap()];
            pack(packed_type, rows, columns, &bytes, &mut packed);
            packed
        };
        Self { packed_type, rows, columns, matrices: (0..experts).map(matrix).collect() }
    }

    fn matrix(&self, expert: usize) -> PackedMatrix<'_> {
        PackedMatrix::new(self.packed_type, self.rows, self.columns, &self.matrices[expert]).unwrap()
    }
}

/// What computes.
struct Machine {
    isa: Isa,
    team: Team,
}

impl Machine {
    /// Each task once, in no order.
    fn each<T: Send>(&self, tasks: Vec<T>, f: impl Fn(T) + Sync) {
        let queue = Mutex::new(tasks.into_iter());
        self.team.run(&|| {
            loop {
                let Some(task) = queue.lock().unwrap().next() else { break };
                f(task);
            }
        });
    }

    /// Panels of the listed rows of `x`, which are `padded(columns)` apart, for each list.
    fn panels(&self, stack: &Stack, x: &[f32], lists: &[Vec<usize>]) -> Vec<Panels> {
        let (columns, grain) = (stack.columns, stack.packed_type.grain());
        let (stride, blocks) = (padded(columns), columns / grain.columns());
        let count = x.len() / stride;
        let (mut quants, mut scales) = (vec![0; count * columns], vec![0.0; count * blocks]);
        let tasks = x.chunks(TOKENS * stride).zip(quants.chunks_mut(TOKENS * columns));
        let tasks = tasks.zip(scales.chunks_mut(TOKENS * blocks)).collect();
        self.each(tasks, |((x, quants), scales): ((&[f32], &mut [i8]), &mut [f32])| {
            let rows = x.chunks_exact(stride).zip(quants.chunks_exact_mut(columns));
            for ((x, quants), scales) in rows.zip(scales.chunks_exact_mut(blocks)) {
                quantise(self.isa, grain, &x[..columns], quants, scales);
            }
        });
        let mut all: Vec<Panels> = lists.iter().map(|list| Panels::new(grain, columns, list.len())).collect();
        let tasks = all.iter_mut().zip(lists);
        let tasks = tasks.flat_map(|(panels, list)| panels.panels_mut().map(move |panel| (panel, list)));
        self.each(tasks.collect(), |(mut panel, list)| {
            let first = panel.first();
            panel.fill(|index| {
                let token = list[first + index];
                let (quants, scales) =
                    (&quants[token * columns..][..columns], &scales[token * blocks..][..blocks]);
                Row { quants, scales, factor: 1.0 }
            });
        });
        all
    }

    /// `up · x`, or `silu(gate · x) · (up · x)`, by each expert on its panels, one after the other.
    fn multiply(&self, up: &Stack, gate: Option<&Stack>, inputs: &[(usize, Panels)]) -> Vec<f32> {
        let stride = padded(up.rows);
        let mut results = vec![0.0; inputs.iter().map(|(_, panels)| panels.count()).sum::<usize>() * stride];
        let share =
            |tasks: usize| (inputs.len() * up.rows / (self.team.threads() * tasks * TILE_ROWS)).max(1);
        let mut tasks: Vec<(usize, &Panels, Range<usize>, Columns<'_>)> = Vec::new();
        let mut rest = &mut results[..];
        for (expert, panels) in inputs {
            let (mine, after) = std::mem::take(&mut rest).split_at_mut(panels.count() * stride);
            rest = after;
            let mut out = Columns::new(mine, stride, up.rows);
            let tiles = if panels.count() <= PANEL { share(LONG_TASKS) } else { share(TASKS).min(TILES) };
            let height = tiles * TILE_ROWS;
            for first in (0..up.rows).step_by(height) {
                let last = (first + height).min(up.rows);
                let (part, after) = out.split_at(last - first);
                out = after;
                tasks.push((*expert, panels, first / TILE_ROWS..last.div_ceil(TILE_ROWS), part));
            }
        }
        self.each(tasks, |(expert, panels, tiles, mut out)| {
            let w = up.matrix(expert);
            match gate {
                Some(gate) => gated(self.isa, (&gate.matrix(expert), &w), tiles, panels, &mut out),
                None => product(self.isa, &w, tiles, panels, &mut out),
            }
        });
        results
    }
}

/// Lists of tokens by expert, those without any left out: `top_k` different experts for each token. The same ones as in
/// `kernels.cpp`, since how many experts a batch has in common decides how many weights are read.
fn routing(experts: usize, top_k: usize, tokens: usize, layer: usize) -> Vec<(usize, Vec<usize>)> {
    let mut random = Random(1000 + layer as u64);
    let mut lists = vec![Vec::new(); experts];
    for token in 0..tokens {
        let mut chosen = Vec::new();
        while chosen.len() < top_k {
            let expert = random.below(experts);
            if !chosen.contains(&expert) {
                chosen.push(expert);
                lists[expert].push(token);
            }
        }
    }
    lists.into_iter().enumerate().filter(|(_, list)| !list.is_empty()).collect()
}

fn main() {
    let threads = std::env::args().nth(1).map_or(2, |word| word.parse().unwrap());
    let machine = Machine { isa: Isa::detect(), team: Team::new(threads).unwrap() };
    let mut kept: (String, Vec<Vec<Stack>>) = Default::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (op, kind) = (words[0], words[1]);
        let number = |index: usize| words.get(index).map_or(1, |word| word.parse::<usize>().unwrap());
        let [layers, rows, columns, tokens, repetitions, experts, top_k] = [2, 3, 4, 5, 6, 7, 8].map(number);
        let packed_type = *PackedType::ALL.iter().find(|known| format!("{known:?}") == kind).unwrap();
        let key = format!("{op} {kind} {layers} {rows} {columns} {experts}");
        let mut random = Random(7);
        if kept.0 != key {
            let mut stack = |shape| Stack::random(packed_type, shape, experts, &mut random);
            let shapes = [(rows, columns), (rows, columns), (columns, rows)];
            let shapes = if op == "ffn" { &shapes[..] } else { &shapes[..1] };
            let sets = (0..layers).map(|_| shapes.iter().map(|shape| stack(*shape)).collect()).collect();
            kept = (key, sets);
        }
        let stride = padded(columns);
        let x: Vec<f32> = (0..tokens * stride).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
        let routings: Vec<_> = (0..layers).map(|layer| routing(experts, top_k, tokens, layer)).collect();
        let mut ns = Vec::new();
        // The first time does not count.
        for repetition in 0..=repetitions {
            let begun = Instant::now();
            for (set, routing) in kept.1.iter().zip(&routings) {
                let lists: Vec<Vec<usize>> = routing.iter().map(|(_, list)| list.clone()).collect();
                let chosen = || routing.iter().map(|(expert, _)| *expert);
                let inputs = chosen().zip(machine.panels(&set[0], &x, &lists)).collect::<Vec<_>>();
                let [up, gate, down] = &set[..] else {
                    std::hint::black_box(machine.multiply(&set[0], None, &inputs));
                    continue;
                };
                let inner = machine.multiply(up, Some(gate), &inputs);
                let mut end = 0;
                let lists: Vec<Vec<usize>> = lists
                    .iter()
                    .map(|list| {
                        end += list.len();
                        (end - list.len()..end).collect()
                    })
                    .collect();
                let inputs = chosen().zip(machine.panels(down, &inner, &lists)).collect::<Vec<_>>();
                std::hint::black_box(machine.multiply(down, None, &inputs));
            }
            if repetition > 0 {
                ns.push(begun.elapsed().as_nanos() as f64 / layers as f64);
            }
        }
        println!("{{\"op\":\"{op}\",\"ns\":{ns:?}}}");
    }
}
