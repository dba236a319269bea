//! Random weights, made in ggml's quantised form at once: quantising gigabytes of numbers takes long, and drawing the
//! quants gives weights just as random.

/// The types that these files have, with the number by which GGUF knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "ggml's own names")]
pub(super) enum Type {
    F32 = 0,
    Q8_0 = 8,
    Q4_K = 12,
    Q6_K = 14,
}

impl Type {
    /// Elements and bytes of a block.
    const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::Q8_0 => (32, 34),
            Self::Q4_K => (256, 144),
            Self::Q6_K => (256, 210),
        }
    }

    pub(super) const fn bytes(self, elements: usize) -> usize {
        let (block_elements, block_bytes) = self.block();
        elements / block_elements * block_bytes
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, and a stream a seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream for a name.
    pub(super) fn named(name: &str) -> Self {
        // FNV-1a.
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// Of variance 1, nearly normal: the sum of four uniform numbers.
    pub(super) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3f32.sqrt()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes()[..part.len()]);
        }
    }
}

/// Standard deviation of uniform numbers in 0..n.
fn uniform(n: f32) -> f32 {
    ((n * n - 1.0) / 12.0).sqrt()
}

/// Fills whole blocks with weights of mean 0 and standard deviation `sigma`.
pub(super) fn weights(kind: Type, sigma: f32, random: &mut Random, out: &mut [u8]) {
    for block in out.chunks_exact_mut(kind.block().1) {
        // The scales of a real tensor differ from block to block.
        let sigma = sigma * (0.75 + 0.5 * random.unit());
        match kind {
            Type::F32 => block.copy_from_slice(&(sigma * random.normal()).to_le_bytes()),
            Type::Q8_0 => {
                random.fill(&mut block[2..]);
                block[..2].copy_from_slice(&f16(sigma / uniform(256.0)));
            }
            Type::Q4_K => q4_k(sigma, random, block),
            Type::Q6_K => q6_k(sigma, random, block),
        }
    }
}

/// Scale and minimum of each 32 elements are equal and `dmin` is 7.5 `d`, the middle of the quants: the mean is 0.
fn q4_k(sigma: f32, random: &mut Random, block: &mut [u8]) {
    random.fill(&mut block[16..]);
    let mut drawn = [0; 8];
    random.fill(&mut drawn);
    let scales = drawn.map(|byte| 32 + byte % 32);
    // The first four scales and minima have bytes of their own; the others lie in nibbles and the bytes' high bits.
    for i in 0..4 {
        let (low, high) = (scales[i], scales[i + 4]);
        block[4 + i] = low | (high >> 4) << 6;
        block[8 + i] = low | (high >> 4) << 6;
        block[12 + i] = (high & 15) | (high & 15) << 4;
    }
    let d = sigma / (uniform(16.0) * 48.4);
    block[..2].copy_from_slice(&f16(d));
    block[2..4].copy_from_slice(&f16(7.5 * d));
}

/// A scale of either sign for each 16 elements: so the mean is 0, though the quants go from -32 to 31.
fn q6_k(sigma: f32, random: &mut Random, block: &mut [u8]) {
    random.fill(&mut block[..208]);
    for scale in &mut block[192..208] {
        let size = 64 + (*scale & 63);
        *scale = if *scale & 64 == 0 { size } else { size.wrapping_neg() };
    }
    block[208..].copy_from_slice(&f16(sigma / (uniform(64.0) * 97.3)));
}

/// Half precision, for numbers from 0 to 65,504.
fn f16(value: f32) -> [u8; 2] {
    const SMALLEST_NORMAL: f32 = 1.0 / 16384.0;
    let half = if value < SMALLEST_NORMAL {
        // In steps of 2^-24; 1024 of them are the smallest normal number.
        (value * 16_777_216.0).round() as u16
    } else {
        // Half of the last place is added, so that what is cut off rounds.
        ((value.to_bits() + (1 << 12) - (112 << 23)) >> 13) as u16
    };
    half.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f16_at(bytes: &[u8], at: usize) -> f32 {
        let half = u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        match half >> 10 {
            0 => half as f32 / 16_777_216.0,
            exponent => f32::from_bits((exponent + 112) << 23 | (half & 0x3ff) << 13),
        }
    }

    /// By ggml's formulas (`dequantize_row_*` in ggml-quants.c).
    fn dequantise(kind: Type, block: &[u8]) -> Vec<f32> {
        match kind {
            Type::F32 => vec![f32::from_le_bytes(block.try_into().unwrap())],
            Type::Q8_0 => block[2..].iter().map(|q| f16_at(block, 0) * f32::from(q.cast_signed())).collect(),
            Type::Q4_K => (0..256)
                .map(|i| {
                    let (s, packed) = (i / 32, &block[4..16]);
                    let (scale, min) = if s < 4 {
                        (packed[s] & 63, packed[s + 4] & 63)
                    } else {
                        (
                            packed[s + 4] & 15 | packed[s - 4] >> 6 << 4,
                            packed[s + 4] >> 4 | packed[s] >> 6 << 4,
                        )
                    };
                    let q = block[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
                    f16_at(block, 0) * f32::from(scale) * f32::from(q) - f16_at(block, 2) * f32::from(min)
                })
                .collect(),
            Type::Q6_K => (0..256)
                .map(|i| {
                    let (half, quarter, l) = (i / 128, i % 128 / 32, i % 32);
                    let low = block[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
                    let high = block[128 + half * 32 + l] >> (2 * quarter) & 3;
                    let scale = f32::from(block[192 + i / 16].cast_signed());
                    f16_at(block, 208) * scale * (f32::from(low | high << 4) - 32.0)
                })
                .collect(),
        }
    }

    #[test]
    fn weights_have_the_mean_and_the_deviation_that_were_asked_for() {
        for kind in [Type::F32, Type::Q8_0, Type::Q4_K, Type::Q6_K] {
            let sigma = 1.5 / 2048f32.sqrt();
            let mut bytes = vec![0; kind.bytes(1 << 18)];
            weights(kind, sigma, &mut Random::named("a"), &mut bytes);
            let values: Vec<f32> =
                bytes.chunks_exact(kind.block().1).flat_map(|block| dequantise(kind, block)).collect();
            assert_eq!(values.len(), 1 << 18);
            let count = values.len() as f32;
            let mean = values.iter().sum::<f32>() / count;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
            assert!(mean.abs() < 0.01 * sigma, "{kind:?}: mean {mean}");
            assert!((deviation / sigma - 1.0).abs() < 0.05, "{kind:?}: {deviation} for {sigma}");
        }
    }

    #[test]
    fn halves() {
        for (value, expected) in
            [(1.0, 0x3c00), (1.0 / 3.0, 0x3555), (1.0 / 16384.0, 0x0400), (1e-5, 0x00a8), (0.0, 0)]
        {
            assert_eq!(u16::from_le_bytes(f16(value)), expected, "{value}");
        }
        let value = 1.2345e-4;
        assert!((f16_at(&f16(value), 0) / value - 1.0).abs() < 5e-4);
    }
}
