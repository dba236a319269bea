//! Every behaviour on every host: `cargo xtask test contract`. Arguments are parts of names, such as `workerd::` or
//! `fake::stream`.

use contract::fake_host::FakeHost;
use contract::host::Host;
use contract::origin::{self, Progress};
use contract::runner::{Count, compare, is_chosen, run};
use contract::spin::Spin;
use contract::suite::CONTRACT;
use contract::workerd::{Workerd, root};
use contract::{behaviours, table};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs};

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
    let mut total = Count::default();
    let mut add = |count: Count| {
        total.passed += count.passed;
        total.failed += count.failed;
    };
    let (count, _) = run(&FakeHost::default(), &filters);
    add(count);
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
                add(count);
                shown.push((*name, transcript));
            }
            Err(reason) => {
                println!("test {name} ... FAILED\n{reason}");
                add(Count { passed: 0, failed: 1 });
            }
        }
    }
    if let [(one, first), (other, second)] = &shown[..] {
        add(compare((other, second), (one, first)));
    }
    if is_chosen("table_is_fresh", &filters) {
        add(table_is_fresh());
    }
    let verdict = if total.failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured",
        total.passed, total.failed
    );
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

fn table_is_fresh() -> Count {
    let file = root().join("docs/reference/contract.md");
    let page = table::page();
    if env::var_os("MOEGATE_UPDATE").is_some() {
        let folder = file.parent().expect("it has one");
        fs::create_dir_all(folder).and_then(|()| fs::write(&file, &page)).expect("docs can be written");
    }
    let fresh = fs::read_to_string(&file).is_ok_and(|text| text == page);
    println!("test table_is_fresh ... {}", if fresh { "ok" } else { "FAILED" });
    if !fresh {
        println!(
            "docs/reference/contract.md is not what the suite says: MOEGATE_UPDATE=1 cargo test -p contract --test hosts table_is_fresh"
        );
    }
    Count { passed: usize::from(fresh), failed: usize::from(!fresh) }
}
