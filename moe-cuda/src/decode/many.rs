//! Launches of a step with more than [`FEW`] rows, which prompts' are.

use super::Decoder;
use crate::{
    Error,
    device::{Device, Kernel, Parameter, Stage},
    layout::{FEW, Layer, MANY, MANY_BYTES, Matrix, ROUTED, SHARED, THREADS},
    model::WeightType,
};

/// A launch: which of gate and up, where they go one after the other, and weights of which type.
type Part = (u32, WeightType);

fn weights_of(matrix: &Matrix) -> Option<WeightType> {
    WeightType::ALL.into_iter().find(|weights| weights.kind() == matrix.kind)
}

/// One type stands for all plain ones.
fn part_of(pass: u32, weights: WeightType) -> Part {
    (pass, if matches!(weights, WeightType::Packed(_)) { weights } else { WeightType::F32 })
}

/// The parts of a product with these matrices, in order.
fn parts(stage: Stage, matrices: &[&Matrix]) -> Vec<Part> {
    let weights: Vec<WeightType> = matrices.iter().filter_map(|matrix| weights_of(matrix)).collect();
    let mut parts: Vec<Part> = Vec::new();
    if stage == Stage::Up {
        for pair in weights.chunks(2) {
            parts.push(part_of(0, pair[0]));
            if pair[0] != pair[1] || !matches!(pair[0], WeightType::Packed(_)) {
                parts.push(part_of(1, pair[1]));
            }
        }
    } else {
        parts.extend(weights.into_iter().map(|weights| part_of(0, weights)));
    }
    parts.sort_by_key(|(pass, weights)| (*pass, weights.kind()));
    parts.dedup();
    parts
}

impl<D: Device> Decoder<D> {
    /// One of a layer's products, or the head's: chunks of rows by shares of tiles.
    pub(super) fn many(&self, stage: Stage, layer: &Layer, rows: u32) -> Result<(), Error> {
        let chunks = rows.div_ceil(MANY as u32);
        let (is_shared, is_routed) = (layer.flags & SHARED > 0, layer.flags & ROUTED > 0);
        let matrices = self.matrices(stage, layer);
        // Of the slots' chunks there are as many as their rows fill, and one more for each expert at most.
        let entries = rows * self.step.used;
        let routed = entries / MANY as u32 + self.step.experts.min(entries);
        let items = match stage {
            Stage::Up | Stage::Down => u32::from(is_shared) * chunks + u32::from(is_routed) * routed,
            _ => chunks,
        };
        // A warp has two tiles, or one of each of gate and up.
        let each = if stage == Stage::Up { 1 } else { 2 };
        let shares = |warps: u32| {
            let shares = matrices.iter().map(|matrix| matrix.rows.div_ceil(16).div_ceil(warps * each));
            if stage == Stage::Qkv { shares.sum::<u32>() } else { shares.max().unwrap_or(0) }
        };
        // Wide blocks read activations less often; narrow ones are there for all multiprocessors.
        let wanted = self.device.multiprocessors();
        let warps = [8, 4].into_iter().find(|warps| items * shares(*warps) >= wanted).unwrap_or(2);
        let number = stage.number();
        for (pass, weights) in parts(stage, &matrices) {
            let parameters = [
                Parameter::Step(&self.step),
                Parameter::Layer(layer),
                Parameter::Number(&number),
                Parameter::Number(&pass),
            ];
            let grid = [items, shares(warps), 1];
            self.launch(Kernel::Many { weights }, grid, warps * 32, MANY_BYTES, &parameters)?;
        }
        Ok(())
    }

    /// Lists the tokens of each of a layer's experts, where the norm has not.
    pub(crate) fn slots(&self, layer: &Layer) -> Result<(), Error> {
        if self.step.tokens as usize <= FEW || layer.flags & ROUTED == 0 {
            return Ok(());
        }
        let parameters = [Parameter::Step(&self.step)];
        self.launch(Kernel::Slots, [self.step.experts, 1, 1], THREADS, THREADS / 32 * 4, &parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moe_kernels::packed::PackedType;

    #[test]
    fn gate_and_up_go_apart_where_their_types_do() {
        let matrix = |weights: WeightType| Matrix { kind: weights.kind(), ..Matrix::default() };
        let [q4, q6] = [PackedType::Q4_K, PackedType::Q6_K].map(WeightType::Packed);
        let (a, b) = (matrix(q4), matrix(q6));
        let (f16, bf16, none) = (matrix(WeightType::F16), matrix(WeightType::BF16), Matrix::default());
        assert_eq!(parts(Stage::Up, &[&none, &none, &a, &a]), [(0, q4)]);
        assert_eq!(parts(Stage::Up, &[&a, &b, &b, &a]), [(0, q4), (0, q6), (1, q4), (1, q6)]);
        let plain = WeightType::F32;
        assert_eq!(parts(Stage::Up, &[&f16, &bf16, &f16, &f16]), [(0, plain), (1, plain)]);
        assert_eq!(parts(Stage::Qkv, &[&a, &f16, &bf16]), [(0, q4), (0, plain)]);
    }
}
