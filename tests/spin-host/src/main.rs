//! A stand-in for the Spin runtime in tests: runs the same component with the same reuse of instances, the same
//! outbound rules and the same key-value hazards, on wasmtime alone.

mod bindings;
mod connect;
mod failure;
mod faults;
mod guest;
mod hosts;
mod kv;
mod manifest;
mod options;
mod outbound;
mod producer;
mod serve;
mod sql;
mod variables;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wasmtime_wasi_http::handler::ProxyHandler;

use failure::{Failure, Result};
use guest::{Grants, Guest};
use manifest::Manifest;
use options::Options;
use outbound::Outbound;
use serve::Server;
use variables::Sources;

fn main() -> ExitCode {
    match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => match start(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failed(&failure),
        },
        Ok(None) => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("spin-host: {failure}");
    ExitCode::FAILURE
}

fn start(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(run(options));
    // What is still running is lost, as in the real runtime; a call that waits for ever must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Serves until a signal comes.
async fn run(options: &Options) -> Result<()> {
    let server = Arc::new(prepare(options)?);
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", options.listen)))?;
    let address =
        listener.local_addr().map_err(|error| Failure::new(format!("no address to listen on: {error}")))?;
    let signals = |error: std::io::Error| Failure::new(format!("cannot wait for signals: {error}"));
    let mut terminated = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(signals)?;
    println!("listening on http://{address}");
    faults::follow_standard_input(Arc::clone(&options.faults));
    // Whoever waits for the line reads it through a pipe; without a reader there is nobody to tell.
    let _ = std::io::stdout().flush();
    tokio::select! {
        () = server.run(listener) => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}

fn prepare(options: &Options) -> Result<Server> {
    let manifest = Manifest::read(&options.manifest)?;
    let (id, component) = manifest.component(options.component.as_deref())?;
    let values = sources(options)?.resolve(&manifest.variables())?;
    let mut component_values = variables::Values::new();
    for (name, template) in &component.variables {
        variables::check_name(name).map_err(|why| Failure::new(format!("invalid variable name: {why}")))?;
        component_values.insert(name.clone(), variables::render(template, &values)?);
    }
    let allowed = hosts::AllowedHosts::parse(&component.allowed_outbound_hosts, &values)?;
    let connector = connect::Connector::new(options.ca.as_deref(), options.nodelay)?;
    let database = kv::Database::new(&options.kv, options.hazards.clone(), Arc::clone(&options.faults));
    let sql = sql::Database::new(options.sqlite.clone(), options.sqlite_fsync, Arc::clone(&options.faults));
    let grants = Grants {
        component: id.to_owned(),
        environment: component.environment.clone().into_iter().collect(),
        kv: kv::KvState::new(database, component.key_value_stores.iter().cloned().collect()),
        sql: sql::SqlState::new(sql, component.sqlite_databases.iter().cloned().collect()),
        outbound: Outbound::new(allowed, connector),
        variables: component_values,
        faults: Arc::clone(&options.faults),
    };
    let wasm = options.wasm.clone().unwrap_or_else(|| manifest.source(component));
    let guest = Guest::load(&wasm, grants, options.reuse)?;
    Ok(Server {
        guest: ProxyHandler::new(guest),
        routes: manifest.routes(id)?,
        info: manifest.info(),
        nodelay: options.nodelay,
    })
}

fn sources(options: &Options) -> Result<Sources> {
    let mut sources = Sources { environment: environment(), ..Sources::default() };
    for argument in &options.variables {
        sources.add_argument(argument)?;
    }
    // Where the host was started, not where the manifest is: as the real runtime looks.
    let here = Path::new(".env");
    match &options.env_file {
        Some(file) => sources.add_env_file(file)?,
        None if here.is_file() => sources.add_env_file(here)?,
        None => {}
    }
    Ok(sources)
}

fn environment() -> HashMap<String, String> {
    let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(readable).collect()
}
