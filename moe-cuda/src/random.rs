//! Models of random weights, made on the device.

use moe_kernels::packed::PackedType;

use crate::{
    Error,
    device::{Device, Kernel, Launch, Parameter},
    kv::KvType,
    layout::{Fill, THREADS},
    model::{Gated, HeadNorm, Layer, Model, Shape, Tensor, WeightType, tensor},
};

/// A repeatable sequence of numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// In `-1..1`.
    pub fn signed(&mut self) -> f32 {
        ((self.bits() >> 40) as f32 / (1 << 23) as f32) - 1.0
    }
}

/// What a random model is of.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub shape: Shape,
    pub layers: usize,
    pub ff: usize,
    pub shared: bool,
    /// Queries, keys, output and most experts; values and down; head; router.
    pub types: [WeightType; 4],
    pub embedding: WeightType,
}

impl Recipe {
    /// Bytes of a layer's weights, and of the model's other weights.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let s = &self.shape;
        let [most, some, head, router] = self.types;
        let of =
            |kind: WeightType, rows: usize, columns: usize| kind.matrix_bytes(rows, columns).unwrap_or(0);
        let (queries, kv) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
        let experts = s.experts + usize::from(self.shared);
        let gated = 2 * of(most, self.ff, s.hidden) + of(some, s.hidden, self.ff);
        let attention =
            of(most, queries + kv, s.hidden) + of(some, kv, s.hidden) + of(most, s.hidden, queries);
        let layer = attention + experts * gated + of(router, s.experts, s.hidden);
        (layer, of(head, s.vocab, s.hidden) + of(self.embedding, s.vocab, s.hidden))
    }

    /// Bytes of a layer's keys and values for so many positions.
    #[must_use]
    pub fn kv_bytes(&self, positions: usize, kv_type: KvType) -> usize {
        positions * self.shape.kv_heads * 2 * kv_type.vector_bytes(self.shape.head_dim)
    }
}

/// Llama 4 Scout's shape.
#[must_use]
pub fn scout() -> Recipe {
    let q4 = WeightType::Packed(PackedType::Q4_K);
    Recipe {
        shape: Shape {
            hidden: 5120,
            heads: 40,
            kv_heads: 8,
            head_dim: 128,
            experts: 16,
            used: 1,
            vocab: 202_048,
            chunk: Some(8192),
            head_norm: HeadNorm::Plain,
            rope_halves: false,
            softmax_on_output: false,
            eps: 1e-5,
            frequencies: frequencies(128, 5e5),
            temperature: Some((8192, 0.1)),
        },
        layers: 48,
        ff: 8192,
        shared: true,
        types: [q4, q4, WeightType::Packed(PackedType::Q6_K), WeightType::F32],
        embedding: WeightType::F16,
    }
}

/// Rope's plain frequencies.
#[must_use]
pub fn frequencies(head_dim: usize, theta: f64) -> Vec<f64> {
    (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect()
}

/// A stack of matrices of random weights.
///
/// # Errors
/// As [`tensor`] and [`Device::launch`].
pub fn random_tensor(
    device: &impl Device,
    weight_type: WeightType,
    shape: [usize; 3],
    seed: u32,
) -> Result<Tensor, Error> {
    let made = tensor(device, weight_type, shape)?;
    let amplitude = (3.0 / shape[2] as f32).sqrt();
    fill(device, &made, amplitude, seed)?;
    Ok(made)
}

fn fill(device: &impl Device, made: &Tensor, amplitude: f32, seed: u32) -> Result<(), Error> {
    fill_with(
        device,
        &Fill {
            at: made.at,
            bytes: (made.matrix_bytes() * made.count) as u64,
            kind: made.weight_type.kind(),
            columns: made.columns as u32,
            seed,
            amplitude,
        },
    )
}

pub(crate) fn fill_with(device: &impl Device, parameters: &Fill) -> Result<(), Error> {
    device.launch(&Launch {
        kernel: Kernel::Fill,
        grid: [device.multiprocessors() * 8, 1, 1],
        threads: THREADS,
        shared_bytes: 0,
        overlaps: false,
        parameters: &[Parameter::Fill(parameters)],
    })
}

/// Makes a model.
///
/// # Errors
/// As [`random_tensor`].
pub fn model(device: &impl Device, recipe: &Recipe, seed: u32) -> Result<Model, Error> {
    let s = &recipe.shape;
    let [most, some, head, router] = recipe.types;
    let mut seeds = (0_u32..).map(|i| seed.wrapping_add(i.wrapping_mul(0x9E37_79B9)));
    let mut make = |kind: WeightType, shape: [usize; 3]| {
        random_tensor(device, kind, shape, seeds.next().unwrap_or_default())
    };
    let mut numbers = Random::new(u64::from(seed));
    let mut norm = |columns: usize| {
        let weights: Vec<f32> = (0..columns).map(|_| 1.0 + 0.25 * numbers.signed()).collect();
        device.place(&weights)
    };
    let (queries, kv) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
    let mut layers = Vec::new();
    for index in 0..recipe.layers {
        // As in Llama 4: every fourth layer has no rope and sees all.
        let has_rope = s.chunk.is_none() || (index + 1) % 4 > 0;
        let mut gated = |count: usize| {
            Ok::<_, Error>(Gated {
                gate: make(most, [count, recipe.ff, s.hidden])?,
                up: make(most, [count, recipe.ff, s.hidden])?,
                down: make(some, [count, s.hidden, recipe.ff])?,
            })
        };
        let common = if recipe.shared { Some(gated(1)?) } else { None };
        let experts = gated(s.experts)?;
        let head_norms = match s.head_norm {
            HeadNorm::Weighted => Some((norm(s.head_dim)?, norm(s.head_dim)?)),
            _ => None,
        };
        layers.push(Layer {
            attn_norm: norm(s.hidden)?,
            query: make(most, [1, queries, s.hidden])?,
            key: make(most, [1, kv, s.hidden])?,
            value: make(some, [1, kv, s.hidden])?,
            output: make(most, [1, s.hidden, queries])?,
            head_norms,
            ffn_norm: norm(s.hidden)?,
            common,
            routed: Some((make(router, [1, s.experts, s.hidden])?, experts)),
            has_rope,
            is_chunked: has_rope && s.chunk.is_some(),
        });
    }
    let embedding = tensor(device, recipe.embedding, [1, s.vocab, s.hidden])?;
    fill(device, &embedding, 1.0, seed ^ 1)?;
    let head = make(head, [1, s.vocab, s.hidden])?;
    Ok(Model { shape: s.clone(), layers, embedding, head, final_norm: norm(s.hidden)? })
}
