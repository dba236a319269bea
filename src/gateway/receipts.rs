//! Asking our own servers what a request has used.

use super::attempt::Attempt;
use super::context::RequestContext;
use super::reply::header_text;
use super::send::{base_headers, build};
use super::stream::Watch;
use crate::config::Failure;
use crate::metering::receipt;
use crate::platform::{Payload, Platform};
use crate::secret::OriginSecrets;
use http::Method;
use moegate_wire::{Ending, Receipt, header as wire};

/// How often one is asked; once, if it was not there for the request itself.
const TRIES: u32 = 3;
/// Before the second question; doubles with the third.
const PAUSE_MS: u64 = 250;
/// What one question may take; the server itself waits a little for a generation that is just being cancelled.
const QUESTION_MS: u64 = 5_000;
/// No further question is begun after this. What runs on after an answer is ended after 30 s on Workers, and a record that
/// says "not known" is better than none.
const ASKING_MS: u64 = 15_000;
const LARGEST: usize = 64 * 1024;

/// What the questions came to.
pub(super) enum Answered {
    /// Perhaps of a generation that still runs.
    Receipt(Receipt),
    /// The server does not know the request.
    Unknown,
    Nothing,
}

impl<P: Platform> RequestContext<'_, P> {
    /// The receipt of our own server; asked for again if the first question fails or finds it still running.
    pub(super) async fn receipt(&self, attempt: &Attempt<'_>) -> Answered {
        let until_ms = self.platform.now_ms() + ASKING_MS;
        let mut last = Answered::Nothing;
        let tries = if attempt.failure == Some(Failure::Connect) { 1 } else { TRIES };
        for tried in 0..tries {
            if tried > 0 {
                self.platform.sleep(PAUSE_MS << (tried - 1)).await;
            }
            if self.platform.now_ms() >= until_ms {
                break;
            }
            match ask(self.platform, &attempt.target.origin.url, &attempt.secrets, &attempt.id).await {
                Answered::Receipt(receipt) if receipt.ending == Ending::Running => {
                    last = Answered::Receipt(receipt);
                }
                Answered::Nothing => {}
                answered => return answered,
            }
        }
        last
    }
}

/// Asks once.
pub(super) async fn ask<P: Platform>(
    platform: &P,
    origin_url: &str,
    secrets: &OriginSecrets<'_>,
    id: &str,
) -> Answered {
    let url = format!("{origin_url}/receipts/{id}?wait_ms=1500");
    let headers = base_headers(secrets, &url);
    let Some(request) = build(Method::GET, &url, headers, Payload::Empty) else {
        return Answered::Unknown;
    };
    let exchange = async {
        let (head, incoming) = platform.fetch(request).await.ok()?.into_parts();
        Some((head, platform.collect(incoming, LARGEST).await.ok()?))
    };
    let until_ms = platform.now_ms() + QUESTION_MS;
    let Some(Some((head, body))) = Watch::new(platform).run_unattended(exchange, until_ms).await else {
        return Answered::Nothing;
    };
    match head.status.as_u16() {
        200 => {
            let signature = header_text(&head.headers, wire::SIGNATURE);
            receipt::read(signature, &body, secrets, id).map_or(Answered::Nothing, Answered::Receipt)
        }
        404 => Answered::Unknown,
        _ => Answered::Nothing,
    }
}
