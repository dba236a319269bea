//! `cargo xtask bench gateway`: what the gateway adds to a request, as a ratio to a Worker, or a component, that only
//! passes it on.
//!
//! The subjects of one runtime take turns; what counts is the ratio within a round, so that a machine that is busy with
//! other things disturbs all of them alike.

mod bed;
mod entries;
mod http;
mod load;
pub(crate) mod moe;
mod origin;
mod rows;
mod spin;
mod workerd;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::build::{self, Host};
use crate::cache::hex;
use crate::failure::{At, Failure, Result};
use crate::process::check_interrupted;
use crate::setup::{Node, Setup};
use bed::Bed;
use load::{CONNECTIONS, Load};
use rows::{Row, Target};
use workerd::Subject;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// One runtime only.
    pub(crate) host: Option<Host>,
    /// Another checkout to compare the Worker with.
    pub(crate) before: Option<PathBuf>,
    /// Only loads whose name has this in it.
    pub(crate) only: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { json: None, rounds: 9, host: None, before: None, only: String::new() }
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
    /// Of the processor time against another version's.
    before: Option<Target>,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        load: Load { model: "own", stream: false, requests: REQUESTS },
        rate: Some(("unstreamed chat, own origin", Some(Target::AtLeast(0.68)))),
        cpu: ("CPU, unstreamed chat, own origin", "µs/request", None),
        before: None,
    },
    Scenario {
        load: Load { model: "third", stream: false, requests: REQUESTS },
        rate: Some(("unstreamed chat, third party", None)),
        cpu: ("CPU, unstreamed chat, third party", "µs/request", None),
        before: None,
    },
    Scenario {
        load: Load { model: "own", stream: true, requests: STREAMS },
        rate: None,
        cpu: ("CPU, relayed stream", "µs/event", Some(Target::AtMost(1.6))),
        before: Some(Target::AtMost(1.05)),
    },
    Scenario {
        load: Load { model: "third", stream: true, requests: STREAMS },
        rate: None,
        cpu: ("CPU, pumped stream", "µs/event", None),
        before: Some(Target::AtMost(1.0)),
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
    let mut rows = Vec::new();
    for host in [Host::Worker, Host::Spin] {
        if options.host.is_some_and(|only| only != host) {
            continue;
        }
        let (runtime, mut bed) = match host {
            Host::Worker => ("workerd", on_workerd(setup, &folder, options)?),
            Host::Spin => ("Spin", on_spin(setup, &folder)?),
        };
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.cpu.0.contains(&options.only)) {
            let samples = measure(&mut bed, scenario, options.rounds)?;
            rows.extend(scenario.rows(runtime, &bed, &samples));
        }
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

/// Builds what only this benchmark uses, so that it does not rot.
pub(crate) fn build_only(setup: &Setup) -> Result<()> {
    let folder = setup.root.join("target/bench-gateway");
    fs::create_dir_all(&folder).at("create", &folder)?;
    spin::pass_through(setup, &folder).map(drop)
}

fn origin(port: u16) -> Result<u16> {
    origin::start(port).map_err(|error| Failure::new(format!("the bench's origin cannot start: {error}")))
}

/// Secrets of the bench's configurations.
fn secrets() -> [(&'static str, String); 3] {
    [
        ("CLIENT_KEY_SHA256", hex(&Sha256::digest(CLIENT_KEY))),
        ("ORIGIN_KEY", origin::KEY.to_owned()),
        ("OTHER_KEY", "bench-other-key".to_owned()),
    ]
}

fn on_workerd(setup: &Setup, folder: &Path, options: &Options) -> Result<Bed> {
    let node = setup.node()?;
    let subjects = subjects(setup, folder, options)?;
    let secrets = secrets();
    let bindings = secrets.each_ref().map(|(name, value)| (*name, value.as_str()));
    workerd::start(&program(&node)?, folder, &subjects, origin(0)?, &bindings)
}

fn on_spin(setup: &Setup, folder: &Path) -> Result<Bed> {
    let secrets = secrets();
    let variables = secrets.each_ref().map(|(name, value)| (*name, value.as_str()));
    origin(spin::ORIGIN)?;
    spin::start(setup, folder, &variables)
}

/// The pass-through first: it is what the others are compared with.
fn subjects(setup: &Setup, folder: &Path, options: &Options) -> Result<Vec<Subject>> {
    let variant =
        build::Variant { config: Some("bench/gateway/moegate.toml"), quiet: true, ..Default::default() };
    let folder = folder.join("worker");
    build::worker(setup, &folder, &variant)?;
    let script = |name, file: &str| {
        let modules = vec![(file.to_owned(), setup.root.join(file))];
        Subject { name, modules, ledger: false }
    };
    let mut subjects = vec![
        script("pass-through", "bench/gateway/pass-through.mjs"),
        script("pass-through, record", "bench/gateway/pass-through-record.mjs"),
        entries::pass_through_ledger(setup, &folder)?,
        entries::own(&folder)?,
        entries::own_without_record(setup, &folder)?,
    ];
    if let Some(checkout) = &options.before {
        subjects.push(entries::before(checkout)?);
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
fn measure(bed: &mut Bed, scenario: &Scenario, rounds: usize) -> Result<Vec<Vec<Sample>>> {
    let name = scenario.cpu.0;
    // One round to warm up.
    let mut samples = Vec::new();
    for round in 0..=rounds {
        eprintln!("{name}: round {round} of {rounds}");
        let mut one = Vec::new();
        for subject in 0..bed.places.len() {
            check_interrupted()?;
            one.push(sample(bed, scenario, subject).map_err(|failure| {
                let during = format!("{name}, {}", bed.places[subject].name);
                failure.during(&during).output(bed.complaints(subject))
            })?);
        }
        if round > 0 {
            samples.push(one);
        }
    }
    Ok(samples)
}

fn sample(bed: &mut Bed, scenario: &Scenario, subject: usize) -> Result<Sample> {
    let before = bed.cpu(subject)?;
    let port = bed.places[subject].port;
    let wall = scenario.load.run(port, CLIENT_KEY).map_err(|error| Failure::new(error.to_string()))?;
    let cpu = bed.cpu(subject)?.saturating_sub(before);
    let requests = (scenario.load.requests * CONNECTIONS) as f64;
    let units = if scenario.load.stream { requests * origin::EVENTS as f64 } else { requests };
    Ok(Sample { per_second: requests / wall.as_secs_f64(), cpu_us: cpu.as_secs_f64() * 1e6 / units })
}

impl Scenario {
    fn rows(&self, host: &'static str, bed: &Bed, samples: &[Vec<Sample>]) -> Vec<Row> {
        let column = |index: usize, of: fn(&Sample) -> f64| -> Vec<f64> {
            samples.iter().map(|round| of(&round[index])).collect()
        };
        let mut rows = Vec::new();
        let mut add = |what, unit, target: Option<Target>, before: Option<Target>, of: fn(&Sample) -> f64| {
            let base = column(0, of);
            for (index, place) in bed.places.iter().enumerate() {
                // The targets are for Workers. On Spin the pass-through hands bodies on by their handles, which the gateway
                // can never do.
                let target = target.filter(|_| place.name == "moegate" && host == "workerd");
                rows.push(Row::compared((host, what), place.name, unit, &column(index, of), &base, target));
            }
            // Two versions straight: round by round against each other.
            let find = |name| bed.places.iter().position(|place| place.name == name);
            if let (Some(own), Some(other)) = (find("moegate"), find("before")) {
                let (own, base) = (column(own, of), column(other, of));
                rows.push(Row::compared((host, what), "moegate to before", unit, &own, &base, before));
            }
        };
        if let Some((what, target)) = self.rate {
            add(what, "requests/s", target, Some(Target::AtLeast(0.95)), |sample| sample.per_second);
        }
        let (what, unit, target) = self.cpu;
        add(what, unit, target, self.before, |sample| sample.cpu_us);
        rows
    }
}
