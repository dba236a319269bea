//! What each suite runs.

use std::path::PathBuf;
use std::process::Command;

use super::{Check, Counting, Suite};
use crate::build;
use crate::failure::Result;
use crate::process::run_attached;
use crate::setup::Setup;
use crate::spin;

/// Every suite there is; a new one is one entry here.
pub(super) const SUITES: &[Suite] = &[
    Suite {
        name: "unit",
        what: "formatting, lints, licences, and every Rust test",
        usual: true,
        checks: unit,
    },
    Suite {
        name: "contract",
        what: "what the gateway promises, on every host, and its budget",
        usual: true,
        checks: contract,
    },
    Suite {
        name: "faults",
        what: "every fault at a real socket: what clients get, what it costs, what is recorded",
        usual: true,
        checks: faults,
    },
    Suite {
        name: "ledger",
        what: "the account: every crash point, limits at once, and a chaos of requests on real hosts",
        usual: true,
        checks: ledger,
    },
    Suite {
        name: "wake",
        what: "origins that sleep: random schedules in virtual time, and our own server asleep on real hosts",
        usual: true,
        checks: wake,
    },
    Suite {
        name: "gpu",
        what: "the GPU kernels, and the engine on them, emulated on the processor; and the kernels compiled for every architecture",
        usual: true,
        checks: gpu,
    },
    Suite {
        name: "clients",
        what: "real SDKs against the gateway, in workerd and in the Spin host, and moe-server",
        usual: true,
        checks: clients,
    },
    Suite {
        name: "dialects",
        what: "every provider's SDK against every kind of origin, in workerd and in the Spin host",
        usual: true,
        checks: dialects,
    },
    Suite {
        name: "browser",
        what: "the chat page of examples/next-chat in Chromium, with the gateway in workerd and in the Spin host",
        // It fetches half a gigabyte and takes minutes.
        usual: false,
        checks: super::browser::checks,
    },
];

fn unit(setup: &Setup) -> Result<Vec<Check>> {
    let wasm = setup.wasm()?;
    let deny = setup.cargo_deny()?;
    let cargo = |arguments: &[&str]| {
        let mut command = setup.cargo(arguments[0]);
        command.args(&arguments[1..]);
        command
    };
    let mut wasm_clippy = wasm.cargo("clippy");
    // With the profile of the modules, whose builds then find the tools of their dependencies compiled.
    wasm_clippy.args(["--quiet", "--package", "moegate", "--lib", "--profile", "wasm"]);
    wasm_clippy.args([
        "--target",
        build::WORKER_TARGET,
        "--target",
        build::SPIN_TARGET,
        "--",
        "-D",
        "warnings",
    ]);
    let mut deny = Command::new(deny);
    deny.args(["--log-level", "error", "check", "bans", "licenses", "sources"]).current_dir(&setup.root);
    let mut corpus = Command::new(setup.python()?);
    corpus.args(["-B", "moe-server/models/demo/corpus/test_corpus.py", "--quiet"]);
    // `--all-targets` leaves out what says `test = false`.
    let mut suite_lints = vec!["clippy", "--quiet", "--workspace"];
    suite_lints.extend(SUITE_TESTS.iter().flat_map(|name| ["--test", name]));
    suite_lints.extend(["--", "-D", "warnings"]);
    let status = |name, command| Check { name, command, counting: Counting::Status };
    Ok(vec![
        status("formatting", cargo(&["fmt", "--all", "--check"])),
        status(
            "lints",
            cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ),
        status("lints of the suites' tests", cargo(&suite_lints)),
        status("lints for Workers and Spin", wasm_clippy),
        status("licences and sources", deny),
        status("the demo model's corpus", corpus),
        Check {
            name: "Rust tests",
            // Those of other suites say `test = false` in their Cargo.toml.
            command: cargo(&["test", "--quiet", "--workspace", "--no-fail-fast"]),
            counting: Counting::Lines,
        },
    ])
}

/// The Rust tests of other suites than `unit`: their Cargo.toml says `test = false`.
const SUITE_TESTS: [&str; 12] = [
    "hosts",
    "hazards",
    "allocations",
    "shipped",
    "host",
    "faults",
    "ledger",
    "wake",
    "emulated",
    "engine",
    "driver",
    "dialects",
];

/// Tests of these names, wherever they are. Always of the whole workspace: of single packages, cargo would compile what they
/// depend on once more, with those packages' features alone.
fn rust_tests(setup: &Setup, names: &[&str]) -> Command {
    let mut command = setup.cargo("test");
    command.args(["--quiet", "--workspace", "--no-fail-fast"]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    command
}

/// The server as tests have it, whose kernels are optimised as they are in a release: with a test that needs it, so that it is
/// compiled once.
fn moe_server(setup: &Setup) -> Result<PathBuf> {
    let mut cargo = setup.cargo("test");
    cargo.args(["--quiet", "--workspace", "--no-run", "--test", "driver"]);
    run_attached("cargo build of moe-server", cargo)?;
    Ok(setup.built("debug/moe-server"))
}

/// What ships, with a suite's configuration.
const fn shipped(config: &str) -> build::Variant<'_> {
    build::Variant { config: Some(config), features: None, both_targets: true, quiet: true }
}

/// The gateway with a suite's configuration, which can be made to panic, and so to forget.
const fn breakable(config: &str) -> build::Variant<'_> {
    build::Variant { features: Some("fault-injection"), ..shipped(config) }
}

const CONTRACT: build::Variant<'_> = breakable("tests/contract/moegate.toml");

fn contract_worker(setup: &Setup) -> Result<PathBuf> {
    build::worker(setup, &setup.root.join("build/contract"), &CONTRACT)
}

fn contract_component(setup: &Setup) -> Result<PathBuf> {
    build::spin(setup, &setup.root.join("build/contract-spin"), &CONTRACT)
}

fn contract(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let quiet = build::Variant { both_targets: true, quiet: true, ..Default::default() };
    let shipped_component = build::spin(setup, &setup.root.join("build/spin"), &quiet)?;
    crate::bench::build_only(setup)?;
    let shipped = build::worker(setup, &setup.root.join("build/worker"), &quiet)?;
    let worker = contract_worker(setup)?;
    let component = contract_component(setup)?;
    let spin_host = spin::test_host(setup)?;
    let mut hosts = rust_tests(setup, &["hosts", "hazards", "allocations", "shipped"]);
    node.lend(&mut hosts);
    hosts.env("MOEGATE_CONTRACT_WORKER", &worker).env("MOEGATE_SHIPPED_WORKER", shipped);
    hosts.env("MOEGATE_CONTRACT_SPIN", &component).env("MOEGATE_SHIPPED_SPIN", shipped_component);
    hosts.env("MOEGATE_SPIN_HOST", spin_host);
    let mut crossings = node.script(&setup.root.join("tests/contract/crossings.mjs"));
    crossings.env("MOEGATE_CONTRACT_WORKER", &worker);
    let mut ledger = node.script(&setup.root.join("tests/contract/ledger.mjs"));
    ledger.env("MOEGATE_CONTRACT_WORKER", &worker);
    let shared = node.script(&setup.root.join("tests/contract/shards.mjs"));
    let mut spin_host = rust_tests(setup, &["host"]);
    spin_host.env("MOEGATE_SPIN_GUEST", build::spin_guest(setup, &setup.root.join("build/spin-host"))?);
    let check = |name, command| Check { name, command, counting: Counting::Lines };
    Ok(vec![
        check("behaviours on every host", hosts),
        check("the Spin host and its hazards", spin_host),
        check("crossings into wasm", crossings),
        check("the ledger on workerd", ledger),
        check("calls of the ledger that requests share", shared),
    ])
}

const FAULTS: build::Variant<'_> = breakable("tests/contract/faults/moegate.toml");

fn faults(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let mut hosts = rust_tests(setup, &["faults"]);
    node.lend(&mut hosts);
    hosts.env("MOEGATE_FAULTS_WORKER", build::worker(setup, &setup.root.join("build/faults"), &FAULTS)?);
    hosts.env("MOEGATE_FAULTS_SPIN", build::spin(setup, &setup.root.join("build/faults-spin"), &FAULTS)?);
    hosts.env("MOEGATE_SPIN_HOST", spin::test_host(setup)?);
    Ok(vec![Check { name: "faults on every host", command: hosts, counting: Counting::Lines }])
}

fn gpu(setup: &Setup) -> Result<Vec<Check>> {
    let nvrtc = setup.nvrtc()?;
    let kernels = rust_tests(setup, &["emulated"]);
    let engine = rust_tests(setup, &["engine"]);
    let driver = rust_tests(setup, &["driver"]);
    let mut example = setup.cargo("build");
    example.args(["--quiet", "--workspace", "--example", "resources"]);
    run_attached("cargo build of moe-cuda's example", example)?;
    let mut resources = Command::new(setup.built("debug/examples/resources"));
    resources.args(["--check", "moe-cuda/kernels/resources.tsv"]).current_dir(&setup.root);
    nvrtc.lend(&mut resources)?;
    Ok(vec![
        Check { name: "kernels on the processor", command: kernels, counting: Counting::Lines },
        Check { name: "the engine on emulated kernels", command: engine, counting: Counting::Lines },
        Check { name: "the server on a stand-in for the driver", command: driver, counting: Counting::Lines },
        Check { name: "kernels for every architecture", command: resources, counting: Counting::Status },
    ])
}

const FRONTEND: build::Variant<'_> = shipped("tests/frontend/moegate.toml");

fn clients(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let python = setup.python()?;
    let worker = contract_worker(setup)?;
    let server = moe_server(setup)?;
    let mut command = node.script(&setup.root.join("tests/clients/run.mjs"));
    command.env("MOEGATE_CONTRACT_WORKER", worker).env("MOEGATE_PYTHON", python);
    command.env("MOEGATE_CONTRACT_SPIN", contract_component(setup)?);
    command.env("MOEGATE_SPIN_HOST", spin::test_host(setup)?);
    command.env("MOEGATE_SERVER", server);
    let mut tokens = node.script(&setup.root.join("tests/frontend/run.mjs"));
    tokens
        .env("MOEGATE_FRONTEND_WORKER", build::worker(setup, &setup.root.join("build/frontend"), &FRONTEND)?)
        .env("MOEGATE_FRONTEND_SPIN", build::spin(setup, &setup.root.join("build/frontend-spin"), &FRONTEND)?)
        .env("MOEGATE_SPIN_HOST", spin::test_host(setup)?);
    Ok(vec![
        Check { name: "SDKs", command, counting: Counting::Lines },
        Check { name: "tokens of issuers and pages", command: tokens, counting: Counting::Lines },
    ])
}

const LEDGER: build::Variant<'_> = breakable("tests/ledger/moegate.toml");

fn ledger(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let points = rust_tests(setup, &["ledger"]);
    let mut chaos = node.script(&setup.root.join("tests/ledger/chaos.mjs"));
    chaos
        .env("MOEGATE_LEDGER_WORKER", build::worker(setup, &setup.root.join("build/ledger"), &LEDGER)?)
        .env("MOEGATE_LEDGER_SPIN", build::spin(setup, &setup.root.join("build/ledger-spin"), &LEDGER)?)
        .env("MOEGATE_SPIN_HOST", spin::test_host(setup)?);
    Ok(vec![
        Check { name: "crash points, hazards and limits", command: points, counting: Counting::Lines },
        Check { name: "chaos on real hosts", command: chaos, counting: Counting::Lines },
    ])
}

const WAKE: build::Variant<'_> = shipped("tests/wake/moegate.toml");

fn wake(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let schedules = rust_tests(setup, &["wake"]);
    let server = moe_server(setup)?;
    let python = setup.python()?;
    let worker = build::worker(setup, &setup.root.join("build/wake"), &WAKE)?;
    let component = build::spin(setup, &setup.root.join("build/wake-spin"), &WAKE)?;
    let host = spin::test_host(setup)?;
    let script = |name: &str| {
        let mut command = node.script(&setup.root.join("tests/wake").join(name));
        command
            .env("MOEGATE_WAKE_WORKER", &worker)
            .env("MOEGATE_WAKE_SPIN", &component)
            .env("MOEGATE_SPIN_HOST", &host)
            .env("MOEGATE_SERVER", &server)
            .env("MOEGATE_WAKE_MODEL", setup.root.join("moe-server/models/demo.gguf"))
            .env("MOEGATE_PYTHON", &python);
        command
    };
    let check = |name, command| Check { name, command, counting: Counting::Lines };
    Ok(vec![
        check("schedules and policies", schedules),
        check("real hosts", script("real.mjs")),
        check("what SDKs show", script("clients.mjs")),
    ])
}

const DIALECTS: build::Variant<'_> = shipped("tests/dialects/moegate.toml");

fn dialects(setup: &Setup) -> Result<Vec<Check>> {
    let node = setup.node()?;
    let python = setup.python_sdks()?;
    let script = |name: &str| {
        let mut command = node.script(&setup.root.join("tests/dialects").join(name));
        command.env("MOEGATE_PYTHON", &python);
        command
    };
    let matrix = rust_tests(setup, &["dialects"]);
    let server = moe_server(setup)?;
    let worker = build::worker(setup, &setup.root.join("build/dialects"), &DIALECTS)?;
    let component = build::spin(setup, &setup.root.join("build/dialects-spin"), &DIALECTS)?;
    let host = spin::test_host(setup)?;
    let hosts = |name: &str| {
        let mut command = script(name);
        command
            .env("MOEGATE_DIALECTS_WORKER", &worker)
            .env("MOEGATE_DIALECTS_SPIN", &component)
            .env("MOEGATE_SPIN_HOST", &host)
            .env("MOEGATE_SERVER", &server);
        command
    };
    let check = |name, command| Check { name, command, counting: Counting::Lines };
    Ok(vec![
        check("the matrix of APIs and features", matrix),
        check("SDKs straight at the mock providers", script("direct.mjs")),
        check("SDKs through the gateway", hosts("run.mjs")),
        check("requests by the OpenAPI document", hosts("openapi.mjs")),
    ])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::SUITE_TESTS;

    /// Names of the tests that say `test = false`.
    fn left_out(manifest: &Path) -> Vec<String> {
        let text = fs::read_to_string(manifest).unwrap();
        let tests = text.split("[[test]]").skip(1).map(|test| test.split("\n[").next().unwrap_or_default());
        let name = |test: &str| Some(test.split_once("name = \"")?.1.split_once('"')?.0.to_owned());
        tests.filter(|test| test.contains("test = false")).filter_map(name).collect()
    }

    #[test]
    fn every_test_that_the_workspace_leaves_out_is_of_a_suite() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let members = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let members = members.split_once("members = [").unwrap().1.split_once(']').unwrap().0.to_owned();
        let mut found: Vec<String> = members
            .split(',')
            .flat_map(|member| left_out(&root.join(member.trim().trim_matches('"')).join("Cargo.toml")))
            .collect();
        let mut known = SUITE_TESTS.map(str::to_owned);
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }
}
