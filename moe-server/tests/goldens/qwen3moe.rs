//! Qwen3-MoE's logits against Hugging Face's, and proof that each known mistake would be seen.
//!
//! The reference here is the model as plainly as it can be written, in `f64`, with switches that break it.

use moe_server::model::decoder::Config;

use crate::{
    generator,
    golden::{Golden, deviation},
    llama4::{BOUND, SEEN, engine_deviation},
};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    /// Rope turns adjacent pairs, as Llama 4's.
    AdjacentRope,
    /// Which weights make another thing than before it.
    NormAfterRope,
    NoQkNorm,
    NormWithoutWeights,
    /// The chosen experts' scores are those of the softmax over all.
    NoRenormalisation,
    ScoreOnInput,
    OneExpertFewer,
    OneExpertMore,
}

type Rows = Vec<Vec<f64>>;

struct Reference<'a> {
    c: &'a Config,
    seed: u64,
    mutation: Option<Mutation>,
}

fn times(w: &[f64], x: &[f64]) -> Vec<f64> {
    w.chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

fn softmax(values: &[f64]) -> Vec<f64> {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|v| (v - most).exp()).sum();
    values.iter().map(|v| (v - most).exp() / sum).collect()
}

impl Reference<'_> {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn weights(&self, name: &str) -> Vec<f64> {
        generator::values(self.c, self.seed, name).into_iter().map(f64::from).collect()
    }

    fn norm(&self, x: &[f64], weight: &[f64]) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let by = 1.0 / (mean + f64::from(self.c.norm_eps)).sqrt();
        x.iter().zip(weight).map(|(x, w)| x * by * w).collect()
    }

    fn rope(&self, head: &mut [f64], position: usize) {
        let half = head.len() / 2;
        for (i, frequency) in self.c.rope_frequencies().into_iter().enumerate() {
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            let (a, b) = if self.is(Mutation::AdjacentRope) { (2 * i, 2 * i + 1) } else { (i, i + half) };
            (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
        }
    }

    /// Every position's heads, normalised and turned.
    fn heads(&self, xs: &Rows, matrix: &str, norm: &str) -> Rows {
        let (w, mut weight) = (self.weights(matrix), self.weights(norm));
        if self.is(Mutation::NormWithoutWeights) {
            weight.fill(1.0);
        }
        let heads = |(position, x): (usize, &Vec<f64>)| {
            let mut all = times(&w, x);
            for head in all.chunks_exact_mut(self.c.head_dim) {
                if self.is(Mutation::NormAfterRope) {
                    self.rope(head, position);
                }
                if !self.is(Mutation::NoQkNorm) {
                    head.copy_from_slice(&self.norm(head, &weight));
                }
                if !self.is(Mutation::NormAfterRope) {
                    self.rope(head, position);
                }
            }
            all
        };
        xs.iter().enumerate().map(heads).collect()
    }

    fn attention(&self, xs: &Rows, layer: usize) -> Rows {
        let c = self.c;
        let name = |part: &str| format!("blk.{layer}.attn_{part}.weight");
        let queries = self.heads(xs, &name("q"), &name("q_norm"));
        let keys = self.heads(xs, &name("k"), &name("k_norm"));
        let (value, output) = (self.weights(&name("v")), self.weights(&name("output")));
        let values: Rows = xs.iter().map(|x| times(&value, x)).collect();
        let mixed = queries.iter().enumerate().map(|(position, query)| {
            let heads = query.chunks_exact(c.head_dim).enumerate().flat_map(|(head, query)| {
                let own = head / (c.heads / c.kv_heads) * c.head_dim;
                let own = own..own + c.head_dim;
                let scores: Vec<f64> = keys[..=position]
                    .iter()
                    .map(|key| times(&key[own.clone()], query)[0] / (c.head_dim as f64).sqrt())
                    .collect();
                let mut out = vec![0.0; c.head_dim];
                for (share, value) in softmax(&scores).into_iter().zip(&values) {
                    out.iter_mut().zip(&value[own.clone()]).for_each(|(out, v)| *out += share * v);
                }
                out
            });
            times(&output, &heads.collect::<Vec<f64>>())
        });
        mixed.collect()
    }

    /// Expert and score of those that a token goes through.
    fn chosen(&self, logits: &[f64]) -> Vec<(usize, f64)> {
        let used = match self.mutation {
            Some(Mutation::OneExpertFewer) => self.c.experts_used - 1,
            Some(Mutation::OneExpertMore) => self.c.experts_used + 1,
            _ => self.c.experts_used,
        };
        let mut ranked: Vec<(usize, f64)> = softmax(logits).into_iter().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(used);
        let sum: f64 = ranked.iter().map(|(_, score)| score).sum();
        let by = if self.is(Mutation::NoRenormalisation) { 1.0 } else { 1.0 / sum };
        ranked.into_iter().map(|(expert, score)| (expert, score * by)).collect()
    }

    fn mixture(&self, xs: &Rows, layer: usize) -> Rows {
        let c = self.c;
        let [router, gate, up, down] = ["gate_inp", "gate_exps", "up_exps", "down_exps"]
            .map(|part| self.weights(&format!("blk.{layer}.ffn_{part}.weight")));
        let size = c.expert_ff * c.hidden;
        let expert = |index: usize, x: &[f64]| {
            let own = index * size..(index + 1) * size;
            let up = times(&up[own.clone()], x);
            let gate = times(&gate[own.clone()], x).into_iter().map(|g| g / (1.0 + (-g).exp()));
            times(&down[own], &gate.zip(up).map(|(g, u)| g * u).collect::<Vec<f64>>())
        };
        let token = |x: &Vec<f64>| {
            let mut sum = vec![0.0; c.hidden];
            for (index, score) in self.chosen(&times(&router, x)) {
                let (before, after) =
                    if self.is(Mutation::ScoreOnInput) { (score, 1.0) } else { (1.0, score) };
                let input: Vec<f64> = x.iter().map(|x| x * before).collect();
                sum.iter_mut().zip(expert(index, &input)).for_each(|(sum, y)| *sum += after * y);
            }
            sum
        };
        xs.iter().map(token).collect()
    }

    /// Every position's logits.
    fn logits(&self, tokens: &[u32]) -> Rows {
        let c = self.c;
        let embedding = self.weights("token_embd.weight");
        let mut xs: Rows =
            tokens.iter().map(|t| embedding[*t as usize * c.hidden..][..c.hidden].to_vec()).collect();
        let normed = |xs: &Rows, name: &str| -> Rows {
            let weight = self.weights(name);
            xs.iter().map(|x| self.norm(x, &weight)).collect()
        };
        let add = |xs: &mut Rows, ys: Rows| {
            xs.iter_mut().flatten().zip(ys.into_iter().flatten()).for_each(|(x, y)| *x += y);
        };
        for layer in 0..c.layers {
            let mixed = self.attention(&normed(&xs, &format!("blk.{layer}.attn_norm.weight")), layer);
            add(&mut xs, mixed);
            let routed = self.mixture(&normed(&xs, &format!("blk.{layer}.ffn_norm.weight")), layer);
            add(&mut xs, routed);
        }
        let output = self.weights("output.weight");
        normed(&xs, "output_norm.weight").iter().map(|x| times(&output, x)).collect()
    }

    fn deviation(&self, golden: &Golden) -> f64 {
        let found = self.logits(&golden.tokens);
        let rows = golden.rows.iter().map(|row| {
            let found: Vec<f32> = found[row.position].iter().map(|logit| *logit as f32).collect();
            deviation(&row.logits, &found)
        });
        rows.fold(0.0, f64::max)
    }
}

#[test]
fn qwen3moe_like() {
    let golden = Golden::read("qwen3moe_like");
    assert_eq!(golden.rows.len(), golden.tokens.len());
    for batch in [1, 7, 40] {
        let worst = engine_deviation(&golden, batch);
        println!("qwen3moe_like: engine {worst:.2e} in steps of {batch}");
        assert!(worst < BOUND, "the engine is off by {worst:.2e}");
    }
}

#[test]
fn qwen3moe_like_would_show_mistakes() {
    use Mutation::*;
    let golden = Golden::read("qwen3moe_like");
    let c = golden.config();
    let off = |mutation| Reference { c: &c, seed: golden.seed, mutation }.deviation(&golden);
    let plain = off(None);
    println!("reference {plain:.2e}");
    assert!(plain < BOUND, "the reference is off by {plain:.2e}");
    let mutations = [
        AdjacentRope,
        NormAfterRope,
        NoQkNorm,
        NormWithoutWeights,
        NoRenormalisation,
        ScoreOnInput,
        OneExpertFewer,
        OneExpertMore,
    ];
    for mutation in mutations {
        let off = off(Some(mutation));
        println!("{mutation:?} {off:.2e}");
        assert!(off > SEEN, "{mutation:?} moves the logits by {off:.2e} only");
    }
}
