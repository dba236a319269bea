//! `moe-server plan`.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{DEMO, gguf_writer::Writer};

/// Status, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_moe-server")).arg("plan").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_status_says_whether_it_has_room() {
    let (status, out, _) = run(&[DEMO]);
    assert_eq!(status, 0, "{out}");
    for part in ["llama4", "experts", "attention", "24 GB", "48 GB", "80 GB", "141 GB", "32 sequences of"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (status, out, _) = run(&[DEMO, "--memory", "0.5", "--context", "256"]);
    assert_eq!(status, 0, "{out}");
    assert!(out.contains("32 sequences of 256 tokens have room") && out.contains("buffers"), "{out}");
    let (status, out, _) = run(&[DEMO, "--memory", "0.01", "--context", "256"]);
    assert_eq!(status, 1, "{out}");
    assert!(out.contains("too large by") && out.contains("- a larger card"), "{out}");
    let (status, out, _) = run(&[DEMO, "--device", "cpu", "--memory", "1", "--kv-type", "q8_0"]);
    assert_eq!(status, 0, "{out}");
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn scripts_get_numbers() {
    let (status, out, _) = run(&[DEMO, "--memory", "0.5", "--context", "256", "--max-batch", "3", "--json"]);
    assert_eq!((status, out.lines().count()), (0, 1));
    let said: Value = serde_json::from_str(&out).unwrap();
    let plan = &said["plans"][0];
    assert_eq!((&plan["fits"], &plan["memory_bytes"]), (&true.into(), &(1_u64 << 29).into()));
    let number = |name: &str| plan["room"][name].as_u64().unwrap();
    let parts = ["weights_bytes", "kv_bytes", "buffers_bytes"].map(number);
    assert_eq!(parts.iter().sum::<u64>(), number("total_bytes"));
    assert_eq!(said["weights"]["bytes"], parts[0]);
    let groups = said["weights"]["groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| group["bytes"].as_u64().unwrap()).sum::<u64>(), parts[0]);
    assert_eq!((number("sequences"), 3 * number("kv_bytes_per_sequence")), (3, parts[1]));
    let (status, out, _) = run(&[DEMO, "--memory", "0.01", "--json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    let plan = &said["plans"][0];
    let missing = plan["needed_bytes"].as_u64().unwrap() - plan["memory_bytes"].as_u64().unwrap();
    assert_eq!((status, plan["missing_bytes"].as_u64()), (1, Some(missing)));
}

#[test]
fn what_cannot_be_told_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let demo = fs::read(DEMO).unwrap();
    let text = file("text.gguf", b"not a model at all, and long enough for a header");
    let cut = file("cut.gguf", &demo[..demo.len() - 1000]);
    let head = file("head.gguf", &demo[..2000]);
    let other = Writer::header(0, 1).text("general.architecture", "gemma4");
    let other = file("other.gguf", &other.0);
    let absent = folder.path().join("absent.gguf").to_str().unwrap().to_owned();
    for (args, part) in [
        (vec![&*text], "text.gguf"),
        (vec![&*cut], "cut.gguf"),
        (vec![&*head], "head.gguf"),
        (vec![&*other], "gemma4"),
        (vec![&*absent], "absent.gguf"),
        (vec![], "a model"),
        (vec![DEMO, "--memory", "x"], "GiB"),
        (vec![DEMO, "--memory", "1", "--kv-type", "f32"], "of type f16 or q8_0"),
        (vec![DEMO, "--frob"], "--frob"),
    ] {
        let (status, out, error) = run(&args);
        assert_eq!((status, &*out), (2, ""), "{args:?}: {error}");
        assert!(error.contains(part), "{args:?}: {error}");
    }
    // Where there is a GPU, it answers.
    let (status, _, error) = run(&[DEMO, "--device", "cuda:99"]);
    assert!(status == 2 && error.contains("give --memory"), "{error}");
}
