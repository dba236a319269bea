//! `cargo xtask bench gateway`: what the gateway adds to a request in workerd, as a ratio to a Worker that only passes
//! it on.
//!
//! All subjects run in one workerd process, one at a time, in turn; what counts is the ratio within a round, so that a
//! machine that is busy with other things disturbs all of them alike.

mod entries;
mod http;
mod load;
mod origin;
mod rows;
mod workerd;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::build;
use crate::cache::hex;
use crate::failure::{At, Failure, Result};
use crate::process::check_interrupted;
use crate::setup::{Node, Setup};
use load::{CONNECTIONS, Load};
use rows::{Row, Target};
use workerd::{Subject, Workerd};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Leave out the comparison with worker-build, whose tools take minutes to compile.
    pub(crate) own_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { json: None, rounds: 9, own_only: false }
    }
}

const CLIENT_KEY: &str = "bench-client-key";
/// Requests of one connection in one round, and streams.
const REQUESTS: usize = 300;
const STREAMS: usize = 2;

/// One kind of load.
struct Scenario {
    load: Load,
    /// Name and target of the requests per second, and of the processor time per request or event.
    rate: Option<(&'static str, Option<Target>)>,
    cpu: (&'static str, &'static str, Option<Target>),
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        load: Load { model: "own", stream: false, requests: REQUESTS },
        rate: Some(("unstreamed chat, own origin", Some(Target::AtLeast(0.68)))),
        cpu: ("CPU, unstreamed chat, own origin", "µs/request", None),
    },
    Scenario {
        load: Load { model: "third", stream: false, requests: REQUESTS },
        rate: Some(("unstreamed chat, third party", None)),
        cpu: ("CPU, unstreamed chat, third party", "µs/request", None),
    },
    Scenario {
        load: Load { model: "own", stream: true, requests: STREAMS },
        rate: None,
        cpu: ("CPU, relayed stream", "µs/event", Some(Target::AtMost(1.6))),
    },
    Scenario {
        load: Load { model: "third", stream: true, requests: STREAMS },
        rate: None,
        cpu: ("CPU, pumped stream", "µs/event", None),
    },
];

/// What one subject needed in one round.
#[derive(Debug, Clone, Copy)]
struct Sample {
    per_second: f64,
    cpu_us: f64,
}

/// Builds the subjects, measures them, prints the table and writes the rows.
pub(crate) fn gateway(setup: &Setup, options: &Options) -> Result<()> {
    let folder = setup.root.join("target/bench-gateway");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let node = setup.node()?;
    let subjects = subjects(setup, &node, &folder, options)?;
    let origin =
        origin::start().map_err(|error| Failure::new(format!("the bench's origin cannot start: {error}")))?;
    let hash = hex(&Sha256::digest(CLIENT_KEY));
    let bindings =
        [("CLIENT_KEY_SHA256", hash.as_str()), ("ORIGIN_KEY", origin::KEY), ("OTHER_KEY", "bench-other-key")];
    let program = program(&node)?;
    let mut workerd = Workerd::start(&program, &folder, &subjects, origin, &bindings)?;
    let mut rows = Vec::new();
    for scenario in &SCENARIOS {
        let samples = measure(&mut workerd, scenario, &subjects, options.rounds)?;
        rows.extend(scenario.rows(&subjects, &samples));
    }
    println!("{}", rows::table(&rows));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!(
        "{} rounds; {} processors; load average at the end: {}",
        options.rounds,
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        load.trim()
    );
    if let Some(file) = &options.json {
        fs::write(file, rows::json(&rows)).at("write", file)?;
    }
    Ok(())
}

/// The pass-through first: it is what the others are compared with.
fn subjects(setup: &Setup, node: &Node, folder: &Path, options: &Options) -> Result<Vec<Subject>> {
    let variant =
        build::Variant { config: Some("bench/gateway/moegate.toml"), quiet: true, ..Default::default() };
    let module = build::worker(setup, folder, &variant)?;
    let script = |name, file| Subject { name, modules: vec![(file, setup.root.join(file))] };
    let mut subjects = vec![
        script("pass-through", "bench/gateway/pass-through.mjs"),
        script("pass-through, record", "bench/gateway/pass-through-record.mjs"),
        entries::own(setup, &module),
        entries::own_without_record(setup, &module),
    ];
    if !options.own_only {
        subjects.push(entries::worker_build(setup, node)?);
    }
    Ok(subjects)
}

/// The workerd among the npm packages.
fn program(node: &Node) -> Result<PathBuf> {
    let packages = node.modules().join("@cloudflare");
    let folders = fs::read_dir(&packages).at("list", &packages)?;
    folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .map(|folder| folder.join("bin/workerd"))
        .find(|program| program.is_file())
        .ok_or_else(|| Failure::new(format!("there is no workerd in {}", packages.display())))
}

/// Per round one sample of each subject.
fn measure(
    workerd: &mut Workerd,
    scenario: &Scenario,
    subjects: &[Subject],
    rounds: usize,
) -> Result<Vec<Vec<Sample>>> {
    let name = scenario.cpu.0;
    // One round to warm up.
    let mut samples = Vec::new();
    for round in 0..=rounds {
        eprintln!("{name}: round {round} of {rounds}");
        let mut one = Vec::new();
        for (index, subject) in subjects.iter().enumerate() {
            check_interrupted()?;
            let port = workerd.ports[index];
            one.push(sample(workerd, scenario, port).map_err(|failure| {
                failure.during(&format!("{name}, {}", subject.name)).output(workerd.complaints())
            })?);
        }
        if round > 0 {
            samples.push(one);
        }
    }
    Ok(samples)
}

fn sample(workerd: &mut Workerd, scenario: &Scenario, port: u16) -> Result<Sample> {
    let before = workerd.cpu()?;
    let wall = scenario.load.run(port, CLIENT_KEY).map_err(|error| Failure::new(error.to_string()))?;
    let cpu = workerd.cpu()?.saturating_sub(before);
    let requests = (scenario.load.requests * CONNECTIONS) as f64;
    let units = if scenario.load.stream { requests * origin::EVENTS as f64 } else { requests };
    Ok(Sample { per_second: requests / wall.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / units })
}

impl Scenario {
    fn rows(&self, subjects: &[Subject], samples: &[Vec<Sample>]) -> Vec<Row> {
        let column = |index: usize, of: fn(&Sample) -> f64| -> Vec<f64> {
            samples.iter().map(|round| of(&round[index])).collect()
        };
        let mut rows = Vec::new();
        let mut add = |what, unit, target: Option<Target>, of: fn(&Sample) -> f64| {
            let base = column(0, of);
            for (index, subject) in subjects.iter().enumerate() {
                let target = target.filter(|_| subject.name == "moegate");
                rows.push(Row::compared(what, subject.name, unit, &column(index, of), &base, target));
            }
            // The decision between the two entries, straight: round by round against each other.
            let find = |name| subjects.iter().position(|subject| subject.name == name);
            if let (Some(own), Some(other)) = (find("moegate"), find("worker-build")) {
                let base = column(other, of);
                rows.push(Row::compared(
                    what,
                    "moegate to worker-build",
                    unit,
                    &column(own, of),
                    &base,
                    None,
                ));
            }
        };
        if let Some((what, target)) = self.rate {
            add(what, "requests/s", target, |sample| sample.per_second);
        }
        let (what, unit, target) = self.cpu;
        add(what, unit, target, |sample| sample.cpu_us);
        rows
    }
}
