//! Every behaviour on every host: `cargo xtask test contract`. Arguments are parts of names, such as `workerd::` or
//! `fake::stream`.

use contract::behaviours;
use contract::fake_host::FakeHost;
use contract::host::Host;
use contract::origin::{self, Progress};
use contract::runner::{Count, compare, is_chosen, run};
use contract::spin::Spin;
use contract::suite::CONTRACT;
use contract::table::{self, page_is_fresh};
use contract::workerd::Workerd;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;

type Start = fn(&Arc<Progress>) -> Result<Box<dyn Host>, String>;

/// The runtimes. They use the same ports, so one runs after the other.
const REAL: &[(&str, Start)] = &[
    ("workerd", |origins| Ok(Box::new(Workerd::start(&CONTRACT, origins)?))),
    ("spin", |origins| Ok(Box::new(Spin::start(&CONTRACT, origins)?))),
];

fn main() -> ExitCode {
    let filters: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if env::args().any(|argument| argument == "--list") {
        return list();
    }
    let (mut total, _) = run(&FakeHost::default(), &filters);
    total += run(&FakeHost::as_spin(&CONTRACT), &filters).0;
    total += run(&FakeHost::with_key_value(), &filters).0;
    let mut shown = Vec::new();
    let mut origins = None;
    for (name, start) in REAL {
        if !all_names(name).any(|name| is_chosen(&name, &filters)) {
            continue;
        }
        let origins = origins.get_or_insert_with(|| origin::listen(CONTRACT.origins));
        match origins.as_ref().map_err(String::clone).and_then(start) {
            Ok(host) => {
                let (count, transcript) = run(&*host, &filters);
                total += count;
                shown.push((*name, transcript));
            }
            Err(reason) => {
                println!("test {name} ... FAILED\n{reason}");
                total += Count { passed: 0, failed: 1 };
            }
        }
    }
    if let [(one, first), (other, second)] = &shown[..] {
        total += compare((other, second), (one, first));
    }
    if is_chosen("table_is_fresh", &filters) {
        total += page_is_fresh("docs/reference/contract.md", &table::page(), "hosts");
    }
    total.verdict()
}

fn all_names(host: &str) -> impl Iterator<Item = String> {
    behaviours::all()
        .into_iter()
        .flat_map(|(_, group)| group)
        .map(move |behaviour| format!("{host}::{}", behaviour.name))
}

fn list() -> ExitCode {
    for (host, can) in table::COLUMNS {
        let names = behaviours::all().into_iter().flat_map(|(_, group)| group);
        for behaviour in names.filter(|behaviour| can(behaviour.needs)) {
            println!("{host}::{}: test", behaviour.name);
        }
    }
    ExitCode::SUCCESS
}
