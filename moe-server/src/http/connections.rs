//! Accepts connections and bounds what each may hold: a client without a key can open one, too.

use super::stall::Stalling;
use super::{Server, router};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// What clients may hold, and for how long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; more wait in the system's queue. Below the usual 1,024 file descriptors of a process.
    pub connections: usize,
    /// For a request's head to arrive, also on an idle connection.
    pub head: Duration,
    /// How long a body may make no progress.
    pub body_silence: Duration,
    /// For the rest of a body whose request is refused already.
    pub drain: Duration,
    /// How long a client may read nothing of an answer that is waiting for it.
    pub write_stall: Duration,
    /// Bytes of bodies that are not yet tokens, over all requests.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 768,
            head: Duration::from_secs(10),
            body_silence: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            write_stall: Duration::from_secs(600),
            body_bytes: 256 << 20,
        }
    }
}

/// Accepting fails for a while where file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop` resolves: then it takes no more connections, ends what runs with an error that says so, and
/// returns when all is sent, after `grace` at the latest.
pub async fn run(
    listener: TcpListener,
    server: Arc<Server>,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) {
    let limits = server.limits.clone();
    let scheduler = server.scheduler.clone();
    serve_until(listener, router(server), limits, stop, move || scheduler.shut_down(), grace).await;
}

/// The same for any routes; `on_stop` is to end what runs.
pub(crate) async fn serve_until(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
    on_stop: impl FnOnce(),
    grace: Duration,
) {
    let service = TowerToHyperService::new(routes);
    let places = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let free = Arc::new(Semaphore::new(places as usize));
    let (stopped, stopping) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // An error means that it was closed, which nobody does.
            let place = free.clone().acquire_owned().await.ok();
            (place, accept(&listener).await)
        };
        let (place, stream) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        let serving = serve(stream, service.clone(), limits.clone(), stopping.clone());
        tokio::spawn(async move {
            let _place = place;
            serving.await;
        });
    }
    drop(listener);
    on_stop();
    // An error means that there are no connections.
    let _ = stopped.send(true);
    // Every place is free once every connection has ended.
    let _ = timeout(grace, free.acquire_many(places)).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if left(&error) => {}
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Whether the client was gone before its connection was accepted.
fn left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

async fn serve(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    // Events are small and must not wait for one another.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Stalling::new(stream, limits.write_stall));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let stop = async {
        // An error means that the server is gone: as good a reason to stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    tokio::select! {
        // Errors are the client's: it left, sent no HTTP, or was too slow.
        _ = connection.as_mut() => return,
        () = stop => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
