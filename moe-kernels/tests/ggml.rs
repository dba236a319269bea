//! Decoding of every block type against gguf-py, and quantising to Q8_0.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use moe_kernels::ggml::{BlockType, dequantise, quantise_q8_0};

fn golden(name: &str) -> String {
    std::fs::read_to_string(format!("{}/goldens/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect()
}

fn floats(text: &str) -> Vec<f32> {
    hex(text).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn fnv1a(values: &[f32]) -> String {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    let hash =
        bytes.fold(0xCBF2_9CE4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    format!("{hash:016x}")
}

fn decoded(block_type: BlockType, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; bytes.len() / block_type.block_bytes() * block_type.block_elements()];
    dequantise(block_type, bytes, &mut out);
    out
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// In (−1, 1).
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

#[test]
fn blocks_decode_to_ggufs_bits() {
    let mut seen = Vec::new();
    for (line, number) in golden("dequantised.txt").lines().zip(1..) {
        let mut fields = line.split(' ');
        let [name, blocks, expected] = std::array::from_fn(|_| fields.next().unwrap());
        let block_type = *BlockType::ALL.iter().find(|t| format!("{t:?}") == name).unwrap();
        let found = decoded(block_type, &hex(blocks));
        if let Some(hash) = expected.strip_prefix("fnv:") {
            assert_eq!(fnv1a(&found), hash, "line {number}: {name}");
        } else {
            let expected = floats(expected);
            assert_eq!(found.len(), expected.len(), "line {number}: {name}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "line {number}: {name}, {i}: {found}, {expected}"
                );
            }
        }
        seen.push(block_type);
    }
    for block_type in BlockType::ALL {
        let cases = seen.iter().filter(|seen| *seen == block_type).count();
        assert!(cases > 0, "no golden of {block_type:?}");
    }
}

#[test]
fn any_bytes_decode() {
    let mut random = Random(1);
    for block_type in BlockType::ALL {
        for blocks in [0, 1, 500] {
            let bytes = random.bytes(blocks * block_type.block_bytes());
            let together = decoded(*block_type, &bytes);
            // Every block by itself, whatever stands beside it.
            let apart: Vec<f32> = bytes
                .chunks(block_type.block_bytes())
                .flat_map(|block| decoded(*block_type, block))
                .collect();
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            assert!(together.iter().zip(&apart).all(same), "{block_type:?}");
            assert_eq!(together.len(), blocks * block_type.block_elements());
        }
        for byte in [0, 0xFF] {
            decoded(*block_type, &vec![byte; 3 * block_type.block_bytes()]);
        }
    }
}

#[test]
#[should_panic(expected = "35 bytes are no whole number of blocks of 34")]
fn half_blocks_are_refused() {
    dequantise(BlockType::Q8_0, &[0; 35], &mut [0.0; 32]);
}

#[test]
#[should_panic(expected = "2 blocks of 32 elements need just as much room")]
fn too_much_room_is_refused() {
    dequantise(BlockType::Q8_0, &[0; 68], &mut [0.0; 96]);
}

fn quantised(values: &[f32]) -> Vec<u8> {
    let mut out = vec![0xAA; values.len() / 32 * 34];
    quantise_q8_0(values, &mut out);
    out
}

#[test]
fn q8_0_is_rounded_as_ggml_does() {
    let text = golden("q8_0.txt");
    assert_eq!(text.lines().count(), 8);
    for (line, number) in text.lines().zip(1..) {
        let (values, blocks) = line.split_once(' ').unwrap();
        assert_eq!(quantised(&floats(values)), hex(blocks), "line {number}");
    }
}

#[test]
fn q8_0_is_half_a_step_away_at_most() {
    let mut random = Random(2);
    for _ in 0..20_000 {
        // Scales from below the least F16 to near the largest.
        let size = 2.0_f32.powi((random.next() % 58) as i32 - 35);
        let values: Vec<f32> = (0..32).map(|_| size * random.signed().powi(3)).collect();
        let blocks = quantised(&values);
        let step = values.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0;
        // The scale that is stored is a rounded step, and codes count it up to 127 times.
        let stored = decoded(BlockType::F16, &blocks[..2])[0];
        assert!((stored - step).abs() <= (step / 2048.0).max(2.0_f32.powi(-25)), "{stored} for {step}");
        for ((value, found), code) in values.iter().zip(decoded(BlockType::Q8_0, &blocks)).zip(&blocks[2..]) {
            let rounding = f32::from(code.cast_signed()).abs() * (stored - step).abs();
            let error = (value - found).abs();
            assert!(error <= step * 0.50001 + rounding * 1.0001, "{value} became {found}, a step is {step}");
        }
    }
}

#[test]
fn q8_0_of_odd_values() {
    let block = |some: &[f32]| {
        let mut values = [0.0; 32];
        values[..some.len()].copy_from_slice(some);
        decoded(BlockType::Q8_0, &quantised(&values))
    };
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(block(&[127.0, odd, -1.0]).iter().all(|value| value.is_nan()), "{odd}");
    }
    let most = 127.0 * 65504.0;
    assert_eq!(block(&[f32::MAX, -1e20, 65504.0, 1.0])[..4], [most, -most, 65504.0, 0.0]);
    assert_eq!(block(&[1e-40, -1e-45, f32::MIN_POSITIVE]), [0.0; 32]);
}
