//! Packed files whose every byte may be wrong: an error or another model, never a panic, and in bounded time.

use std::{fs, sync::Arc, time::Instant};

use moe_server::model::{Special, Tokenizer, gguf::Gguf};

use crate::support::{data_of, folder_with, loaded, packed, random, reseal};

/// The header's bytes, without what fills up to the data.
pub(crate) fn header_of(bytes: &[u8]) -> usize {
    Gguf::from_bytes(bytes.to_vec()).unwrap().files().next().unwrap().header.len()
}

const WIDE: [u64; 7] = [0, 1, u64::MAX, 1 << 63, 1 << 32, 0xFFFF_FFFE, 1 << 24];

/// Changes some bytes of `range` in one of several ways.
fn damage(bytes: &mut [u8], range: std::ops::Range<usize>, random: &mut impl FnMut(usize) -> usize) {
    for _ in 0..=random(3) {
        let at = range.start + random(range.len());
        match random(4) {
            0 => bytes[at] ^= 1 << random(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
            2 => {
                let end = (at + 8).min(range.end);
                bytes[at..end].copy_from_slice(&WIDE[random(WIDE.len())].to_le_bytes()[..end - at]);
            }
            _ => {
                let from = range.start + random(range.len());
                let length = random(64).min(range.end - from.max(at));
                bytes.copy_within(from..from + length, at);
            }
        }
    }
}

fn use_tokenizer(tokenizer: &Tokenizer) {
    let text = "Hello<|eot|> wörld\n\n 123 🙂 <|begin_of_text|><|<|";
    for special in [Special::AsText, Special::Parse] {
        let tokens = tokenizer.encode(text, special);
        assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.vocab_size()));
        let mut decoder = tokenizer.decoder();
        tokens.iter().for_each(|token| drop(decoder.push(*token)));
    }
}

#[test]
fn a_damaged_index_is_an_error_or_another_tokenizer() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let good = fs::read(packed(&model)).unwrap();
    let index = {
        let gguf = Gguf::from_bytes(good.clone()).unwrap();
        let info = gguf.tensor("moegate.tokenizer").unwrap();
        info.offset..info.offset + info.bytes.len()
    };
    let mut random = random(21);
    let (mut worked, mut refused) = (0, 0);
    for round in 0..1_000 {
        let mut bytes = good.clone();
        // The header is short: half of the rounds are for it.
        let range = if round % 2 == 0 { index.start..index.start + 64 } else { index.clone() };
        damage(&mut bytes, range, &mut random);
        let gguf = Arc::new(Gguf::from_bytes(bytes).unwrap());
        match Tokenizer::from_packed(&gguf) {
            Ok(tokenizer) => {
                worked += 1;
                let begun = Instant::now();
                use_tokenizer(&tokenizer);
                assert!(begun.elapsed().as_secs() < 10, "round {round} took {:?}", begun.elapsed());
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(worked > 300 && refused > 100, "{worked} worked, {refused} refused");
}

/// Every number of the index's header, with values at the edges of what a shift, a product or a sum can take.
#[test]
fn no_number_of_an_index_is_believed() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let good = fs::read(packed(&model)).unwrap();
    let start = data_of(&good);
    for field in 0..10 {
        let at = start + 4 * field;
        let old = u32::from_le_bytes(good[at..at + 4].try_into().unwrap());
        let edges =
            [old ^ 1, old + 1, old.wrapping_sub(1), old * 2, u32::MAX, u32::MAX / 4, u32::MAX / 12, 1 << 31];
        // Two of them are shifted by.
        let shifts = if [4, 6].contains(&field) { 70 } else { 0 };
        for value in (0..shifts).chain(edges) {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            if let Ok(tokenizer) = Tokenizer::from_packed(&Arc::new(Gguf::from_bytes(bytes).unwrap())) {
                use_tokenizer(&tokenizer);
            }
        }
    }
}

#[test]
fn tables_without_an_empty_slot_end_the_search() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let good = fs::read(packed(&model)).unwrap();
    let start = data_of(&good);
    for fill in [[0_u8; 4], [0xFE, 0xFF, 0xFF, 0xFF], [1, 0, 0, 0]] {
        let mut bytes = good.clone();
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (tokens, text, slots) = (number(start + 8), number(start + 12), 1 << number(start + 16));
        let (merges, merge_slots) = (number(start + 20), 1 << number(start + 24));
        let at = start + 64 + 4 * tokens + text.next_multiple_of(4);
        bytes[at..at + 4 * slots].as_chunks_mut::<4>().0.fill(fill);
        let at = at + 4 * slots + 12 * merges;
        bytes[at..at + 4 * merge_slots].as_chunks_mut::<4>().0.fill(fill);
        let tokenizer = Tokenizer::from_packed(&Arc::new(Gguf::from_bytes(bytes).unwrap())).unwrap();
        let begun = Instant::now();
        let tokens = tokenizer.encode(&"abc ".repeat(10_000), Special::AsText);
        assert!(!tokens.is_empty() && begun.elapsed().as_secs() < 20);
    }
}

/// Shifted by so much, the size of a table is 0.
#[test]
fn a_table_without_slots_is_refused() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let good = fs::read(packed(&model)).unwrap();
    let start = data_of(&good);
    let number = |field: usize| {
        let at = start + 4 * field;
        u32::from_le_bytes(good[at..at + 4].try_into().unwrap())
    };
    // The texts' bytes, and the tables of tokens and of merges.
    let (texts, tables) = (3, [4, 6]);
    for table in tables {
        for log2 in [62_u32, 63] {
            let mut bytes = good.clone();
            // The texts take the table's bytes, so that the index is as long as its parts.
            let longer = number(texts) + (4_u32 << number(table));
            bytes[start + 4 * texts..][..4].copy_from_slice(&longer.to_le_bytes());
            bytes[start + 4 * table..][..4].copy_from_slice(&log2.to_le_bytes());
            let gguf = Arc::new(Gguf::from_bytes(bytes).unwrap());
            let error = Tokenizer::from_packed(&gguf).unwrap_err().to_string();
            assert!(error.contains("impossible counts"), "{error}");
        }
    }
}

#[test]
fn a_damaged_header_with_the_right_hash_is_an_error_or_another_model() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let file = packed(&model);
    let good = fs::read(&file).unwrap();
    let header = header_of(&good);
    let mut random = random(5);
    let (mut worked, mut refused) = (0, 0);
    for _ in 0..500 {
        let mut bytes = good.clone();
        damage(&mut bytes, 24..header, &mut random);
        // Where the hashes' keys are hit, there is nothing to seal.
        let hit = |key: &str| !bytes[..header].windows(key.len()).any(|window| window == key.as_bytes());
        if !hit("moegate.packed.content_sha256") && !hit("moegate.packed.header_sha256") {
            reseal(&mut bytes, header);
        }
        fs::write(&file, &bytes).unwrap();
        match loaded(&file).0 {
            Ok(model) => {
                worked += 1;
                use_tokenizer(&model.tokenizer);
            }
            Err(error) => {
                refused += 1;
                assert!(error.starts_with(&file.display().to_string()), "{error}");
            }
        }
    }
    assert!(worked > 20 && refused > 100, "{worked} worked, {refused} refused");
}

#[test]
fn every_truncation_is_an_error() {
    let (_folder, model) = folder_with("nano-f16.gguf");
    let file = packed(&model);
    let good = fs::read(&file).unwrap();
    let mut random = random(9);
    for length in (0..200).map(|_| random(good.len())).chain([0, good.len() - 1]) {
        fs::write(&file, &good[..length]).unwrap();
        loaded(&file).0.expect_err("a file cut short");
    }
}
