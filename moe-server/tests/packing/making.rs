//! Packing, interrupted and gone on with.

use std::{fs, path::Path};

use moe_server::model::packing::{PackError, default_output, verify};

use crate::support::{folder_with, loaded, packed, packing, random, value_of};

fn partial(model: &Path) -> std::path::PathBuf {
    default_output(model).with_extension("gguf.partial")
}

#[test]
fn the_same_model_makes_the_same_bytes_on_any_number_of_runs() {
    let (_folder, model) = folder_with("tiny.gguf");
    let whole = fs::read(packed(&model)).unwrap();
    let mut random = random(7);
    for round in 0..4 {
        fs::remove_file(default_output(&model)).unwrap();
        let (mut runs, mut parts) = (0, 0);
        let last = loop {
            runs += 1;
            // What is there already counts, too.
            parts += 1 + random(80);
            let (result, told) = packing(&model, None, parts);
            assert_eq!(told.iter().any(|event| event.starts_with("Resumed")), runs > 1, "{told:?}");
            match result {
                Ok(packed) => break packed,
                Err(PackError::Stopped { done, total, .. }) => assert!(done < total),
                Err(error) => panic!("{error}"),
            }
            assert!(!default_output(&model).exists() && partial(&model).exists());
        };
        assert!(!partial(&model).exists());
        assert_eq!(last.size, whole.len() as u64);
        assert!(fs::read(&last.path).unwrap() == whole, "round {round} of {runs} runs");
    }
}

/// What a crash of the machine may leave: bytes that were never written behind those that the mark counts.
#[test]
fn only_what_the_mark_counts_is_believed() {
    let (_folder, model) = folder_with("tiny.gguf");
    let whole = fs::read(packed(&model)).unwrap();
    fs::remove_file(default_output(&model)).unwrap();
    packing(&model, None, 20).0.unwrap_err();
    let left = fs::read(partial(&model)).unwrap();
    let mark = value_of(&left, "moegate.packed.content_sha256");
    let text = std::str::from_utf8(&left[mark..mark + 64]).unwrap();
    let done: usize = text.strip_prefix("partial:").unwrap().parse().unwrap();
    assert!(done > 0 && left.len() < whole.len());
    for (damage, resumes) in [
        (&(|bytes: &mut Vec<u8>| bytes.resize(bytes.len() + 5_000, 0xEE)) as &dyn Fn(&mut Vec<u8>), true),
        // Less than the mark says.
        (&|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1), false),
        (&|bytes: &mut Vec<u8>| bytes.truncate(100), false),
        (&|bytes: &mut Vec<u8>| bytes[mark..mark + 64].fill(b'f'), false),
        (&|bytes: &mut Vec<u8>| bytes[mark + 8..mark + 64].fill(b'9'), false),
        (&|bytes: &mut Vec<u8>| bytes[40] ^= 1, false),
    ] {
        let mut bytes = left.clone();
        damage(&mut bytes);
        fs::write(partial(&model), bytes).unwrap();
        let (result, told) = packing(&model, None, usize::MAX);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].starts_with("Resumed"), resumes, "{told:?}");
        assert!(fs::read(result.unwrap().path).unwrap() == whole);
        fs::remove_file(default_output(&model)).unwrap();
    }
}

#[test]
fn another_model_begins_anew() {
    let (folder, model) = folder_with("tiny.gguf");
    packing(&model, None, 20).0.unwrap_err();
    let other = folder_with("nano-f32.gguf");
    let (result, told) = packing(&other.1, Some(&default_output(&model)), usize::MAX);
    assert!(told.len() == 1 && told[0].starts_with("Anew"), "{told:?}");
    let file = result.unwrap().path;
    assert_eq!(file, folder.path().join("tiny.packed.gguf"));
    verify(&file, &mut |_, _| {}).unwrap();
    // It is none of that model's: that one is packed again, over it.
    let (result, told) = packing(&model, None, usize::MAX);
    assert!(!result.unwrap().was_there && told.is_empty());
    assert_eq!(loaded(&file).0.unwrap().tokenizer.vocab_size(), 1024);
}

#[test]
fn what_is_up_to_date_is_left_alone() {
    let (_folder, model) = folder_with("tiny.gguf");
    let file = packed(&model);
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    let (result, _) = packing(&model, None, usize::MAX);
    let result = result.unwrap();
    assert!(result.was_there);
    assert_eq!(result.size, fs::metadata(&file).unwrap().len());
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written);
    // A damaged header is not up to date.
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(!packing(&model, None, usize::MAX).0.unwrap().was_there);
    verify(&file, &mut |_, _| {}).unwrap();
}

#[test]
fn a_damaged_content_is_found_by_verifying() {
    let (_folder, model) = folder_with("tiny.gguf");
    let file = packed(&model);
    let mut last = (0, 0);
    verify(&file, &mut |done, total| last = (done, total)).unwrap();
    assert!(last.0 == last.1 && last.1 > 500_000, "{last:?}");
    let good = fs::read(&file).unwrap();
    for at in [crate::support::data_of(&good), good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 16;
        fs::write(&file, bytes).unwrap();
        assert!(matches!(verify(&file, &mut |_, _| {}), Err(PackError::Damaged(_))), "byte {at}");
    }
    assert!(matches!(verify(&model, &mut |_, _| {}), Err(PackError::NotPacked(_))));
}
