//! What moe-kernels computes from the same bytes: what the device's results are compared with.

use moe_kernels::{
    Isa,
    attention::{self, Attention, Layout, Paged, Scratch},
    elementwise,
    matmul::{Activations, matmul},
    packed::{Columns, Grain, PackedMatrix, Panels, Row, product, quantise},
    padded,
    weights::{DType, Matrix},
};

use crate::{
    Error,
    device::Device,
    kv::KvType,
    layout::{COARSE, FINE, Rows, quant_place},
    model::{Shape, Tensor, WeightType},
};

/// One row of activations in the form that a product takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    pub(crate) quants: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) plain: Vec<f32>,
    pub(crate) factor: f32,
}

/// Row `index` of `rows` in `form`, as the device has it.
pub(crate) fn read_row(
    device: &impl Device,
    rows: &Rows,
    form: u32,
    columns: usize,
    index: usize,
) -> Result<Input, Error> {
    let units = columns.div_ceil(256);
    let mut input = Input { factor: 1.0, ..Input::default() };
    let (at, stride) = match form {
        COARSE => (rows.coarse, rows.coarse_stride),
        FINE => (rows.fine, rows.fine_stride),
        _ => {
            let at = rows.plain + (rows.plain_stride as usize * index) as u64;
            input.plain = device.read(at, columns)?;
            return Ok(input);
        }
    };
    let at = at + (stride as usize * index) as u64;
    let quants: Vec<u8> = device.read(at, units * 256)?;
    input.quants = (0..columns).map(|c| quants[quant_place(c)].cast_signed()).collect();
    let (skip, count) = if form == COARSE { (units * 16, units) } else { (0, columns / 32) };
    input.scales = device.read(at + (units * 256 + skip) as u64, count)?;
    Ok(input)
}

/// What `read_row` should give for `values`.
pub(crate) fn quantised(isa: Isa, form: u32, values: &[f32]) -> Input {
    let mut input = Input { factor: 1.0, ..Input::default() };
    let grain = match form {
        COARSE => Grain::Coarse,
        FINE => Grain::Fine,
        _ => {
            input.plain = values.to_vec();
            return input;
        }
    };
    input.quants = vec![0; values.len()];
    input.scales = vec![0.0; values.len() / grain.columns()];
    quantise(isa, grain, values, &mut input.quants, &mut input.scales);
    input
}

/// Matrix `index` of a stack, rows `first..first + count`: for each input that many products. `first` is a multiple of 16.
pub(crate) fn multiply(
    device: &impl Device,
    isa: Isa,
    tensor: &Tensor,
    index: usize,
    (first, count): (usize, usize),
    inputs: &[Input],
) -> Result<Vec<Vec<f32>>, Error> {
    let Some(part) = tensor.weight_type.matrix_bytes(count, tensor.columns) else {
        return Err(Error::Model("a matrix' columns are no whole number of blocks"));
    };
    let before = tensor.weight_type.matrix_bytes(first, tensor.columns).unwrap_or(0);
    let at = tensor.at + (index * tensor.matrix_bytes() + before) as u64;
    let bytes: Vec<u8> = device.read(at, part)?;
    let fit = Error::Model("bytes that do not fit a matrix");
    match tensor.weight_type {
        WeightType::Packed(packed) => {
            let matrix = PackedMatrix::new(packed, count, tensor.columns, &bytes).ok_or(fit)?;
            let mut panels = Panels::new(packed.grain(), tensor.columns, inputs.len());
            for mut panel in panels.panels_mut() {
                let first = panel.first();
                panel.fill(|i| {
                    let input = &inputs[first + i];
                    Row { quants: &input.quants, scales: &input.scales, factor: input.factor }
                });
            }
            let mut out = vec![0.0; count * inputs.len()];
            product(isa, &matrix, 0..matrix.tiles(), &panels, &mut Columns::new(&mut out, count, count));
            Ok(out.chunks(count).map(<[f32]>::to_vec).collect())
        }
        plain => {
            let dtype = match plain {
                WeightType::F16 => DType::F16,
                WeightType::BF16 => DType::BF16,
                _ => DType::F32,
            };
            let matrix = Matrix::new(dtype, count, tensor.columns, &bytes).ok_or(fit)?;
            let stride = padded(tensor.columns);
            let mut x = vec![0.0; stride * inputs.len()];
            for (to, input) in x.chunks_exact_mut(stride).zip(inputs) {
                for (to, from) in to.iter_mut().zip(&input.plain) {
                    *to = from * input.factor;
                }
            }
            let mut out = vec![0.0; count * inputs.len()];
            matmul(isa, &matrix, 0..count, &Activations::new(&x, inputs.len(), tensor.columns), &mut out);
            Ok((0..inputs.len())
                .map(|t| out.iter().skip(t).step_by(inputs.len()).copied().collect())
                .collect())
        }
    }
}

/// What moe-kernels keeps of a key and a value: the mean of a single value is that value.
pub(crate) fn kept(isa: Isa, kv_type: KvType, key: &[f32], value: &[f32]) -> Result<[Vec<f32>; 2], Error> {
    let dim = value.len();
    let kv_type = match kv_type {
        KvType::F16 => attention::KvType::F16,
        KvType::Q8_0 => attention::KvType::Q8_0,
    };
    let layout = Layout::new(kv_type, dim, 1).ok_or(Error::Model("its heads do not suit Q8_0"))?;
    let of = |beside: &[f32], value: &[f32]| {
        let mut data = vec![0; layout.bytes()];
        layout.store(isa, &mut data, 0, beside, value);
        let what = Attention {
            layout,
            blocks: Paged { data: &data, table: &[0], stride: data.len(), offset: 0 },
            queries: &vec![0.0; dim],
            stride: dim,
            tokens: 1,
            shared: 1,
            visible: 1,
        };
        let mut out = vec![0.0; dim];
        attention::attend(isa, &what, &mut Scratch::default(), &mut [&mut out]);
        out
    };
    Ok([of(value, key), of(key, value)])
}

/// A head's values after its norm and rope, in double precision.
pub(crate) fn turned(
    s: &Shape,
    values: &[f32],
    weight: Option<&[f32]>,
    has_rope: bool,
    position: u32,
) -> Vec<f64> {
    let mut v: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    let norm = |v: &mut [f64]| {
        let mean = v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64;
        let by = 1.0 / (mean + f64::from(s.eps)).sqrt();
        v.iter_mut().for_each(|v| *v *= by);
    };
    if let Some(weight) = weight {
        norm(&mut v);
        v.iter_mut().zip(weight).for_each(|(v, w)| *v *= f64::from(*w));
    }
    if has_rope {
        let half = v.len() / 2;
        for (i, frequency) in s.frequencies.iter().enumerate() {
            let (a, b) = if s.rope_halves { (i, i + half) } else { (2 * i, 2 * i + 1) };
            let (sin, cos) = (f64::from(position) * frequency).sin_cos();
            (v[a], v[b]) = (v[a] * cos - v[b] * sin, v[a] * sin + v[b] * cos);
        }
        if s.head_norm == crate::model::HeadNorm::Plain {
            norm(&mut v);
        }
    }
    v
}

/// Experts of a token by rank with their weights, by moe-server's rule.
pub(crate) fn choose(s: &Shape, logits: &[f32]) -> Vec<(u32, f32)> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let goes_before = |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan());
    order.sort_by(|a, b| {
        let (x, y) = (logits[*a as usize], logits[*b as usize]);
        let ordering = if goes_before(x, y) {
            std::cmp::Ordering::Less
        } else if goes_before(y, x) {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Equal
        };
        ordering.then(a.cmp(b))
    });
    order.truncate(s.used);
    let value = |e: &u32| logits[*e as usize];
    let mut weights: Vec<f32> = if s.softmax_on_output {
        let most = order.first().map_or(0.0, value);
        let exps: Vec<f32> = order.iter().map(|e| elementwise::exp(value(e) - most)).collect();
        let sum = exps.iter().fold(0.0, |sum, e| sum + e);
        exps.iter().map(|e| e / sum).collect()
    } else {
        order.iter().map(|e| elementwise::sigmoid(value(e))).collect()
    };
    if logits.iter().any(|logit| !logit.is_finite()) {
        weights.fill(f32::NAN);
    }
    order.into_iter().zip(weights).collect()
}
