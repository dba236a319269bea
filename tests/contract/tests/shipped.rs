//! What ships to Workers: how large it is, and that nothing made for tests is in it.

use serde_json::Value;
use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn wasm(variable: &str) -> PathBuf {
    let value = env::var_os(variable);
    value.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test contract`")).into()
}

#[test]
fn the_module_is_within_its_budget() {
    let file = File::open(wasm("MOEGATE_SHIPPED_WASM")).unwrap();
    let packed =
        Command::new("gzip").args(["-9", "-n", "-c"]).stdin(file).stderr(Stdio::inherit()).output().unwrap();
    assert!(packed.status.success());
    let size = packed.stdout.len() as u64;
    let budget: Value = serde_json::from_str(include_str!("../budget.json")).unwrap();
    let number = |name: &str| budget["wasm_gz_bytes"][name].as_u64().unwrap();
    let (limit, grown) = (number("limit"), number("measured") * 11 / 10);
    assert!(size <= limit, "{size} bytes gz; what ships to Workers may have {limit}");
    assert!(
        size <= grown,
        "{size} bytes gz; it was {} and may grow by a tenth: if that is right, write the new size into tests/contract/budget.json",
        number("measured")
    );
}

#[test]
fn it_cannot_be_made_to_panic() {
    let holds_marker = |variable: &str| {
        let bytes = std::fs::read(wasm(variable)).unwrap();
        let marker = b"moegate-fault-injection";
        bytes.windows(marker.len()).any(|window| window == marker)
    };
    // The test build has it, so that this cannot pass by looking for the wrong thing.
    assert!(holds_marker("MOEGATE_CONTRACT_WASM"));
    assert!(!holds_marker("MOEGATE_SHIPPED_WASM"));
}
