//! Times candle's quantised products, as `bench/moe/kernels.cpp` times ggml's: `candle-kernels`, then a request a line on
//! standard input and a JSON object a line on standard output:
//!   dense TYPE LAYERS ROWS COLUMNS TOKENS REPETITIONS
//! The number of threads is rayon's: RAYON_NUM_THREADS.

use std::borrow::Cow;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Tensor};

/// Random quants; scales such that products neither overflow nor are denormal.
fn random_blocks(kind: GgmlDType, elements: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = vec![0; elements / kind.block_size() * kind.type_size()];
    bytes.fill_with(|| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 56) as u8
    });
    let scale = 0x1400_u16.to_le_bytes();
    for block in bytes.chunks_exact_mut(kind.type_size()) {
        let end = block.len() - 2;
        match kind {
            GgmlDType::Q4K => block[..4].copy_from_slice(&[scale, scale].concat()),
            GgmlDType::Q6K => block[end..].copy_from_slice(&scale),
            _ => block[..2].copy_from_slice(&scale),
        }
    }
    bytes
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::Cpu;
    let mut kept: (String, Vec<QMatMul>) = Default::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["dense", kind, numbers @ ..] = &words[..] else { return Err(format!("no request: {line}").into()) };
        let numbers: Vec<usize> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let [layers, rows, columns, tokens, repetitions] = numbers[..] else {
            return Err(format!("five numbers are wanted: {line}").into());
        };
        let dtype = match *kind {
            "Q4_K" => GgmlDType::Q4K,
            "Q6_K" => GgmlDType::Q6K,
            "Q8_0" => GgmlDType::Q8_0,
            other => return Err(format!("no type {other}").into()),
        };
        let key = format!("{kind} {layers} {rows} {columns}");
        if kept.0 != key {
            let matrix = |layer| -> candle_core::Result<QMatMul> {
                let bytes = random_blocks(dtype, rows * columns, 1 + layer as u64);
                let storage = QStorage::from_data(Cow::Owned(bytes), &device, dtype)?;
                QMatMul::from_qtensor(QTensor::new(storage, (rows, columns))?)
            };
            kept = (key, (0..layers).map(matrix).collect::<Result<_, _>>()?);
        }
        let x = Tensor::randn(0f32, 1f32, (tokens, columns), &device)?;
        let mut ns = Vec::new();
        // The first time does not count: candle packs then.
        for repetition in 0..=repetitions {
            let begun = Instant::now();
            for matrix in &kept.1 {
                std::hint::black_box(matrix.forward(&x)?);
            }
            if repetition > 0 {
                ns.push(begun.elapsed().as_nanos() as f64 / layers as f64);
            }
        }
        println!("{{\"op\":\"dense\",\"ns\":{ns:?}}}");
    }
    Ok(())
}
