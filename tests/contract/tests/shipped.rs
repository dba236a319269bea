//! What ships to Workers and to Spin: how large it is, what it asks of its host, and that nothing made for tests is in it.
#![allow(clippy::unwrap_used, reason = "this is a test suite")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldId};

fn wasm(variable: &str) -> PathBuf {
    let value = env::var_os(variable);
    let file: PathBuf =
        value.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test contract`")).into();
    // A Worker is named by its entry.
    if file.extension().is_some_and(|ending| ending == "js") {
        return file.with_file_name("moegate_bg.wasm");
    }
    file
}

#[test]
fn the_module_is_within_its_budget() {
    within_budget("MOEGATE_SHIPPED_WORKER", "wasm_gz_bytes");
}

#[test]
fn the_component_is_within_its_budget() {
    within_budget("MOEGATE_SHIPPED_SPIN", "component_gz_bytes");
}

fn within_budget(variable: &str, entry: &str) {
    let file = File::open(wasm(variable)).unwrap();
    let packed =
        Command::new("gzip").args(["-9", "-n", "-c"]).stdin(file).stderr(Stdio::inherit()).output().unwrap();
    assert!(packed.status.success());
    let size = packed.stdout.len() as u64;
    let budget: Value = serde_json::from_str(include_str!("../budget.json")).unwrap();
    let number = |name: &str| budget[entry][name].as_u64().unwrap();
    let (limit, grown) = (number("limit"), number("measured") * 11 / 10);
    assert!(size <= limit, "{entry}: {size}; what ships may have {limit}");
    assert!(
        size <= grown,
        "{entry}: {size}; it was {} and may grow by a tenth: if that is right, write the new size into tests/contract/budget.json",
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
    for (tested, shipped) in [
        ("MOEGATE_CONTRACT_WORKER", "MOEGATE_SHIPPED_WORKER"),
        ("MOEGATE_CONTRACT_SPIN", "MOEGATE_SHIPPED_SPIN"),
    ] {
        assert!(holds_marker(tested));
        assert!(!holds_marker(shipped));
    }
}

/// The names of a world's imported and exported interfaces.
fn interfaces(resolve: &Resolve, world: WorldId) -> [BTreeSet<String>; 2] {
    let world = &resolve.worlds[world];
    [&world.imports, &world.exports]
        .map(|items| items.keys().map(|key| resolve.name_world_key(key)).collect())
}

/// Without the version: the compiler's library decides which 0.2 it is.
fn unversioned(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names.iter().map(|name| name.split('@').next().unwrap_or_default()).collect()
}

#[test]
fn the_component_has_the_world_that_wit_describes() {
    let mut written = Resolve::default();
    let (package, _) = written.push_dir(contract::workerd::root().join("wit")).unwrap();
    let world = |name| written.select_world(&[package], Some(name)).unwrap();
    let bytes = std::fs::read(wasm("MOEGATE_SHIPPED_SPIN")).unwrap();
    let DecodedWasm::Component(built, built_world) = wit_component::decode(&bytes).unwrap() else {
        panic!("not a component")
    };
    let [imports, exports] = interfaces(&built, built_world);
    let (library, own) = imports.into_iter().partition(|name| name.contains("@0.2."));
    assert_eq!([own, exports], interfaces(&written, world("gateway")));
    let [allowed, _] = interfaces(&written, world("standard-library"));
    let more: Vec<_> = unversioned(&library).difference(&unversioned(&allowed)).copied().collect();
    assert!(more.is_empty(), "the component imports more of WASI 0.2 than wit/ allows: {more:?}");
}
