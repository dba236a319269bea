//! A step, stage by stage: each stage's results are compared with what moe-kernels makes of that stage's own inputs.

use moe_kernels::{Isa, elementwise};

use super::Report;
use crate::{
    Error,
    decode::{Decoder, Options, STAGES},
    device::Device,
    kv::{GROUP, KvType},
    layout::{COARSE, FINE, FLOAT, KEPT},
    model::{Layer, Model, Tensor},
    reference::{Input, kept, multiply, read_row, turned},
};

/// What is walked through.
#[derive(Debug, Clone)]
pub struct Walk {
    pub options: Options,
    pub tokens: Vec<u32>,
    pub positions: Vec<u32>,
    /// Layers that are compared; the others are only computed.
    pub layers: Vec<usize>,
    /// Rows of the head that are compared, from the first and from the last on; a multiple of 16.
    pub head_rows: usize,
    pub seed: u64,
}

/// How far norms and attention may be from moe-kernels', in quanta beyond the half that rounding may cost.
const QUANTA: f64 = 0.02;

pub(super) struct Walker<'w, 'd, D: Device> {
    pub(super) device: &'d D,
    pub(super) isa: Isa,
    pub(super) model: &'d Model,
    pub(super) decoder: &'w mut Decoder<&'d D>,
    pub(super) positions: &'w [u32],
    pub(super) report: Report,
}

/// Computes a step and compares it.
///
/// # Errors
/// What the device says.
pub fn walk<D: Device>(device: &D, isa: Isa, model: &Model, walk: &Walk) -> Result<Report, Error> {
    let mut decoder = Decoder::new(device, model, walk.options)?;
    decoder.set_decodes(&walk.tokens, &walk.positions)?;
    decoder.fill_cache(walk.seed as u32)?;
    decoder.begin()?;
    let mut walker = Walker {
        device,
        isa,
        model,
        decoder: &mut decoder,
        positions: &walk.positions,
        report: Report::default(),
    };
    for (index, layer) in model.layers.iter().enumerate() {
        if walk.layers.contains(&index) {
            walker.qkv(index, layer)?;
            walker.attention(index, layer)?;
            walker.output(index, layer)?;
            walker.experts(index, layer)?;
        } else {
            let first = index as u32 * STAGES;
            walker.run(first, first + STAGES)?;
        }
    }
    walker.head(walk.head_rows)?;
    let stages = walker.report;
    let mut report = whole(device, &mut decoder)?;
    report.append(stages);
    Ok(report)
}

/// The same step once more gives the same bits.
fn whole<D: Device>(device: &D, decoder: &mut Decoder<&D>) -> Result<Report, Error> {
    let logits = |decoder: &Decoder<&D>| {
        device.read::<f32>(decoder.step.logits, decoder.step.tokens as usize * decoder.model.shape.vocab)
    };
    let apart = logits(decoder)?;
    decoder.begin()?;
    decoder.run(0, decoder.phases())?;
    let mut report = Report::default();
    report.bits("a step and the same step again", &logits(decoder)?, &apart);
    Ok(report)
}

impl<D: Device> Walker<'_, '_, D> {
    pub(super) fn run(&mut self, begin: u32, end: u32) -> Result<(), Error> {
        self.decoder.run(begin, end)
    }

    pub(super) fn count(&self) -> usize {
        self.positions.len()
    }

    pub(super) fn floats(&self, at: u64, from: usize, count: usize) -> Result<Vec<f32>, Error> {
        self.device.read(at + (from * 4) as u64, count)
    }

    /// A norm's results: near what moe-kernels makes of `x`.
    pub(super) fn normed(
        &mut self,
        what: &str,
        x: &[Vec<f32>],
        weight: u64,
        forms: u32,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let hidden = self.model.shape.hidden;
        let weight: Vec<f32> = self.device.read(weight, hidden)?;
        let mut all = Vec::new();
        for (t, x) in x.iter().enumerate() {
            let mut expected = vec![0.0; hidden];
            elementwise::rms_norm(self.isa, x, &weight, self.model.shape.eps, &mut expected);
            let rows = self.decoder.step.normed;
            for form in [COARSE, FINE, FLOAT].into_iter().filter(|form| forms & form > 0) {
                let got = read_row(self.device, &rows, form, hidden, t)?;
                self.near(what, &got, &expected);
            }
            all.push(expected);
        }
        Ok(all)
    }

    /// Quantised or plain values near exact ones.
    fn near(&mut self, what: &str, got: &Input, expected: &[f32]) {
        if got.quants.is_empty() {
            let most = expected.iter().fold(1e-30_f32, |most, v| most.max(v.abs()));
            let errors = got.plain.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs() / most));
            self.report.within(format!("{what}, plain"), 1e-4, errors);
            return;
        }
        let grain = expected.len() / got.scales.len();
        let errors = expected.iter().enumerate().map(|(i, exact)| {
            let scale = f64::from(got.scales[i / grain]);
            let value = f64::from(got.quants[i]) * scale;
            ((value - f64::from(*exact)).abs() / scale.max(1e-30) - 0.5).max(0.0)
        });
        self.report.within(what, QUANTA, errors);
    }

    /// `rows × inputs` products by their bytes. `got(t)` reads the device's.
    pub(super) fn multiplied(
        &mut self,
        what: &str,
        tensor: &Tensor,
        index: usize,
        inputs: &[Input],
        got: impl Fn(usize) -> Result<Vec<f32>, Error>,
    ) -> Result<(), Error> {
        let expected = multiply(self.device, self.isa, tensor, index, (0, tensor.rows), inputs)?;
        for (t, expected) in expected.iter().enumerate() {
            self.report.bits(what, &got(t)?, expected);
        }
        Ok(())
    }

    /// The residual stream after a stage's norm: what it was, plus what the stage before gave, by its bytes.
    pub(super) fn residual(
        &mut self,
        odd: bool,
        added: &[Vec<f32>],
        before: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>, Error> {
        let hidden = self.model.shape.hidden;
        let mut all = Vec::new();
        for (t, (added, before)) in added.iter().zip(before).enumerate() {
            let got = self.floats(self.decoder.step.x[usize::from(!odd)], t * hidden, hidden)?;
            let expected: Vec<f32> = before.iter().zip(added).map(|(x, y)| x + y).collect();
            self.report.bits("residual sums", &got, &expected);
            all.push(got);
        }
        Ok(all)
    }

    pub(super) fn stream(&self, odd: bool) -> Result<Vec<Vec<f32>>, Error> {
        let hidden = self.model.shape.hidden;
        let at = self.decoder.step.x[usize::from(odd)];
        (0..self.count()).map(|t| self.floats(at, t * hidden, hidden)).collect()
    }

    /// What the experts of the layer before gave each token, added up as moe-server does.
    fn mixed(&self, layer: Option<&Layer>) -> Result<Vec<Vec<f32>>, Error> {
        let s = &self.model.shape;
        let Some(layer) = layer else { return Ok(vec![vec![-0.0; s.hidden]; self.count()]) };
        let step = &self.decoder.step;
        let mut all = Vec::new();
        for t in 0..self.count() {
            let mut sum = match layer.common {
                Some(_) => self.floats(step.mixed, t * s.hidden, s.hidden)?,
                None => vec![0.0; s.hidden],
            };
            for r in 0..if layer.routed.is_some() { s.used } else { 0 } {
                let row = self.floats(step.mixed, (self.count() + t * s.used + r) * s.hidden, s.hidden)?;
                if s.softmax_on_output {
                    let by = self.floats(step.choice_weights, t * s.used + r, 1)?[0];
                    elementwise::add_scaled(&mut sum, &row, by);
                } else {
                    elementwise::add(&mut sum, &row);
                }
            }
            all.push(sum);
        }
        Ok(all)
    }

    fn qkv(&mut self, index: usize, layer: &Layer) -> Result<(), Error> {
        let before = self.stream(false)?;
        let added = self.mixed(index.checked_sub(1).map(|i| &self.model.layers[i]))?;
        self.run(index as u32 * STAGES, index as u32 * STAGES + 1)?;
        let x = self.residual(false, &added, &before)?;
        let forms = self.decoder.layers[index].qkv_forms;
        self.normed("norms", &x, layer.attn_norm, forms)?;
        let width: usize = [layer.query, layer.key, layer.value].iter().map(|tensor| tensor.rows).sum();
        let mut column = 0;
        for tensor in [layer.query, layer.key, layer.value] {
            let inputs = self.inputs(&tensor, false, |t| t)?;
            let (device, at) = (self.device, self.decoder.step.qkv);
            self.multiplied("queries, keys, values", &tensor, 0, &inputs, |t| {
                device.read(at + ((t * width + column) * 4) as u64, tensor.rows)
            })?;
            column += tensor.rows;
        }
        Ok(())
    }

    /// The normed (or attended) rows of all tokens in a tensor's form.
    fn inputs(
        &self,
        tensor: &Tensor,
        attended: bool,
        row: impl Fn(usize) -> usize,
    ) -> Result<Vec<Input>, Error> {
        let rows = if attended { self.decoder.step.attended } else { self.decoder.step.normed };
        let form = tensor.weight_type.form();
        (0..self.count()).map(|t| read_row(self.device, &rows, form, tensor.columns, row(t))).collect()
    }

    fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), Error> {
        let s = &self.model.shape;
        self.run(index as u32 * STAGES + 1, index as u32 * STAGES + 2)?;
        let (queries, group) = (s.heads * s.head_dim, s.heads / s.kv_heads);
        let width = queries + 2 * s.kv_heads * s.head_dim;
        let norms = match layer.head_norms {
            Some((query, key)) => {
                Some((self.device.read::<f32>(query, s.head_dim)?, self.device.read::<f32>(key, s.head_dim)?))
            }
            None => None,
        };
        let (query_norm, key_norm) = norms.as_ref().map(|(q, k)| (&q[..], &k[..])).unzip();
        for (t, position) in self.positions.iter().copied().enumerate() {
            let row = self.floats(self.decoder.step.qkv, t * width, width)?;
            let chunk =
                s.chunk.filter(|_| layer.is_chunked).map_or(0, |chunk| position as usize / chunk * chunk);
            let scales = self.floats(self.decoder.step.query_scale, t * 2, 2)?;
            let scale = f64::from(scales[usize::from(!layer.has_rope)]);
            let mut expected = vec![0.0; queries];
            for kv_head in 0..s.kv_heads {
                let [keys, values] = self.decoder.cached(index, t, position as usize + 1, kv_head)?;
                let at = queries + kv_head * s.head_dim;
                let key = turned(s, &row[at..at + s.head_dim], key_norm, layer.has_rope, position);
                let value = &row[at + s.kv_heads * s.head_dim..][..s.head_dim];
                let last = position as usize * s.head_dim;
                self.new_keys(&keys[last..], &key);
                let [_, kept] = kept(self.isa, self.device.kv_type(), value, value)?;
                self.report.bits("new values", &values[last..], &kept);
                for head in kv_head * group..(kv_head + 1) * group {
                    let query = &row[head * s.head_dim..][..s.head_dim];
                    let query = turned(s, query, query_norm, layer.has_rope, position);
                    let out = &mut expected[head * s.head_dim..][..s.head_dim];
                    attend(&query, scale, &keys[chunk * s.head_dim..], &values[chunk * s.head_dim..], out);
                }
            }
            let (forms, rows) = (self.decoder.layers[index].output_forms, self.decoder.step.attended);
            for form in [COARSE, FINE, FLOAT].into_iter().filter(|form| forms & form > 0) {
                let got = read_row(self.device, &rows, form, queries, t)?;
                self.near("attention", &got, &expected);
            }
        }
        Ok(())
    }

    /// Keys as they are kept, near exact ones.
    fn new_keys(&mut self, got: &[f32], exact: &[f64]) {
        let pairs = got.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b, *b));
        match self.device.kv_type() {
            KvType::F16 => {
                let errors = pairs.map(|(off, b)| off.abs() / b.abs().max(1e-2));
                self.report.within("new keys", 1e-3, errors);
            }
            KvType::Q8_0 => {
                let most = |group: &[f64]| group.iter().fold(1e-30_f64, |most, v| most.max(v.abs()));
                let scales: Vec<f64> = exact.chunks(GROUP).map(|group| most(group) / 127.0).collect();
                let errors =
                    pairs.enumerate().map(|(i, (off, _))| (off.abs() / scales[i / GROUP] - 0.5).max(0.0));
                self.report.within("new keys", QUANTA, errors);
            }
        }
    }

    fn output(&mut self, index: usize, layer: &Layer) -> Result<(), Error> {
        self.run(index as u32 * STAGES + 2, index as u32 * STAGES + 3)?;
        let inputs = self.inputs(&layer.output, true, |t| t)?;
        let (device, at, hidden) = (self.device, self.decoder.step.attn_out, self.model.shape.hidden);
        self.multiplied("attention's output", &layer.output, 0, &inputs, |t| {
            device.read(at + (t * hidden * 4) as u64, hidden)
        })
    }

    fn head(&mut self, head_rows: usize) -> Result<(), Error> {
        let (before, added) = (self.stream(false)?, self.mixed(self.model.layers.last())?);
        let first = self.model.layers.len() as u32 * STAGES;
        self.run(first, first + 1)?;
        let x = self.residual(false, &added, &before)?;
        let head = &self.model.head;
        self.normed("norms", &x, self.model.final_norm, self.decoder.step.head_forms)?;
        let inputs = self.inputs(head, false, |t| t)?;
        let (last, at) = (head.rows / 16 * 16, self.decoder.step.logits);
        let starts = [0, last.saturating_sub(head_rows)];
        for start in starts {
            let count = head_rows.min(head.rows - start);
            let expected = multiply(self.device, self.isa, head, 0, (start, count), &inputs)?;
            for (t, expected) in expected.iter().enumerate() {
                self.report.bits("logits", &self.floats(at, t * head.rows + start, count)?, expected);
            }
        }
        self.run(first + 1, first + 3)?;
        let outcomes = self.decoder.outcomes()?;
        for (t, outcome) in outcomes.iter().enumerate() {
            let logits = self.floats(at, t * head.rows, head.rows)?;
            let mut order: Vec<u32> = (0..logits.len() as u32).collect();
            order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            order.truncate(KEPT);
            let tokens: Vec<u32> = outcome.candidates.iter().map(|c| c.token).collect();
            self.report.equal("candidates", &tokens, &order);
            let kept: Vec<f32> = outcome.candidates.iter().map(|c| c.logit).collect();
            let values: Vec<f32> = order.iter().map(|i| logits[*i as usize]).collect();
            self.report.bits("candidates' logits", &kept, &values);
            let most = f64::from(values[0]);
            let sum: f64 = logits.iter().map(|l| (f64::from(*l) - most).exp()).sum();
            let exact = most + sum.ln();
            self.report.within("log of sum of exps", 1e-5, [(outcome.log_sum_exp - exact).abs()]);
            self.report.equal("finite", &[outcome.is_finite], &[logits.iter().all(|l| l.is_finite())]);
        }
        Ok(())
    }
}

/// Attention of one query in double precision.
fn attend(query: &[f64], scale: f64, keys: &[f32], values: &[f32], out: &mut [f32]) {
    let dim = query.len();
    let dot = |key: &[f32]| key.iter().zip(query).map(|(k, q)| f64::from(*k) * q).sum::<f64>() * scale;
    let scores: Vec<f64> = keys.chunks(dim).map(dot).collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f64 = exps.iter().sum();
    for (d, out) in out.iter_mut().enumerate() {
        let mix: f64 = values.iter().skip(d).step_by(dim).zip(&exps).map(|(v, e)| f64::from(*v) * e).sum();
        *out = (mix / sum) as f32;
    }
}
