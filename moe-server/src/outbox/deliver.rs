//! Brings the queue to the gateway, one batch at a time.

use super::queue::Batch;
use super::{Outbox, Shared, log};
use crate::backoff::{SLOW, wait};
use crate::client::{Answer, Client, excerpt};
use crate::http::auth::Auth;
use crate::http::{now, random};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use moegate_wire::Push;
use moegate_wire::header::{SIGNATURE, TIME};
use moegate_wire::push::{Accepted, MAX_ITEMS};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long a batch that is not full waits for more.
const LINGER: Duration = Duration::from_millis(500);

pub(super) struct Deliver {
    client: Client,
    auth: Auth,
    /// This origin's name at the gateway.
    origin: String,
    outbox: Outbox,
    shared: Arc<Shared>,
    /// In a row.
    failures: u32,
    /// What was last said in the log, while it does not work.
    said: Option<String>,
}

/// Why a batch was not taken.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    /// May go by itself.
    Passing(String),
    /// Is for an operator.
    Lasting(String),
}

impl Deliver {
    pub(super) fn new(
        client: Client,
        auth: Auth,
        origin: String,
        outbox: Outbox,
        shared: Arc<Shared>,
    ) -> Self {
        Self { client, auth, origin, outbox, shared, failures: 0, said: None }
    }

    /// Delivers until `stop` says (or is dropped): then once more all that is there, up to the first failure.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut pause = Duration::ZERO;
        loop {
            let next = async {
                sleep(pause).await;
                self.gather().await;
            };
            tokio::select! {
                () = next => {}
                _ = &mut stop => break,
            }
            // Not cut short: what arrives there would be sent a second time.
            pause = self.deliver().await.err().unwrap_or_default();
        }
        while self.shared.queue().len() > 0 {
            if self.deliver().await.is_err() {
                let left = self.shared.queue().len();
                log(format_args!("what is not delivered stays in the outbox until the next start: {left}"));
                return;
            }
        }
    }

    /// Waits until there is something to deliver, and for what comes soon after.
    async fn gather(&self) {
        while self.shared.queue().len() == 0 {
            self.shared.filled.notified().await;
        }
        if self.shared.queue().len() < MAX_ITEMS {
            sleep(LINGER).await;
        }
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// How long to wait until the next try.
    async fn deliver(&mut self) -> Result<(), Duration> {
        let batch = self.shared.queue().batch(MAX_ITEMS);
        let Some(batch) = batch else { return Ok(()) };
        let upto = batch.upto;
        match self.send(batch).await {
            Ok(()) => {
                self.failures = 0;
                if self.said.take().is_some() {
                    log("receipts are delivered again");
                }
                self.shared.queue().take_upto(upto);
                self.outbox.acked(upto);
                Ok(())
            }
            Err(Failed::Passing(why)) => {
                self.failures = self.failures.saturating_add(1);
                self.say_once("receipts are not delivered", "by itself", &why);
                Err(wait(self.failures, random()))
            }
            Err(Failed::Lasting(why)) => {
                self.say_once(
                    "the gateway refuses the receipts",
                    "each five minutes; mend what it says",
                    &why,
                );
                Err(SLOW)
            }
        }
    }

    /// Not at each try.
    fn say_once(&mut self, what: &str, when: &str, why: &str) {
        if self.said.as_deref() != Some(why) {
            log(format_args!("{what}: {why}; they are kept and tried again {when}"));
            self.said = Some(why.to_owned());
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<(), Failed> {
        let Batch { receipts, periods, .. } = batch;
        let push = Push { origin: self.origin.clone(), receipts, periods };
        let body = serde_json::to_vec(&push).map_err(|error| Failed::Lasting(error.to_string()))?;
        let time_s = now().as_secs();
        let Some(signature) = self.auth.sign_push(time_s, &body) else {
            return Err(Failed::Lasting("this server has no key to sign with".to_owned()));
        };
        let mut headers = HeaderMap::new();
        headers.insert(TIME, time_s.into());
        let signature =
            HeaderValue::try_from(signature).map_err(|error| Failed::Lasting(error.to_string()))?;
        headers.insert(SIGNATURE, signature);
        let answer = self.client.post(&headers, body.into()).await;
        judge(&answer.map_err(Failed::Passing)?)
    }
}

fn judge(answer: &Answer) -> Result<(), Failed> {
    let Answer { status, body } = answer;
    let why = format!("status {}, {}", status.as_u16(), excerpt(body));
    match *status {
        // Something else that answers 200 to everything has kept nothing.
        StatusCode::OK if serde_json::from_slice::<Accepted>(body).is_ok() => Ok(()),
        StatusCode::OK => Err(Failed::Lasting(format!("no gateway of this version is there: {why}"))),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(Failed::Passing(why))
        }
        status if status.is_client_error() => Err(Failed::Lasting(why)),
        _ => Err(Failed::Passing(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateways_own_word_acknowledges() {
        let judge = |status: u16, body: &'static str| {
            let status = StatusCode::from_u16(status).unwrap();
            match judge(&Answer { status, body: body.into() }) {
                Ok(()) => "taken",
                Err(Failed::Passing(_)) => "passing",
                Err(Failed::Lasting(_)) => "lasting",
            }
        };
        assert_eq!(judge(200, r#"{"accepted":3}"#), "taken");
        for (status, body) in [(200, "<html>"), (200, "{}"), (400, ""), (401, "{}"), (404, ""), (413, "")] {
            assert_eq!(judge(status, body), "lasting", "{status}");
        }
        for status in [201, 302, 408, 425, 429, 500, 502, 503] {
            assert_eq!(judge(status, r#"{"accepted":3}"#), "passing", "{status}");
        }
    }
}
