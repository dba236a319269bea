//! The command: what it prints and how it ends.

use std::process::{Command, Output};

use crate::support::folder_with;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_moe-server")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn packs_says_so_and_verifies() {
    let (folder, model) = folder_with("tiny.gguf");
    let model = model.to_str().unwrap();
    let output = run(&["pack", model]);
    let file = folder.path().join("tiny.packed.gguf");
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), format!("{} is packed: {size} bytes\n", file.display()));
    // No bar where no terminal is.
    let said = text(&output.stderr);
    assert!(said.contains("100 % packed") && !said.contains('\r'), "{said:?}");

    let output = run(&["pack", model]);
    assert_eq!(text(&output.stdout), format!("{} is up to date: {size} bytes\n", file.display()));
    let file = file.to_str().unwrap();
    let output = run(&["pack", "--verify", file]);
    assert_eq!(text(&output.stdout), format!("{file} is as it was packed\n"));

    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
    let output = run(&["pack", "--verify", file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is damaged"), "{}", text(&output.stderr));
    assert_eq!(run(&["pack"]).status.code(), Some(2));
    assert_eq!(run(&["pack", file]).status.code(), Some(1));
}

/// A limit on the size of files looks like a full disk, and needs none.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_the_next_run_goes_on() {
    let (folder, model) = folder_with("demo.gguf");
    let program = env!("CARGO_BIN_EXE_moe-server");
    // Blocks of 512 bytes or 1 KiB, by the shell: some MiB and less than the model either way.
    let script = r#"trap '' XFSZ; ulimit -f 7000; exec "$0" pack "$1""#;
    let output = Command::new("sh").args(["-c", script, program]).arg(&model).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("demo.packed.gguf.partial") && said.contains("bytes more are needed"), "{said}");
    assert!(!folder.path().join("demo.packed.gguf").exists());
    let output = run(&["pack", model.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("an interrupted run is gone on with"), "{}", text(&output.stderr));
}
