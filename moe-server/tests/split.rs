//! Models in several files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod gguf_writer;

use std::path::{Path, PathBuf};

use gguf_writer::Writer;
use moe_server::model::gguf::{Gguf, GgufError};

/// A part as `gguf-split` writes it: tensors of two floats each.
fn part(number: u16, count: u16, total: i32, names: &[&str]) -> Vec<u8> {
    let keys = if number == 0 { 4 } else { 3 };
    let mut writer = Writer::header(names.len() as u64, keys);
    if number == 0 {
        writer = writer.text("general.name", "whole");
    }
    writer = writer
        .key("split.no", 2, &number.to_le_bytes())
        .key("split.count", 2, &count.to_le_bytes())
        .key("split.tensors.count", 5, &total.to_le_bytes());
    for (index, name) in names.iter().enumerate() {
        writer = writer.tensor(name, &[2], 0, 32 * index as u64);
    }
    let mut bytes = writer.data(32, 32 * names.len());
    // Tells the parts apart.
    let data = bytes.len() - 32 * names.len();
    bytes[data..].fill(u8::try_from(number).unwrap());
    bytes
}

fn write(folder: &Path, number: u16, count: u16, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("model-{:05}-of-{count:05}.gguf", number + 1));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn three(folder: &Path) -> [PathBuf; 3] {
    let names: [&[&str]; 3] = [&["a", "b"], &["c"], &["d", "e"]];
    [0, 1, 2].map(|number| write(folder, number, 3, &part(number, 3, 5, names[usize::from(number)])))
}

#[test]
fn any_part_opens_all() {
    let folder = tempfile::tempdir().unwrap();
    for path in three(folder.path()) {
        let gguf = Gguf::open(&path).unwrap();
        assert_eq!(gguf.get::<&str>("general.name").unwrap(), "whole");
        let tensors: Vec<_> =
            gguf.tensors().map(|tensor| (tensor.name.to_owned(), tensor.bytes[0])).collect();
        let expected = [("a", 0), ("b", 0), ("c", 1), ("d", 2), ("e", 2)];
        assert_eq!(tensors, expected.map(|(name, byte)| (name.to_owned(), byte)));
        for tensor in gguf.tensors() {
            assert_eq!(gguf.slice(&tensor.place()), tensor.bytes);
        }
        assert_eq!(gguf.files().count(), 3);
    }
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let case = |change: &dyn Fn(&Path), open: usize, words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let paths = three(folder.path());
        change(folder.path());
        let error = Gguf::open(&paths[open]).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} does not say {word:?}");
        }
    };
    let second = "model-00002-of-00003.gguf";
    case(&|f| std::fs::remove_file(f.join(second)).unwrap(), 0, &["part 2 of 3 is missing", second]);
    case(&|f| drop(write(f, 1, 3, &part(0, 3, 5, &["c"]))), 0, &[second, "not part 2 of 3"]);
    case(&|f| drop(write(f, 1, 3, &part(1, 4, 5, &["c"]))), 0, &[second, "not part 2 of 3"]);
    case(&|f| drop(write(f, 1, 3, &part(1, 3, 5, &["a"]))), 0, &[second, "\"a\"", "another part"]);
    case(&|f| drop(write(f, 1, 3, &part(1, 3, 5, &["c", "f"]))), 0, &["5 tensors", "they hold 6"]);
    case(&|f| drop(write(f, 1, 3, &part(1, 3, 5, &["c"])[..40])), 0, &[second, "the file ends inside"]);
    case(&|f| drop(write(f, 1, 3, b"no model at all")), 2, &[second, "not a GGUF file"]);
    case(&|f| drop(write(f, 1, 3, &Writer::header(0, 0).0)), 0, &[second, "not part 2 of 3"]);
    case(&|f| drop(write(f, 0, 3, &part(7, 3, 5, &["a"]))), 0, &["split.no", "less than split.count"]);
}

#[test]
fn a_renamed_part_says_what_to_call_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, part(1, 3, 5, &["c"])).unwrap();
    let error = Gguf::open(&path).unwrap_err();
    assert!(matches!(error, GgufError::PartName { number: 2, count: 3, .. }), "{error}");
    assert!(error.to_string().contains("NAME-00002-of-00003.gguf"), "{error}");
    // One of one is a whole model.
    std::fs::write(&path, part(0, 1, 1, &["c"])).unwrap();
    assert_eq!(Gguf::open(&path).unwrap().tensors().count(), 1);
}
