//! `moe-server serve`.

use super::args::Options;
use super::key::{VARIABLE, auth};
use moe_server::engine::cpu::CpuOptions;
use moe_server::engine::cuda::CudaOptions;
use moe_server::http::body::Budget;
use moe_server::http::codec::ModelCodec;
use moe_server::http::receipts::{Receipts, Retention};
use moe_server::http::tickets::Spent;
use moe_server::http::{self, Limits, Server};
use moe_server::load::{LoadOptions, Loader, load};
use moe_server::outbox;
use moe_server::schedule::{Config, Scheduler};
use moe_server::snapshot;
use moe_server::telemetry;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long streams have to say their last words once the server is told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// How long the prefix cache may take to be written. What is not done then is thrown away by the next time.
const WRITE_GRACE: Duration = Duration::from_secs(30);
/// Connections that the system holds until they are accepted.
pub(super) const BACKLOG: u32 = 1024;

/// Loads the model and serves until a signal, or until its engine is dead.
///
/// # Errors
/// What went wrong and what to do.
pub(super) fn serve(options: &Options) -> Result<(), String> {
    let started = Instant::now();
    let variable = std::env::var(VARIABLE).ok();
    let auth = auth(options.api_key_file.as_deref(), variable.as_deref(), options.no_auth)?;
    // Few threads: the surface has little to do, and the processor is the model's.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|error| format!("no threads for HTTP: {error}"))?;
    let address = SocketAddr::new(options.host, options.port);
    // Before the model, so that a taken port is told at once; but nobody is let in before there is an answer.
    let socket = reserve(address).map_err(|error| taken(address, &error))?;
    let address = socket.local_addr().map_err(|error| error.to_string())?;

    let defaults = CpuOptions::default();
    let cpu = CpuOptions {
        threads: options.threads,
        kv_tokens: options.kv_tokens.unwrap_or(defaults.kv_tokens.max(options.context.unwrap_or(0))),
        kv_type: options.kv_type,
        context_limit: options.context,
        prefix_cache: options.prefix_cache,
        ..defaults
    };
    let cuda = CudaOptions {
        kv_tokens: options.kv_tokens,
        context_limit: options.context,
        max_sequences: options.max_batch,
        max_wanted: options.max_batch,
        prefix_cache: options.prefix_cache,
        ..CudaOptions::default()
    };
    let path = &options.model;
    let push = push(options);
    if let Some(push) = &push {
        // Before the model, so that a mistake is told at once.
        push.check()?;
    }
    let spans = options.otlp.clone().map(|url| {
        let headers = std::env::var(telemetry::Options::HEADERS).unwrap_or_default();
        telemetry::Options::new(url, &headers, options.otlp_percent)
    });
    let spans = spans.transpose()?;
    let how = LoadOptions { name: None, device: options.device, cpu, cuda, notice: Some(notice) };
    let model = load(path, &how).map_err(|error| error.to_string())?;
    let config = Config {
        max_queue: options.max_queue,
        max_batch: options.max_batch,
        step_target: Duration::from_millis(options.step_ms),
        started,
        sleep: options.sleep.clone(),
        warm_state: options.warm_state.clone().map(|file| snapshot::Options {
            file,
            max_bytes: options.warm_state_mib.saturating_mul(1 << 20),
        }),
        ..Config::default()
    };
    let loader = Box::new(Loader::new(path, how, &model));
    let scheduler = Scheduler::start(model.engine, loader, &config)
        .map_err(|error| format!("no thread for the engine: {error}"))?;
    let mut models = vec![model.name];
    for alias in &options.aliases {
        if !models.contains(alias) {
            models.push(alias.clone());
        }
    }
    let (push, spans) = {
        let _runtime = runtime.enter();
        let start = |push| outbox::Running::start(push, auth.clone(), scheduler.meter().clone());
        let push = push.as_ref().map(start).transpose()?;
        (push, spans.as_ref().map(telemetry::Running::start).transpose()?)
    };
    let limits = Limits::default();
    let max_body_bytes = options.max_body_mb.saturating_mul(1 << 20);
    let server = Server {
        codec: Arc::new(ModelCodec {
            tokenizer: model.tokenizer,
            template: model.template,
            vocab: model.vocab,
        }),
        scheduler,
        receipts: Receipts::new(Retention::default()),
        outbox: push.as_ref().map(outbox::Running::outbox),
        telemetry: spans.as_ref().map(telemetry::Running::telemetry),
        auth,
        tickets: options.require_ticket.then(Spent::default),
        models,
        created: changed_s(path),
        max_body_bytes,
        keepalive: Duration::from_secs(options.keepalive_s),
        // One body of the largest size must have room.
        body_budget: Budget::new(limits.body_bytes.max(max_body_bytes)),
        limits,
        large_bodies: Arc::new(Semaphore::new(1)),
    };
    let context = server.scheduler.context_length();
    // Inside of the runtime, to which they register.
    let (stop, listener) = runtime.block_on(async {
        let stop = signals().map_err(|error| format!("no signals: {error}"))?;
        let listener = socket.listen(BACKLOG).map_err(|error| taken(address, &error))?;
        Ok::<_, String>((stop, listener))
    })?;
    announce(options, address, &server.models, context);
    let scheduler = server.scheduler.clone();
    let died = Arc::new(AtomicBool::new(false));
    let stop = stopped(stop, scheduler.clone(), died.clone());
    runtime.block_on(async {
        http::run(listener, Arc::new(server), stop, GRACE).await;
        if options.warm_state.is_some() {
            let _ = timeout(WRITE_GRACE, scheduler.ended()).await;
        }
        if push.is_some() || spans.is_some() {
            // Requests whose clients have left may still be ending.
            let _ = timeout(GRACE, scheduler.ended()).await;
        }
        if let Some(push) = push {
            push.close().await;
        }
        if let Some(spans) = spans {
            spans.close().await;
        }
    });
    // What still runs may be deep in a computation; nobody waits for it.
    runtime.shutdown_background();
    if !died.load(Ordering::Relaxed) {
        return Ok(());
    }
    let why = scheduler.dead().unwrap_or("the engine is dead");
    let why = format!("{why}; this process ends, so that what supervises it starts another one");
    if scheduler.is_stuck() {
        notice(&why);
        // What a driver does at an orderly end may wait for the step too.
        std::process::abort();
    }
    Err(why)
}

/// Resolves when the server is told to stop, or when its engine is dead: then there is nothing left to serve with.
async fn stopped(told: impl Future<Output = ()>, scheduler: Scheduler, died: Arc<AtomicBool>) {
    tokio::select! {
        () = told => {}
        () = scheduler.ended() => died.store(true, Ordering::Relaxed),
    }
}

/// Where receipts are sent by themselves.
fn push(options: &Options) -> Option<outbox::Options> {
    let (url, origin, folder) = (&options.receipts_to, &options.origin_name, &options.outbox);
    Some(outbox::Options {
        url: url.clone()?,
        origin: origin.clone()?,
        folder: folder.clone()?,
        limit: options.outbox_mb.saturating_mul(1 << 20),
    })
}

fn notice(line: &str) {
    // Whoever started the server may not care for its output.
    let _ = writeln!(io::stderr(), "moe-server: {line}");
}

/// Takes an address without listening: until then, connections are refused.
pub(super) fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Not to wait for the old connections of a server that was stopped. (Elsewhere it would share the port.)
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

pub(super) fn taken(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{address} is in use: give another --port (0 picks a free one), or stop what listens there"
        ),
        ErrorKind::PermissionDenied => {
            format!("{address}: {error}; ports below 1024 are the system's, give another")
        }
        _ => format!("{address}: {error}; give another --host or --port"),
    }
}

fn announce(options: &Options, address: SocketAddr, models: &[String], context: usize) {
    let url = format!("http://{address}");
    let line = if options.json {
        serde_json::json!({"url": url, "port": address.port(), "models": models, "context_length": context})
            .to_string()
    } else {
        format!("{} with a context of {context} tokens\nlistening on {url}", models.join(", "))
    };
    let mut out = io::stdout().lock();
    // Whoever started the server may not care for its output.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
#[cfg(unix)]
pub(super) fn signals() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move {
            next().await;
            std::process::exit(1);
        });
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
pub(super) fn signals() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // An error means that no signal will ever come: then nothing stops the server either.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// When the file was last written, in Unix seconds; now, where nobody knows.
fn changed_s(file: &Path) -> u64 {
    let changed = fs::metadata(file).and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now());
    changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    #[tokio::test]
    async fn nobody_is_let_in_before_the_model_is_loaded() {
        let socket = reserve((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let listener = socket.listen(BACKLOG).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        TcpStream::connect(address).unwrap();
        assert_eq!(reserve(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
