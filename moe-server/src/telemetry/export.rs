//! Sends spans to the collector, one batch at a time.

use super::Counts;
use crate::backoff::wait;
use crate::client::{Answer, Client, excerpt};
use crate::http::random;
use crate::schedule::log;
use axum::http::HeaderMap;
use hyper::StatusCode;
use moegate_wire::spans::Spans;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_secs(1);
/// Requests in a batch.
const BATCH: usize = 256;
/// A batch is sent so often at most.
const TRIES: u32 = 3;

pub(super) struct Export {
    client: Client,
    headers: HeaderMap,
    receiver: Receiver<Spans>,
    counts: Arc<Counts>,
    /// What was last said in the log, while it does not work.
    said: Option<String>,
}

/// Why a batch was not taken, and whether another try may help (OTLP's specification, "Retryable Response Codes").
#[derive(Debug, PartialEq, Eq)]
struct Failed {
    why: String,
    again: bool,
}

impl Export {
    pub(super) fn new(
        client: Client,
        headers: HeaderMap,
        receiver: Receiver<Spans>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { client, headers, receiver, counts, said: None }
    }

    /// Sends until `stop` says (or is dropped): then once more all that is there.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = gather(&mut self.receiver, &mut batch) => {}
                _ = &mut stop => break,
            }
            tokio::select! {
                () = self.send(&batch, TRIES) => batch.clear(),
                _ = &mut stop => break,
            }
        }
        // What the last call left or was at is sent again: a collector takes a span twice.
        self.receiver.close();
        while let Some(spans) = self.receiver.recv().await {
            batch.push(spans);
        }
        for batch in batch.chunks(BATCH) {
            self.send(batch, 1).await;
        }
    }

    async fn send(&mut self, batch: &[Spans], tries: u32) {
        let mut all = Spans::default();
        for spans in batch {
            all.append(spans);
        }
        let body = all.body("moe-server", env!("CARGO_PKG_VERSION"));
        let mut failures = 0;
        let counter: fn(&Counts) -> &AtomicU64 = loop {
            let answer = self.client.post(&self.headers, body.clone().into()).await;
            match answer.map_err(|why| Failed { why, again: true }).and_then(|answer| judge(&answer)) {
                Ok(()) => {
                    if self.said.take().is_some() {
                        log("spans are taken again");
                    }
                    break |counts| &counts.sent;
                }
                Err(Failed { why, again }) => {
                    failures += 1;
                    if again && failures < tries {
                        sleep(wait(failures, random())).await;
                        continue;
                    }
                    if self.said.as_ref() != Some(&why) {
                        log(format_args!("the collector does not take spans, and they are dropped: {why}"));
                        self.said = Some(why);
                    }
                    break |counts| &counts.dropped;
                }
            }
        };
        counter(&self.counts).fetch_add(batch.len() as u64, Relaxed);
    }
}

/// Waits until there is something to send, and for what comes soon after. What it has taken is in the batch, also where
/// it is dropped.
async fn gather(receiver: &mut Receiver<Spans>, batch: &mut Vec<Spans>) {
    match receiver.recv().await {
        Some(spans) => batch.push(spans),
        // The server, which holds the other end, is gone: `stop` comes next.
        None => std::future::pending().await,
    }
    let until = Instant::now() + LINGER;
    while batch.len() < BATCH {
        match timeout_at(until, receiver.recv()).await {
            Ok(Some(spans)) => batch.push(spans),
            Ok(None) | Err(_) => break,
        }
    }
}

fn judge(answer: &Answer) -> Result<(), Failed> {
    let Answer { status, body } = answer;
    if !status.is_success() {
        let why = format!("status {}, {}", status.as_u16(), excerpt(body));
        let again = matches!(
            *status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        return Err(Failed { why, again });
    }
    // 64 bits are text in OTLP's JSON, and some write a number.
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = &body["partialSuccess"];
    let rejected = partial["rejectedSpans"].as_u64();
    let rejected = rejected.or_else(|| partial["rejectedSpans"].as_str()?.parse().ok()).unwrap_or(0);
    if rejected == 0 {
        return Ok(());
    }
    let message = excerpt(partial["errorMessage"].as_str().unwrap_or_default().as_bytes());
    Err(Failed { why: format!("it rejected {rejected} of them, {message}"), again: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_says() {
        let judge = |status: u16, body: &'static str| {
            judge(&Answer { status: StatusCode::from_u16(status).unwrap(), body: body.into() })
        };
        for body in
            ["", "{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedSpans":"0"}}"#, "<html>"]
        {
            assert_eq!(judge(200, body), Ok(()), "{body}");
        }
        for (status, again) in
            [(400, false), (401, false), (404, false), (429, true), (500, false), (503, true)]
        {
            assert_eq!(judge(status, "no").unwrap_err().again, again, "{status}");
        }
        for rejected in ["\"3\"", "3"] {
            let body =
                format!(r#"{{"partialSuccess":{{"rejectedSpans":{rejected},"errorMessage":"too old"}}}}"#);
            let failed = judge(200, body.leak()).unwrap_err();
            assert!(failed.why.contains("rejected 3") && failed.why.contains("too old") && !failed.again);
        }
    }
}
