//! What a sleeping process holds of memory, with the demo model.
#![cfg(target_os = "linux")]

use crate::binary::{Running, command};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf");
const MIB: u64 = 1 << 20;

/// Bytes that a process holds for itself, and of files.
fn resident(running: &Running) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let bytes = |kind: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(kind)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    };
    (bytes("RssAnon:"), bytes("RssFile:"))
}

fn becomes(running: &Running, state: &str) {
    let begun = Instant::now();
    loop {
        let (_, body) = running.ask("GET /health", "");
        let health: Value = serde_json::from_str(&body).unwrap();
        if health["state"] == state {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never {state}: {health}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ask(running: &Running) -> String {
    let body = r#"{"model": "other", "messages": [{"role": "user", "content": "What is a sieve for?"}],
                   "max_tokens": 24, "temperature": 0}"#;
    let answer: Value = serde_json::from_str(&running.chat(body)).unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_sleeping_server_holds_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.gguf");
    std::fs::copy(DEMO, &plain).unwrap();
    let packed = folder.path().join("demo.packed.gguf");
    let output = command(&["pack", DEMO, "--output", packed.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success());
    let size = |path: &Path| path.metadata().unwrap().len();
    for (model, is_mapped) in [(&packed, true), (&plain, false)] {
        let running = Running::with(model.to_str().unwrap(), Stdio::null());
        let said = ask(&running);
        let awake = resident(&running);
        running.ask("POST /sleep", "");
        becomes(&running, "cold");
        let asleep = resident(&running);
        running.ask("POST /wake", "");
        becomes(&running, "ready");
        assert_eq!(ask(&running), said);
        let again = resident(&running);
        println!(
            "{}: anonymous and file bytes awake {awake:?}, asleep {asleep:?}, again {again:?}",
            model.display()
        );
        let (kind, weights) = if is_mapped { ("file", size(model)) } else { ("anonymous", size(&plain)) };
        let of = |(anonymous, file): (u64, u64)| if is_mapped { file } else { anonymous };
        // Not all experts were needed.
        assert!(of(awake) > of(asleep) + weights / 2, "{kind}: {awake:?} {asleep:?}");
        assert!(asleep.0 <= awake.0, "{awake:?} {asleep:?}");
        assert!(
            again.0 < awake.0 + 8 * MIB && again.1 < awake.1 + 8 * MIB,
            "no more each time: {awake:?} {again:?}"
        );
    }
}
