//! A small process on the public address that starts the real server when it is woken and stops it when it is idle: for
//! machines on which a sleeping server shall leave nothing behind.
//!
//! One task (`drive`) owns the [`child`] and acts on the states of [`crate::sleep`]; [`http`] answers for them and
//! passes everything else on.

mod child;
mod http;

use crate::http::Limits;
use crate::http::auth::Auth;
use crate::http::connections;
use crate::outbox::wait_after;
use crate::schedule::log;
use crate::sleep::{Rules, Switch, Turn};
use child::{Child, Ended};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until};

/// How to supervise.
#[derive(Debug, Clone)]
pub struct Options {
    /// `moe-server` itself.
    pub program: PathBuf,
    /// What the server is started with, from `serve` on; the address is added.
    pub arguments: Vec<OsString>,
    /// What clients must show to wake it and put it to sleep: the same that the server wants.
    pub auth: Auth,
    pub rules: Rules,
    /// How long the server may take to end when it is told to, before it is killed.
    pub grace: Duration,
}

/// The longest that a server may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(600);
/// A server that served for so long did not fail at once.
const LIVED: Duration = Duration::from_secs(60);

/// What the requests and the one who acts share.
#[derive(Debug)]
struct Shared {
    switch: Switch,
    auth: Auth,
    /// Something is to be looked at by the one who acts.
    look: Notify,
    /// Requests for work that are being passed on.
    running: AtomicUsize,
    /// Where the server listens, while there is one that is ready.
    address: Mutex<Option<SocketAddr>>,
    /// Counts up whenever the state may have changed.
    changed: watch::Sender<u64>,
}

impl Shared {
    fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_address(&self, address: Option<SocketAddr>) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Supervises until `stop` resolves; then the server is stopped, too.
pub async fn run(listener: TcpListener, options: Options, stop: impl Future<Output = ()> + Send + 'static) {
    let shared = Arc::new(Shared {
        switch: Switch::cold(options.rules.clone()),
        auth: options.auth.clone(),
        look: Notify::new(),
        running: AtomicUsize::new(0),
        address: Mutex::new(None),
        changed: watch::Sender::new(0),
    });
    let (stopped, stopping) = watch::channel(false);
    // The server's last words, and then those of its clients.
    let grace = options.grace + Duration::from_secs(1);
    let driving = tokio::spawn(drive(shared.clone(), options, stopping));
    let on_stop = move || {
        // An error means that nobody drives any more.
        let _ = stopped.send(true);
    };
    connections::serve_until(listener, http::router(shared), Limits::default(), stop, on_stop, grace).await;
    // It panics nowhere; and where it did, the server was killed with it.
    let _ = driving.await;
}

/// Starts and stops the server until told to stop.
async fn drive(shared: Arc<Shared>, options: Options, mut stopping: watch::Receiver<bool>) {
    let mut child: Option<(Child, Instant)> = None;
    let mut failures = 0;
    let mut not_before = Instant::now();
    let (switch, rules) = (&shared.switch, &options);
    while !*stopping.borrow() {
        let idle = shared.running.load(Ordering::Acquire) == 0;
        let turn = switch.turn(idle);
        match turn {
            Turn::Load => {
                let started = tokio::select! {
                    started = start(&shared, rules, not_before) => started,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                };
                match started {
                    Ok(started) => {
                        shared.set_address(Some(started.address));
                        child = Some((started, Instant::now()));
                        if let Some(took) = switch.loaded() {
                            log(format_args!("the server is ready after {} ms", took.as_millis()));
                        }
                    }
                    Err(Ended::Cancelled) => switch.unloaded(),
                    Err(Ended::Failed(why)) => {
                        failures += 1;
                        not_before = Instant::now() + wait_after(failures);
                        log(format_args!("the server could not be started: {why}"));
                        switch.failed(why);
                    }
                }
            }
            Turn::Unload => {
                shared.set_address(None);
                if let Some((child, _)) = child.take() {
                    child.stop(options.grace).await;
                }
                log("the server was stopped");
                failures = 0;
                switch.unloaded();
            }
            Turn::Run | Turn::Rest => {
                let patience = if idle { switch.patience() } else { None };
                let ended = async {
                    match &mut child {
                        Some((child, _)) => child.ended().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    why = ended => {
                        shared.set_address(None);
                        let lived = child.take().is_some_and(|(_, since)| since.elapsed() >= LIVED);
                        failures = if lived { 1 } else { failures + 1 };
                        not_before = Instant::now() + wait_after(failures);
                        log(format_args!("the server ended by itself: {why}"));
                        switch.failed(why);
                    }
                    () = shared.look.notified() => {}
                    () = wait(patience) => {}
                    // An error means that whoever would say it is gone.
                    _ = stopping.wait_for(|stopping| *stopping) => {}
                }
            }
        }
        shared.tell();
    }
    shared.set_address(None);
    if let Some((child, _)) = child {
        child.stop(options.grace).await;
    }
}

async fn wait(patience: Option<Duration>) {
    match patience {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// A server that is ready.
async fn start(shared: &Shared, options: &Options, not_before: Instant) -> Result<Child, Ended> {
    let progress = shared.switch.progress();
    let cancelled = async {
        while progress.check().is_ok() {
            shared.look.notified().await;
        }
    };
    let starting = async {
        // After failures, so that one that cannot start is not started without end.
        sleep_until(not_before.into()).await;
        let mut child = Child::spawn(&options.program, &options.arguments)?;
        child.become_ready(progress).await?;
        Ok(child)
    };
    tokio::select! {
        started = starting => started,
        () = cancelled => Err(Ended::Cancelled),
        () = sleep(START_LIMIT) => {
            Err(Ended::Failed(format!("it was not ready after {} s", START_LIMIT.as_secs())))
        }
    }
}
