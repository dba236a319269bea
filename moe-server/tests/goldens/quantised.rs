//! Weights that are not F32: the same bits as F32 weights of their exact values.

use std::sync::Arc;

use moe_kernels::weights::{DType, Matrix};
use moe_server::{
    engine::{Engine, Span, Wanted},
    model::decoder::{Config, Model, Tensor, TensorBytes},
};
use serde::Deserialize;

use crate::{
    generator,
    schedules::{engine, small_config},
};

pub(crate) const TYPES: [DType; 2] = [DType::F16, DType::BF16];

/// The bits of an F16 near `x`, rounded toward zero; small ones become zero.
pub(crate) fn f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let exponent = ((bits >> 23) & 0xFF).saturating_sub(112);
    let sign = (bits >> 16) & 0x8000;
    let magnitude = if exponent == 0 { 0 } else { (exponent << 10) | ((bits >> 13) & 0x3FF) };
    u16::try_from(sign | magnitude).unwrap()
}

fn encode(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F16 => values.iter().flat_map(|v| f16(*v).to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|v| [v.to_le_bytes()[2], v.to_le_bytes()[3]]).collect(),
    }
}

/// A model with all matrices in `dtype`, and the same model in F32.
pub(crate) fn model(c: &Config, seed: u64, dtype: DType) -> (Model, Model) {
    let stored = |name: &str| {
        let shape = generator::shape(c, name);
        let values = generator::values(c, seed, name);
        let dtype = if name.contains("_norm.") { DType::F32 } else { dtype };
        Tensor::new(dtype, shape, TensorBytes::Owned(Arc::from(encode(dtype, &values)))).unwrap()
    };
    let exact = |name: &str| {
        let tensor = stored(name);
        let [stack, rows, columns] = tensor.shape();
        let mut values = vec![0.0; stack * rows * columns];
        for (row, out) in values.chunks_exact_mut(columns).enumerate() {
            tensor.weights(row / rows).dequantise_row(row % rows, out);
        }
        generator::f32_tensor(tensor.shape(), &values)
    };
    let load =
        |source: &dyn Fn(&str) -> Tensor| Model::load(c.clone(), &mut |name| Ok(Some(source(name)))).unwrap();
    (load(&stored), load(&exact))
}

#[test]
fn quantised_weights_give_the_bits_of_their_values() {
    let tokens: Vec<u32> = (0..40).collect();
    for dtype in TYPES {
        let (stored, exact) = model(&small_config(), 3, dtype);
        // Batches of one dequantise on the way, larger ones beforehand.
        let logits = [(&stored, 1), (&stored, 40), (&exact, 1)].map(|(model, batch)| {
            let mut engine = engine(model, 2, batch);
            let sequence = engine.create().unwrap();
            let mut all = Vec::new();
            for tokens in tokens.chunks(batch) {
                let mut logits = Vec::new();
                engine.step_logits(&[Span { sequence, tokens, logits: Wanted::All }], &mut logits).unwrap();
                all.extend(logits.iter().map(|l| l.to_bits()));
            }
            all
        });
        assert_eq!(logits[0], logits[2], "{dtype:?}, token by token");
        assert_eq!(logits[1], logits[2], "{dtype:?}, at once");
    }
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "type")]
    dtype: String,
    bytes: String,
    values: String,
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn dequantisation_is_ggufs() {
    let path = format!("{}/goldens/dequantised.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), TYPES.len());
    for case in cases {
        let dtype = TYPES.into_iter().find(|t| format!("{t:?}") == case.dtype).unwrap();
        let expected = hex(&case.values);
        let bytes = hex(&case.bytes);
        let columns = expected.len() / 4;
        let mut found = vec![0.0_f32; columns];
        Matrix::new(dtype, 1, columns, &bytes).unwrap().dequantise_row(0, &mut found);
        let found: Vec<u8> = found.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(found, expected, "{}", case.dtype);
    }
}
