//! Kernels by themselves: the quantiser, products of any shape, embeddings.

use moe_kernels::Isa;

use super::Report;
use crate::{
    Error,
    decode::{Decoder, Options},
    device::{Device, Kernel, Launch, Parameter},
    layout::{COARSE, FINE, Layer, Rows, row_stride},
    model::{HeadNorm, Model, Shape, Tensor, WeightType},
    random::{Random, random_tensor},
    reference::{multiply, quantised, read_row},
};

/// Random activations with what quantising must get right among them: zeros, ties, tiny and huge values, and not numbers.
pub(super) fn activations(random: &mut Random, columns: usize, odd: bool) -> Vec<f32> {
    let scale = (random.signed() * 6.0).exp2();
    let mut values: Vec<f32> = (0..columns).map(|_| random.signed() * scale).collect();
    if odd {
        let oddities = [0.0, -0.0, 1e-42, 1e-39, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0];
        for _ in 0..4 {
            let at = random.below(columns);
            values[at] = oddities[random.below(oddities.len())];
        }
        // A block of zeros, and one with ties.
        let at = random.below(columns / 32) * 32;
        values[at..at + 32].fill(0.0);
        let at = random.below(columns / 32) * 32;
        for (i, v) in values[at..at + 32].iter_mut().enumerate() {
            *v = if i == 0 { 127.0 } else { i as f32 + 0.5 };
        }
    }
    values
}

pub(super) fn quantise_on(
    device: &impl Device,
    rows: &Rows,
    x: &[Vec<f32>],
    forms: u32,
) -> Result<(), Error> {
    let columns = x.first().map_or(0, Vec::len);
    let from = device.place(&x.concat())?;
    let width = columns as u32;
    let done = device.launch(&Launch {
        kernel: Kernel::Quantise,
        grid: [columns.div_ceil(256) as u32, x.len() as u32, 1],
        threads: 32,
        shared_bytes: 0,
        overlaps: false,
        parameters: &[
            Parameter::Rows(rows),
            Parameter::Address(&from),
            Parameter::Number(&width),
            Parameter::Number(&forms),
        ],
    });
    // Freeing waits for the launch.
    device.read::<u32>(from, 1)?;
    device.free(from);
    done
}

/// The quantiser by its bytes, in both grains.
///
/// # Errors
/// What the device says.
pub fn quantiser(device: &impl Device, isa: Isa, columns: usize, seed: u64) -> Result<Report, Error> {
    let mut random = Random::new(seed);
    let x: Vec<Vec<f32>> = (0..8).map(|i| activations(&mut random, columns, i % 2 > 0)).collect();
    let mut report = Report::default();
    let coarse = if columns.is_multiple_of(256) { COARSE } else { 0 };
    let (coarse_stride, fine_stride) = (row_stride(columns, COARSE), row_stride(columns, FINE));
    let rows = Rows {
        coarse: device.allocate(coarse_stride as usize * x.len())?,
        fine: device.allocate(fine_stride as usize * x.len())?,
        coarse_stride,
        fine_stride,
        ..Rows::default()
    };
    quantise_on(device, &rows, &x, coarse | FINE)?;
    for form in [coarse, FINE].into_iter().filter(|form| *form > 0) {
        let name = if form == COARSE { "quantised by 256" } else { "quantised by 32" };
        for (index, x) in x.iter().enumerate() {
            let (got, expected) = (read_row(device, &rows, form, columns, index)?, quantised(isa, form, x));
            report.equal(name, &got.quants, &expected.quants);
            report.bits(name, &got.scales, &expected.scales);
        }
    }
    device.free(rows.coarse);
    device.free(rows.fine);
    Ok(report)
}

/// A model that is its head alone.
fn head_only(head: Tensor, embedding: Tensor) -> Model {
    Model {
        shape: Shape {
            hidden: head.columns,
            heads: 1,
            kv_heads: 1,
            head_dim: 128,
            experts: 0,
            used: 0,
            vocab: head.rows,
            chunk: None,
            head_norm: HeadNorm::Off,
            rope_halves: false,
            softmax_on_output: false,
            eps: 1e-5,
            frequencies: Vec::new(),
            temperature: None,
        },
        layers: Vec::new(),
        embedding,
        head,
        final_norm: 0,
    }
}

/// A product of `rows × columns` weights with `tokens` activations, by its bytes.
///
/// # Errors
/// What the device says.
pub fn products(
    device: &impl Device,
    isa: Isa,
    weight_type: WeightType,
    [rows, columns, tokens]: [usize; 3],
    seed: u64,
) -> Result<Report, Error> {
    let mut random = Random::new(seed);
    let head = random_tensor(device, weight_type, [1, rows, columns], random.bits() as u32)?;
    let capacity = tokens.next_power_of_two();
    let model = head_only(head, head);
    let mut decoder = Decoder::new(device, &model, Options::new(capacity, 64))?;
    let x: Vec<Vec<f32>> = (0..tokens).map(|_| activations(&mut random, columns, false)).collect();
    let form = weight_type.form();
    let normed = decoder.step.normed;
    if weight_type.form() & (COARSE | FINE) > 0 {
        quantise_on(device, &normed, &x, form)?;
    } else {
        for (i, x) in x.iter().enumerate() {
            device.write(normed.plain + (i * normed.plain_stride as usize) as u64, x)?;
        }
    }
    decoder.set_decodes(&vec![0; tokens], &vec![0; tokens])?;
    // So that what is not written is seen.
    device.write(decoder.step.logits, &vec![f32::NAN; tokens * rows])?;
    decoder.product(crate::device::Stage::Head, &Layer::default())?;
    let got: Vec<f32> = device.read(decoder.step.logits, tokens * rows)?;
    let inputs: Vec<_> = x.iter().map(|x| quantised(isa, form, x)).collect();
    let expected = multiply(device, isa, &head, 0, (0, rows), &inputs)?;
    let mut report = Report::default();
    let name = match weight_type {
        WeightType::Packed(packed) => format!("products, {packed:?}"),
        plain => format!("products, {plain:?}"),
    };
    report.bits(name, &got, &expected.concat());
    drop(decoder);
    device.free(head.at);
    Ok(report)
}

/// Rows of an embedding, by their bytes.
///
/// # Errors
/// What the device says.
pub fn embeddings(
    device: &impl Device,
    weight_type: WeightType,
    columns: usize,
    seed: u64,
) -> Result<Report, Error> {
    use moe_kernels::{packed::PackedMatrix, weights};
    let mut random = Random::new(seed);
    let rows = 40;
    let table = random_tensor(device, weight_type, [1, rows, columns], random.bits() as u32)?;
    let model = head_only(table, table);
    let mut decoder = Decoder::new(device, &model, Options::new(4, 64))?;
    let tokens: Vec<u32> = (0..4).map(|_| random.below(rows) as u32).collect();
    decoder.set_decodes(&tokens, &[0; 4])?;
    decoder.begin()?;
    let got: Vec<f32> = device.read(decoder.step.x[0], 4 * columns)?;
    let bytes: Vec<u8> = device.read(table.at, table.matrix_bytes())?;
    let mut expected = vec![0.0; 4 * columns];
    let fit = Error::Model("bytes that do not fit a matrix");
    for (token, out) in tokens.iter().zip(expected.chunks_mut(columns)) {
        match weight_type {
            WeightType::Packed(packed) => {
                let matrix = PackedMatrix::new(packed, rows, columns, &bytes).ok_or(fit.clone())?;
                matrix.dequantise_row(*token as usize, out);
            }
            plain => {
                let dtype = match plain {
                    WeightType::F16 => weights::DType::F16,
                    WeightType::BF16 => weights::DType::BF16,
                    _ => weights::DType::F32,
                };
                let matrix = weights::Matrix::new(dtype, rows, columns, &bytes).ok_or(fit.clone())?;
                let mut row = vec![0.0; moe_kernels::padded(columns)];
                matrix.dequantise_row(*token as usize, &mut row);
                out.copy_from_slice(&row[..columns]);
            }
        }
    }
    let mut report = Report::default();
    report.bits("embeddings", &got, &expected);
    drop(decoder);
    device.free(table.at);
    Ok(report)
}
