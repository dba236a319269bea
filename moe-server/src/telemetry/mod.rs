//! Spans of the requests, for a collector: OTLP over HTTP, as JSON. There is no content in them.
//!
//! A request that ends (`request`) puts its spans into a bounded queue and never waits; a task (`export`) sends what has
//! gathered. What the collector does not take is dropped: the account is the receipts, not the traces.

mod export;
mod headers;
mod request;

use crate::client::Client;
use crate::http::random;
use axum::http::HeaderMap;
use export::Export;
use moegate_wire::spans::Spans;
use moegate_wire::trace::{TRACEPARENT, TraceParent};
pub use request::RequestTrace;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Requests whose spans wait for the collector; those of more are dropped.
const QUEUE: usize = 2_048;
/// How long the last call at the end may take.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Where spans go.
#[derive(Clone)]
pub struct Options {
    /// The collector's whole URL, such as `https://collector.example/v1/traces`; `http` on loopback.
    pub url: String,
    headers: HeaderMap,
    /// Of the requests without a `traceparent`, how many have spans.
    percent: u8,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold keys.
        f.debug_struct("Options").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Options {
    /// `headers` as in the environment variable [`Self::HEADERS`].
    ///
    /// # Errors
    /// What is wrong with the URL or the headers, or with the certificates that this machine trusts.
    pub fn new(url: String, headers: &str, percent: u8) -> Result<Self, String> {
        Client::new("--otlp", &url, "")?;
        let headers = headers::parse(headers).map_err(|why| format!("{}: {why}", Self::HEADERS))?;
        Ok(Self { url, headers, percent })
    }

    /// Headers for the collector (OpenTelemetry's specification, "OTLP exporter configuration").
    pub const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
}

/// Requests by what became of their spans.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: AtomicU64,
    pub dropped: AtomicU64,
}

/// The end at which spans are put in.
#[derive(Debug, Clone)]
pub struct Telemetry {
    sender: mpsc::Sender<Spans>,
    counts: Arc<Counts>,
    percent: u8,
}

impl Telemetry {
    /// The trace of a request that has just come; `None` where it is not to be recorded.
    #[must_use]
    pub fn trace(&self, headers: &HeaderMap, operation: &'static str) -> Option<RequestTrace> {
        let given = headers.get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
        let parent = match given {
            Some(parent) if parent.is_sampled() => parent,
            Some(_) => return None,
            None if random() % 100 < self.percent.into() => {
                TraceParent::begin(u128::from(random()) << 64 | u128::from(random()))
            }
            None => return None,
        };
        Some(RequestTrace::new(self.clone(), parent, random().max(1), operation))
    }

    fn post(&self, spans: Spans) {
        if self.sender.try_send(spans).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// A running export.
#[derive(Debug)]
pub struct Running {
    telemetry: Telemetry,
    stop: oneshot::Sender<()>,
    exporting: JoinHandle<()>,
}

impl Running {
    /// Within a runtime.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn start(options: &Options) -> Result<Self, String> {
        let client = Client::new("--otlp", &options.url, "")?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let export = Export::new(client, options.headers.clone(), receiver, counts.clone());
        let exporting = tokio::spawn(export.run(stopped));
        Ok(Self { telemetry: Telemetry { sender, counts, percent: options.percent }, stop, exporting })
    }

    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// After the last request has ended: sends what there is, once.
    pub async fn close(self) {
        // An error means that the task is gone.
        let _ = self.stop.send(());
        let _ = timeout(LAST_TRY, self.exporting).await;
    }
}
