//! Calls that wake an origin, and that find out whether it takes work.

use crate::config::{Origin, Wake, WakeVia};
use crate::gateway::authenticate::look_up;
use crate::gateway::send::{base_headers, build};
use crate::gateway::stream::Watch;
use crate::json::from_bytes;
use crate::platform::{Payload, Platform};
use crate::secret::OriginSecrets;
use http::{HeaderMap, HeaderValue, Method, header};
use moegate_wire::{OriginState, OriginStatus, origin as wire};
use serde::Deserialize;

const LARGEST: usize = 64 * 1024;

/// How an origin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probed {
    Ready,
    /// Nobody has to do anything.
    Waking {
        seconds_left: Option<u64>,
    },
    /// It is asleep; why its last wake failed, if it says so.
    Cold {
        reason: Option<String>,
    },
    /// It does not answer, or not as it should.
    Unreachable,
}

/// Asks an origin whether it takes work.
pub(super) async fn probe<P: Platform>(platform: &P, origin: &Origin, wake: &Wake, until_ms: u64) -> Probed {
    let path = match wake.via {
        WakeVia::Moegate => wire::HEALTH,
        WakeVia::Vllm => "/is_sleeping",
        WakeVia::Http | WakeVia::Request => wake.ready.as_deref().unwrap_or("/health"),
    };
    let Some((status, body)) = own(platform, origin, Method::GET, path, until_ms).await else {
        return Probed::Unreachable;
    };
    match (wake.via, status) {
        (WakeVia::Moegate, 200) => match from_bytes::<OriginStatus>(&body) {
            Ok(status) => of_status(status),
            Err(_) => Probed::Unreachable,
        },
        (WakeVia::Vllm, 200) => {
            #[derive(Deserialize)]
            struct Sleeping {
                is_sleeping: bool,
            }
            match from_bytes(&body) {
                Ok(Sleeping { is_sleeping: false }) => Probed::Ready,
                Ok(Sleeping { is_sleeping: true }) => Probed::Cold { reason: None },
                Err(_) => Probed::Unreachable,
            }
        }
        (WakeVia::Http | WakeVia::Request, 200..=299) => Probed::Ready,
        _ => Probed::Unreachable,
    }
}

fn of_status(status: OriginStatus) -> Probed {
    match status.state {
        OriginState::Ready => Probed::Ready,
        OriginState::Waking => Probed::Waking { seconds_left: status.seconds_left },
        OriginState::Cold => Probed::Cold { reason: status.reason },
        // It has to be told again once it sleeps.
        OriginState::Draining => Probed::Cold { reason: None },
    }
}

/// Has an origin start.
///
/// # Errors
/// What went wrong, for the operator.
pub(super) async fn start<P: Platform>(
    platform: &P,
    origin: &Origin,
    wake: &Wake,
    until_ms: u64,
) -> Result<(), String> {
    match wake.via {
        WakeVia::Moegate => told(platform, origin, wire::WAKE, until_ms).await,
        WakeVia::Vllm if wake.level == Some(2) => {
            // https://docs.vllm.ai/en/latest/features/sleep_mode.html, "RLHF weight updates": room for the weights, the
            // weights, then room for the KV cache.
            told(platform, origin, "/wake_up?tags=weights", until_ms).await?;
            let reload = Payload::Own(br#"{"method":"reload_weights"}"#.to_vec());
            let url = origin.at_root("/collective_rpc");
            expect(&url, send(platform, origin, Method::POST, &url, reload, until_ms).await.as_ref())?;
            told(platform, origin, "/wake_up?tags=kv_cache", until_ms).await
        }
        WakeVia::Vllm => told(platform, origin, "/wake_up", until_ms).await,
        WakeVia::Http => by_url(platform, wake, until_ms).await,
        WakeVia::Request => Ok(()),
    }
}

async fn told<P: Platform>(platform: &P, origin: &Origin, path: &str, until_ms: u64) -> Result<(), String> {
    expect(&origin.at_root(path), own(platform, origin, Method::POST, path, until_ms).await.as_ref())
}

/// The call of `via = "http"`.
async fn by_url<P: Platform>(platform: &P, wake: &Wake, until_ms: u64) -> Result<(), String> {
    // The validator wants one.
    let url = wake.url.as_deref().unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Some(name) = &wake.secret {
        let secret =
            platform.secret(name).await.map_err(|_| "the platform's secrets cannot be read".to_owned())?;
        let value = secret.and_then(|secret| secret.header_value("Bearer "));
        headers
            .insert(header::AUTHORIZATION, value.ok_or_else(|| format!("the secret `{name}` is missing"))?);
    }
    let body = match &wake.body {
        None => Payload::Empty,
        Some(body) => {
            let content_type = wake.content_type.as_deref().unwrap_or("application/json");
            if let Ok(value) = HeaderValue::try_from(content_type) {
                headers.insert(header::CONTENT_TYPE, value);
            }
            Payload::Own(body.clone().into_bytes())
        }
    };
    let method =
        Method::from_bytes(wake.method.as_deref().unwrap_or("POST").as_bytes()).unwrap_or(Method::POST);
    let request = build(method, url, headers, body).ok_or_else(|| format!("{url} is no URL"))?;
    expect(url, answered(platform, request, until_ms).await.as_ref())
}

/// 304 and 409 say that it has started already (Docker's and many a cloud's API).
fn expect(url: &str, answer: Option<&(u16, Vec<u8>)>) -> Result<(), String> {
    // What stands behind a `?` may be the operator's own business.
    let shown = url.split('?').next().unwrap_or_default();
    match answer {
        Some((200..=299 | 304 | 409, _)) => Ok(()),
        Some((status, _)) => Err(format!("{shown} answered {status}")),
        None => Err(format!("{shown} did not answer")),
    }
}

/// A call to the origin itself, with its key.
async fn own<P: Platform>(
    platform: &P,
    origin: &Origin,
    method: Method,
    path: &str,
    until_ms: u64,
) -> Option<(u16, Vec<u8>)> {
    send(platform, origin, method, &origin.at_root(path), Payload::Empty, until_ms).await
}

async fn send<P: Platform>(
    platform: &P,
    origin: &Origin,
    method: Method,
    url: &str,
    body: Payload<P::Bytes>,
    until_ms: u64,
) -> Option<(u16, Vec<u8>)> {
    let secrets = look_up(platform, OriginSecrets::names(origin, 0)).await.ok()?;
    let secrets = OriginSecrets::of(origin, 0, &secrets).ok()?;
    let mut headers = base_headers(&secrets, url);
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    answered(platform, build(method, url, headers, body)?, until_ms).await
}

async fn answered<P: Platform>(
    platform: &P,
    request: http::Request<Payload<P::Bytes>>,
    until_ms: u64,
) -> Option<(u16, Vec<u8>)> {
    let exchange = async {
        let (head, incoming) = platform.fetch(request).await.ok()?.into_parts();
        let body = platform.collect(incoming, LARGEST).await.ok()?;
        Some((head.status.as_u16(), body.to_vec()))
    };
    Watch::new(platform).run_unattended(exchange, until_ms).await?
}
