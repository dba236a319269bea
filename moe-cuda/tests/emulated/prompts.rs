//! Several tokens of a sequence in one step, and blocks of KV that lie anywhere.

use std::path::Path;

use moe_cuda::{
    check,
    decode::{Batch, Decoder, KvGroup, Options},
    emulation::Emulated,
    kv::KvType,
    model::{HeadNorm, Model, Shape, WeightType},
    random::{self, Random, Recipe},
};
use moe_kernels::packed::PackedType;

const Q4: WeightType = WeightType::Packed(PackedType::Q4_K);
const Q8: WeightType = WeightType::Packed(PackedType::Q8_0);
const CONTEXT: usize = 128;

fn device() -> Emulated {
    Emulated::new(Path::new(env!("CARGO_TARGET_TMPDIR")), 2, 32, 4, KvType::F16)
}

/// Small, with chunks that a prompt crosses, and all that a layer can have: the last has no rope, the others see chunks of 32.
pub(crate) fn recipe([head_dim, group]: [usize; 2]) -> Recipe {
    Recipe {
        shape: Shape {
            hidden: 256,
            heads: 2 * group,
            kv_heads: 2,
            head_dim,
            experts: 4,
            used: 2,
            vocab: 300,
            chunk: Some(32),
            head_norm: HeadNorm::Plain,
            rope_halves: false,
            softmax_on_output: false,
            eps: 1e-5,
            frequencies: random::frequencies(head_dim, 1e4),
            temperature: Some((16, 0.1)),
        },
        layers: 4,
        ff: 256,
        shared: true,
        types: [Q4, Q8, Q4, WeightType::F32],
        embedding: WeightType::F16,
    }
}

fn options(rows: usize) -> Options {
    Options { rows, wanted: rows, slots: 3, blocks: 64, block_tokens: 16, ..Options::new(rows, CONTEXT) }
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Logits after each token of `tokens` in `slot`, one at a time.
fn one_by_one(device: &Emulated, model: &Model, tokens: &[u32], slot: u32) -> Vec<Vec<u32>> {
    let mut decoder = Decoder::new(device, model, options(1)).unwrap();
    let mut all = Vec::new();
    for (position, token) in (0..).zip(tokens) {
        let batch = Batch { tokens: &[*token], positions: &[position], slots: &[slot], wanted: &[0] };
        decoder.set(&batch).unwrap();
        decoder.compute().unwrap();
        all.push(bits(&decoder.logits(0).unwrap()));
    }
    all
}

#[test]
fn a_prompt_in_steps_of_any_size_gives_its_tokens_the_bits_that_they_have_one_by_one() {
    let device = device();
    let model = random::model(&device, &recipe([32, 4]), 11).unwrap();
    for sizes in [&[36][..], &[7, 1, 34]] {
        let report = check::prompts(&device, &model, sizes, 4).unwrap();
        assert!(report.is_right(), "{report:?}");
    }
}

#[test]
fn prompts_and_decodes_share_a_step_and_blocks_lie_anywhere() {
    let device = device();
    let model = random::model(&device, &recipe([32, 4]), 12).unwrap();
    let mut random = Random::new(5);
    let texts: Vec<Vec<u32>> =
        [20, 9, 35].iter().map(|count| (0..*count).map(|_| random.below(300) as u32).collect()).collect();
    let alone: Vec<_> = texts.iter().map(|text| one_by_one(&device, &model, text, 0)).collect();
    let mut decoder = Decoder::new(&device, &model, options(64)).unwrap();
    let mut free: Vec<u32> = (0..64).collect();
    for slot in 0..3 {
        for group in [KvGroup::Full, KvGroup::Chunked] {
            let blocks: Vec<u32> = (0..8).map(|_| free.swap_remove(random.below(free.len()))).collect();
            decoder.set_table(group, slot, 0, &blocks).unwrap();
        }
    }
    let mut done = [0_usize; 3];
    while (0..3).any(|slot| done[slot] < texts[slot].len()) {
        let (mut tokens, mut positions, mut slots, mut wanted, mut whose) =
            (vec![], vec![], vec![], vec![], vec![]);
        for (slot, text) in texts.iter().enumerate() {
            let more = [1, 6, 17][random.below(3)].min(text.len() - done[slot]);
            tokens.extend(&text[done[slot]..done[slot] + more]);
            positions.extend((done[slot]..done[slot] + more).map(|at| at as u32));
            slots.extend(vec![slot as u32; more]);
            done[slot] += more;
            if more > 0 {
                wanted.push(tokens.len() as u32 - 1);
                whose.push(slot);
            }
        }
        decoder
            .set(&Batch { tokens: &tokens, positions: &positions, slots: &slots, wanted: &wanted })
            .unwrap();
        decoder.compute().unwrap();
        for (index, slot) in whose.into_iter().enumerate() {
            let got = bits(&decoder.logits(index).unwrap());
            assert_eq!(got, alone[slot][done[slot] - 1], "sequence {slot} after {} tokens", done[slot]);
        }
    }
}
