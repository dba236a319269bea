//! What is not packed, and what is not taken for a packed file.

use std::fs;

use moe_server::model::packing::{PackError, default_output};

use crate::support::{folder_with, loaded, packed, packing, reseal, value_of};

#[test]
fn what_cannot_be_packed_is_refused_by_name() {
    let (folder, model) = folder_with("tiny.gguf");
    let refused = |model: &std::path::Path, output: Option<&std::path::Path>| {
        packing(model, output, usize::MAX).0.unwrap_err().to_string()
    };
    let error = refused(&model, Some(&model));
    assert!(error.contains("is the model itself"), "{error}");
    let file = packed(&model);
    let error = refused(&file, None);
    assert!(error.contains("tiny.packed.gguf is packed already"), "{error}");
    let absent = folder.path().join("absent.gguf");
    assert!(refused(&absent, None).contains("absent.gguf cannot be read"));
    let error = refused(&model, Some(&folder.path().join("no/such/folder.gguf")));
    assert!(error.contains("folder.gguf.partial cannot be written"), "{error}");
    let (_other, second) = folder_with("nano-f32.gguf");
    let before = fs::read(&second).unwrap();
    let error = refused(&model, Some(&second));
    assert!(error.contains("nano-f32.gguf is a model and no packed file"), "{error}");
    assert!(fs::read(&second).unwrap() == before);
    let place = folder.path().join("place");
    fs::create_dir(&place).unwrap();
    let error = refused(&model, Some(&place));
    assert!(error.contains("place cannot be written") && error.contains("directory"), "{error}");
    assert!(!folder.path().join("place.partial").exists());

    let good = fs::read(&model).unwrap();
    for (from, to, expected) in [
        ("llama4", "gemma4", "gemma4"),
        ("\0gpt2", "\0bert", "tokenizer.ggml.model"),
        ("{{- bos_token }}", "{{- bos_token {}", "tokenizer.chat_template"),
    ] {
        let at = crate::support::find(&good, from);
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let other = folder.path().join("other.gguf");
        fs::write(&other, bytes).unwrap();
        let error = refused(&other, None);
        assert!(error.starts_with(&other.display().to_string()) && error.contains(expected), "{error}");
        assert!(!default_output(&other).exists());
    }
}

#[test]
fn two_do_not_write_the_same_file() {
    let (_folder, model) = folder_with("tiny.gguf");
    let partial = default_output(&model).with_extension("gguf.partial");
    let other = fs::File::create(&partial).unwrap();
    other.lock().unwrap();
    let (result, _) = packing(&model, None, usize::MAX);
    assert!(matches!(result, Err(PackError::Busy(path)) if path == partial));
    drop(other);
    packing(&model, None, usize::MAX).0.unwrap();
}

#[test]
fn what_is_no_whole_packed_file_of_this_version_is_not_served() {
    let (_folder, model) = folder_with("tiny.gguf");
    let file = packed(&model);
    let good = fs::read(&file).unwrap();
    fs::remove_file(&model).unwrap();
    // The value's type is before a number.
    let version = value_of(&good, "moegate.packed.version") - 8;
    let content = value_of(&good, "moegate.packed.content_sha256");
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(&str, Damage<'_>); 7] = [
        ("its format is version 2, and this server reads version 1", &|bytes| bytes[version] = 2),
        ("its format is version 0", &|bytes| bytes[version] = 0),
        ("was not packed to its end", &|bytes| bytes[content..content + 8].copy_from_slice(b"partial:")),
        ("its header is not as it was written", &|bytes| {
            let at = crate::support::find(bytes, "llama4.context_length") + 21 + 4;
            bytes[at] ^= 1;
        }),
        ("was longer or shorter", &|bytes| bytes.push(0)),
        ("the file ends inside", &|bytes| bytes.truncate(bytes.len() - 1)),
        ("does not say by whom", &|bytes| {
            let at = crate::support::find(bytes, "moegate.packed.version");
            bytes[at..at + 22].copy_from_slice(b"moegate.packed.versiom");
        }),
    ];
    for (expected, damage) in cases {
        let mut bytes = good.clone();
        damage(&mut bytes);
        fs::write(&file, bytes).unwrap();
        let error = loaded(&file).0.unwrap_err();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    // With the right hash of its header, the index is looked at.
    let mut bytes = good.clone();
    let data = crate::support::data_of(&good);
    bytes[data] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert!(loaded(&file).0.unwrap_err().contains("its index does not begin as one; pack the model again"));
    // A forged hash passes, as it must: it guards against damage, not against malice.
    let mut bytes = good;
    let header = crate::hostile::header_of(&bytes);
    reseal(&mut bytes, header);
    fs::write(&file, &bytes).unwrap();
    loaded(&file).0.unwrap();
}
