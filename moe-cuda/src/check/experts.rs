//! A layer's feed-forward half: norm, router, experts.

use moe_kernels::elementwise;

use super::layer::Walker;
use crate::{
    Error,
    decode::STAGES,
    device::Device,
    layout::{COARSE, FINE},
    model::{Gated, Layer, Tensor},
    reference::{Input, choose, multiply, quantised, read_row},
};

impl<D: Device> Walker<'_, '_, D> {
    pub(super) fn experts(&mut self, index: usize, layer: &Layer) -> Result<(), Error> {
        let s = &self.model.shape;
        let before = self.stream(true)?;
        let hidden = s.hidden;
        let at = self.decoder.step.attn_out;
        let added =
            (0..self.count()).map(|t| self.floats(at, t * hidden, hidden)).collect::<Result<Vec<_>, _>>()?;
        self.run(index as u32 * STAGES + 3, index as u32 * STAGES + 4)?;
        let x = self.residual(true, &added, &before)?;
        let forms = self.decoder.layers[index].up_forms;
        let normed = self.normed("norms", &x, layer.ffn_norm, forms)?;
        let chosen = match layer.routed {
            Some((router, _)) => self.routing(&router, &normed)?,
            None => Vec::new(),
        };
        self.networks(index, layer, &chosen)
    }

    /// Both halves of the networks, of which the first has been computed, and of which each token has `chosen` experts.
    pub(super) fn networks(
        &mut self,
        index: usize,
        layer: &Layer,
        chosen: &[Vec<(u32, f32)>],
    ) -> Result<(), Error> {
        let s = &self.model.shape;
        let hidden = s.hidden;
        let all: Vec<usize> = (0..self.count()).collect();
        let mut uses = Vec::new();
        if let Some(common) = layer.common {
            uses.push((common, 0, all.iter().map(|t| (*t, *t, 1.0)).collect::<Vec<_>>()));
        }
        if let Some((_, experts)) = layer.routed {
            for expert in 0..s.experts {
                let mut entries = Vec::new();
                for (t, choices) in chosen.iter().enumerate() {
                    for (rank, (_, weight)) in
                        choices.iter().enumerate().filter(|(_, (e, _))| *e as usize == expert)
                    {
                        let factor = if s.softmax_on_output { 1.0 } else { *weight };
                        entries.push((t, self.count() + t * s.used + rank, factor));
                    }
                }
                if !entries.is_empty() {
                    uses.push((experts, expert, entries));
                }
            }
        }
        for (gated, expert, entries) in &uses {
            self.gate_up(gated, *expert, entries)?;
        }
        self.run(index as u32 * STAGES + 4, index as u32 * STAGES + 5)?;
        for (gated, expert, entries) in &uses {
            let down = &gated.down;
            let form = down.weight_type.form();
            let rows = self.decoder.step.inner;
            self.inner(index, down.columns, entries)?;
            let inputs = entries
                .iter()
                .map(|(_, entry, _)| read_row(self.device, &rows, form, down.columns, *entry))
                .collect::<Result<Vec<_>, _>>()?;
            let (device, at) = (self.device, self.decoder.step.mixed);
            self.multiplied("experts, down", down, *expert, &inputs, |i| {
                device.read(at + (entries[i].1 * hidden * 4) as u64, hidden)
            })?;
        }
        Ok(())
    }

    /// The router's logits within a bound, then what follows from the device's own logits by its bytes.
    fn routing(&mut self, router: &Tensor, normed: &[Vec<f32>]) -> Result<Vec<Vec<(u32, f32)>>, Error> {
        let s = &self.model.shape;
        let inputs: Vec<Input> =
            normed.iter().map(|x| Input { plain: x.clone(), factor: 1.0, ..Input::default() }).collect();
        let expected = multiply(self.device, self.isa, router, 0, (0, s.experts), &inputs)?;
        let step = &self.decoder.step;
        let mut all = Vec::new();
        for (t, expected) in expected.iter().enumerate() {
            let logits = self.floats(step.router_logits, t * s.experts, s.experts)?;
            let errors =
                logits.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs() / b.abs().max(1.0)));
            self.report.within("router's logits", 1e-4, errors);
            let choices: Vec<u32> = self.device.read(step.choices + (t * s.used * 4) as u64, s.used)?;
            let weights = self.floats(step.choice_weights, t * s.used, s.used)?;
            let (chosen, by): (Vec<u32>, Vec<f32>) = choose(s, &logits).into_iter().unzip();
            self.report.equal("experts chosen", &choices, &chosen);
            self.report.bits("experts' weights", &weights, &by);
            all.push(choices.into_iter().zip(weights).collect());
        }
        Ok(all)
    }

    fn gate_up(
        &mut self,
        gated: &Gated,
        expert: usize,
        entries: &[(usize, usize, f32)],
    ) -> Result<(), Error> {
        let rows = self.decoder.step.normed;
        let width = gated.gate.rows;
        let products = |tensor: &Tensor| {
            let inputs = entries
                .iter()
                .map(|(t, _, factor)| {
                    let row = read_row(self.device, &rows, tensor.weight_type.form(), tensor.columns, *t)?;
                    Ok(Input { factor: *factor, ..row })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            multiply(self.device, self.isa, tensor, expert, (0, width), &inputs)
        };
        let (gates, ups) = (products(&gated.gate)?, products(&gated.up)?);
        let stride = self.decoder.step.inner_columns as usize;
        for ((mut gate, up), (_, entry, _)) in gates.into_iter().zip(ups).zip(entries) {
            elementwise::swiglu(self.isa, &mut gate, &up);
            let got = self.floats(self.decoder.step.inner_float, entry * stride, width)?;
            self.report.bits("experts, silu(gate) · up", &got, &gate);
        }
        Ok(())
    }

    /// What goes into the experts' second halves: that of the first halves, quantised.
    fn inner(&mut self, index: usize, width: usize, entries: &[(usize, usize, f32)]) -> Result<(), Error> {
        let (rows, stride) = (self.decoder.step.inner, self.decoder.step.inner_columns as usize);
        let forms = self.decoder.layers[index].down_forms;
        for (_, entry, _) in entries {
            let values = self.floats(self.decoder.step.inner_float, entry * stride, width)?;
            for form in [COARSE, FINE].into_iter().filter(|form| forms & form > 0) {
                let row = read_row(self.device, &rows, form, width, *entry)?;
                let expected = quantised(self.isa, form, &values);
                self.report.equal("experts, quantised", &row.quants, &expected.quants);
                self.report.bits("experts, quantised", &row.scales, &expected.scales);
            }
        }
        Ok(())
    }
}
