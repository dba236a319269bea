//! The GGUF reader on good files, on each kind of bad one, and on random damage.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod gguf_writer;

use std::io::Write as _;

use gguf_writer::{ARRAY, STRING, Writer};
use moe_server::model::gguf::{GgmlType, Gguf, GgufError, Value};

fn good() -> Vec<u8> {
    Writer::header(3, 8)
        .key("general.architecture", STRING, &Writer::default().string("llama4").0)
        .key("block_count", 4, &48_u32.to_le_bytes())
        .key("eps", 6, &1e-5_f32.to_le_bytes())
        .key("flag", 7, &[1])
        .key("negative", 5, &(-3_i32).to_le_bytes())
        .key("words", ARRAY, &Writer::default().u32(STRING).u64(3).string("a").string("").string("Ġñ").0)
        .key("types", ARRAY, &Writer::default().u32(5).u64(2).u32(7).raw(&(-1_i32).to_le_bytes()).0)
        .key("nested", ARRAY, &Writer::default().u32(ARRAY).u64(1).u32(0).u64(2).raw(&[8, 9]).0)
        .tensor("a", &[32, 2], 8, 0)
        .tensor("b", &[3], 0, 96)
        .tensor("future", &[5], 77, 128)
        .data(32, 128 + 12)
}

#[test]
fn reads_what_was_written() {
    let gguf = Gguf::from_bytes(good()).unwrap();
    assert_eq!(gguf.version(), 3);
    assert_eq!(gguf.get::<&str>("general.architecture").unwrap(), "llama4");
    assert_eq!(gguf.get::<usize>("block_count").unwrap(), 48);
    assert_eq!(gguf.get::<f32>("eps").unwrap(), 1e-5);
    assert!(gguf.get::<bool>("flag").unwrap());
    assert_eq!(gguf.get::<i32>("negative").unwrap(), -3);
    assert_eq!(gguf.get::<Vec<&str>>("words").unwrap(), ["a", "", "Ġñ"]);
    assert_eq!(gguf.get::<Vec<i32>>("types").unwrap(), [7, -1]);
    assert!(matches!(gguf.value("nested"), Some(Value::Array(array)) if array.len() == 1));
    assert_eq!(gguf.find::<u32>("absent").unwrap(), None);
    assert_eq!(gguf.keys().count(), 8);

    let a = gguf.tensor("a").unwrap();
    assert_eq!((a.ggml_type, a.dims, a.elements(), a.bytes.len()), (GgmlType::Q8_0, &[32, 2][..], 64, 68));
    assert_eq!(a.bytes[..3], [0, 1, 2]);
    assert_eq!(gguf.slice(&a.place()), a.bytes);
    let b = gguf.tensor("b").unwrap();
    assert_eq!(b.bytes, (96..108).collect::<Vec<u8>>());
    assert_eq!(gguf.tensors().map(|tensor| tensor.name).collect::<Vec<_>>(), ["a", "b", "future"]);
    let future = gguf.tensor("future").unwrap();
    assert_eq!((future.ggml_type, future.bytes.len()), (GgmlType::Unknown(77), 0));
    assert_eq!(future.ggml_type.to_string(), "unknown type 77");
}

#[test]
fn getters_name_the_key() {
    let gguf = Gguf::from_bytes(good()).unwrap();
    let text = |error: GgufError| error.to_string();
    assert_eq!(text(gguf.get::<u32>("absent").unwrap_err()), "the metadata key \"absent\" is missing");
    assert_eq!(
        text(gguf.get::<u32>("eps").unwrap_err()),
        "the metadata key \"eps\" should hold an integer from 0 to 4294967295 and holds the number \
         0.000009999999747378752"
    );
    assert_eq!(
        text(gguf.get::<u32>("negative").unwrap_err()),
        "the metadata key \"negative\" should hold an integer from 0 to 4294967295 and holds the integer -3"
    );
    assert_eq!(
        text(gguf.get::<Vec<u32>>("types").unwrap_err()),
        "the metadata key \"types\" should hold an array, each element an integer from 0 to 4294967295 and holds \
         an array of 2 × i32"
    );
    assert_eq!(
        text(gguf.get::<&str>("words").unwrap_err()),
        "the metadata key \"words\" should hold a string and holds an array of 3 × string"
    );
    assert_eq!(text(gguf.tensor("c").unwrap_err()), "the tensor \"c\" is missing");
}

#[test]
fn version_2_is_read_and_a_mapped_file_is_the_same() {
    let mut bytes = good();
    bytes[4] = 2;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let gguf = Gguf::open(file.path()).unwrap();
    assert_eq!(gguf.version(), 2);
    assert_eq!(gguf.tensor("a").unwrap().bytes.len(), 68);
}

#[test]
fn each_defect_is_named() {
    let one =
        |name: &str, dims: &[u64], type_id, offset| Writer::header(1, 0).tensor(name, dims, type_id, offset);
    let key = |type_id, value: &[u8]| Writer::header(0, 1).key("k", type_id, value);
    let mut deep = Writer::default();
    for _ in 0..6 {
        deep = deep.u32(ARRAY).u64(1);
    }
    let cases: Vec<(Writer, &str)> = vec![
        (Writer::default(), "the file ends inside the header"),
        (Writer::default().raw(b"PK\x03\x04 a zip"), r#"starts with "PK\x03\x04", not GGUF"#),
        (Writer::default().raw(b"GGUF").raw(&3_u32.to_be_bytes()), "big-endian"),
        (Writer::default().raw(b"GGUF").u32(1), "version 1 is not supported"),
        (Writer::default().raw(b"GGUF").u32(4), "version 4 is not supported"),
        (Writer::header(u64::MAX, 0), "ends inside tensor 0 of 18446744073709551615"),
        (Writer::header(0, u64::MAX), "ends inside metadata key 0 of 18446744073709551615"),
        (Writer::header(0, 1).u64(u64::MAX), "18446744073709551615 bytes are needed at offset 32"),
        (Writer::header(0, 1).string(""), "metadata key 0 of 1 (at offset 24) is 0 bytes long"),
        (Writer::header(0, 1).u64(2).raw(b"\xff\xfe"), "metadata key 0 of 1 (at offset 32) is not UTF-8"),
        (key(13, &[]), r#"the value of "k" (at offset 33) has the unknown type 13"#),
        (key(7, &[2]), "a boolean of 2"),
        (key(4, &[1, 2]), r#"ends inside the value of "k""#),
        (key(STRING, &Writer::default().u64(1 << 40).0), "1099511627776 bytes are needed"),
        (key(ARRAY, &Writer::default().u32(4).u64(1 << 62).0), "claims 4611686018427387904 elements"),
        (key(ARRAY, &Writer::default().u32(0).u64(1 << 62).0), "4611686018427387904 bytes are needed"),
        (key(ARRAY, &Writer::default().u32(STRING).u64(1 << 62).string("x").0), "ends inside the value"),
        (key(ARRAY, &deep.0), "nests arrays more than 4 deep"),
        (Writer::header(0, 2).key("k", 0, &[1]).key("k", 0, &[1]), r#"the metadata key "k" occurs twice"#),
        (Writer::header(0, 1).key("split.count", 2, &[3, 0]), "split.no\" is missing"),
        (Writer::header(0, 1).key("general.alignment", 4, &[0; 4]), "a power of two"),
        (Writer::header(0, 1).key("general.alignment", 4, &[48, 0, 0, 0]), "a power of two"),
        (Writer::header(0, 1).key("general.alignment", 10, &[0xff; 8]), "a power of two"),
        (Writer::header(0, 1).key("general.alignment", STRING, &[0; 8]), "holds a string"),
        (one("", &[1], 0, 0), "has a name of 0 bytes"),
        (one("t", &[], 0, 0), "has 0 dimensions"),
        (one("t", &[1, 1, 1, 1, 1], 0, 0), "has 5 dimensions"),
        (one("t", &[1, 0], 0, 0), "has a dimension of 0"),
        (one("t", &[1 << 33, 1 << 33], 0, 0), "impossible shape"),
        (one("t", &[1 << 62], 0, 0), "impossible shape"),
        (one("t", &[33], 8, 0), "rows of 33 elements, no multiple of the 32 of Q8_0"),
        (one("t", &[4], 0, 8), "no multiple of the alignment 32"),
        (one("t", &[4], 0, u64::MAX - 31), "the file ends inside the tensor \"t\""),
        (one("t", &[4], 0, 32), "16 bytes are needed"),
    ];
    for (writer, expected) in cases {
        let error = writer.open().expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }

    let two = |a: (&str, u64), b: (&str, u64)| {
        let writer = Writer::header(2, 0).tensor(a.0, &[16], 0, a.1).tensor(b.0, &[16], 0, b.1);
        Gguf::from_bytes(writer.data(32, 256)).expect_err("two tensors in conflict").to_string()
    };
    assert_eq!(two(("t", 0), ("t", 64)), r#"the tensor "t" occurs twice"#);
    assert!(two(("t", 32), ("u", 0)).contains(r#"the tensor "t" (at offset 24) overlaps the tensor "u""#));
}

#[test]
fn an_empty_a_missing_file_and_a_folder_are_errors() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(Gguf::open(empty.path()).unwrap_err().to_string().contains("the file ends inside the header"));
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), &folder.path().join("absent.gguf")] {
        let error = Gguf::open(path).unwrap_err();
        assert!(matches!(error, GgufError::Io { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

/// To open one would wait for a writer, who may never come.
#[cfg(unix)]
#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.gguf");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), folder.path(), "/dev/null".as_ref()] {
        let error = Gguf::open(path).unwrap_err();
        assert!(matches!(error, GgufError::Io { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

/// Reads everything of an open file, as loaders would.
fn walk(gguf: &Gguf) {
    for key in gguf.keys().map(str::to_owned).collect::<Vec<_>>() {
        let _ =
            (gguf.get::<u32>(&key), gguf.get::<f32>(&key), gguf.get::<bool>(&key), gguf.get::<&str>(&key));
        let _ = (gguf.get::<Vec<&str>>(&key), gguf.get::<Vec<u32>>(&key), gguf.get::<Vec<i32>>(&key));
        let _ = (gguf.get::<Vec<f32>>(&key), format!("{:?}", gguf.value(&key).is_some()));
    }
    for tensor in gguf.tensors() {
        let sum: u64 = tensor.bytes.iter().map(|byte| u64::from(*byte)).sum();
        let _ = (sum, tensor.elements(), format!("{tensor:?}"));
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = good();
    for length in 0..bytes.len() {
        // The last tensor is of an unknown type, hence of no known size: what it lacks cannot be seen.
        let opened = Gguf::from_bytes(bytes[..length].to_vec());
        if length < bytes.len() - 12 - 20 {
            assert!(opened.is_err(), "a file cut at {length} of {} opened", bytes.len());
        }
    }
}

#[test]
fn random_damage_never_panics() {
    let good = good();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        // SplitMix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    };
    let header = good.len() - 140;
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            let at = random(header);
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                2 => {
                    let wide = [0, 1, u64::MAX, 1 << 63, 1 << 32, u64::MAX - 31][random(6)];
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&wide.to_le_bytes()[..end - at]);
                }
                _ => {
                    let from = random(header);
                    let length = random(32).min(header - from.max(at));
                    bytes.copy_within(from..from + length, at);
                }
            }
        }
        if random(4) == 0 {
            bytes.truncate(random(bytes.len()));
        }
        match Gguf::from_bytes(bytes) {
            Ok(gguf) => {
                opened += 1;
                walk(&gguf);
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    // Both ways must really be taken, or the test sees nothing.
    assert!(opened > 5_000 && refused > 50_000, "{opened} opened, {refused} refused");
}

#[test]
fn type_table() {
    assert_eq!(GgmlType::from_id(12), GgmlType::Q4_K);
    assert_eq!(GgmlType::Q4_K.block(), Some((256, 144)));
    assert_eq!(GgmlType::BF16.to_string(), "BF16");
    for ggml_type in GgmlType::ALL {
        assert_eq!(GgmlType::from_id(ggml_type.id()), *ggml_type);
        assert!(ggml_type.block_bytes() > 0);
    }
}
