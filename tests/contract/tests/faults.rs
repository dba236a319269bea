//! Every fault on every host: `cargo xtask test faults`. Arguments are parts of names, such as `workerd::` or
//! `spin::reset_in_event`.

use contract::fake_host::FakeHost;
use contract::faults::{runner, table};
use contract::host::Host;
use contract::origin::{self, Progress};
use contract::runner::{Count, is_chosen};
use contract::spin::Spin;
use contract::suite::FAULTS;
use contract::table::page_is_fresh;
use contract::workerd::Workerd;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;

type Start = fn(&Arc<Progress>) -> Result<Box<dyn Host>, String>;

/// The runtimes. They use the same ports, so one runs after the other.
const REAL: &[(&str, Start)] = &[
    ("workerd", |origins| Ok(Box::new(Workerd::start(&FAULTS, origins)?))),
    ("spin", |origins| Ok(Box::new(Spin::start(&FAULTS, origins)?))),
];

fn main() -> ExitCode {
    let filters: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if env::args().any(|argument| argument == "--list") {
        for host in ["fake", "fake_as_spin", "workerd", "spin"] {
            runner::names(host).for_each(|name| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut total = runner::run(&FakeHost::new(&FAULTS), &filters);
    total += runner::run(&FakeHost::as_spin(&FAULTS), &filters);
    let mut origins = None;
    for (name, start) in REAL {
        if !runner::names(name).any(|name| is_chosen(&name, &filters)) {
            continue;
        }
        let origins = origins.get_or_insert_with(|| origin::listen(FAULTS.origins));
        total += match origins.as_ref().map_err(String::clone).and_then(start) {
            Ok(host) => runner::run(&*host, &filters),
            Err(reason) => {
                println!("test {name} ... FAILED\n{reason}");
                Count { passed: 0, failed: 1 }
            }
        };
    }
    if is_chosen("table_is_fresh", &filters) {
        total += page_is_fresh("docs/reference/faults.md", &table::page(), "faults");
    }
    total.verdict()
}
