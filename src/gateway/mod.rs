//! The way of a request, top to bottom: authenticate → admit → plan → attempt* → relay → settle.
//!
//! Each step is a module of `core` and a call here. No step reaches back.
//!
//! - [`again`]: requests that come a second time.
//! - [`journey`]: attempts, until there is an answer to give.
//! - [`deliver`]: the answer's way to the client, and on with another origin where a stream breaks off.
//! - [`settle`]: what it all used, written down.
//! - [`share`]: what other instances are told of the origins' health.
//! - [`pages`]: what the gateway answers by itself.

mod again;
mod deliver;
mod journey;
mod pages;
mod settle;
mod share;
mod tried;

use crate::api::openai;
use crate::core::config::{Config, Key, KeyHash};
use crate::core::course::Course;
use crate::core::error::ApiError;
use crate::core::route::{self, Dice, Facts};
use crate::core::secret::Secrets;
use crate::core::{auth, request_id};
use crate::platform::{BodyError, Head, Platform, Reply, ReplyBody};
use journey::Journey;

/// Serves one request. Nothing is left running when it returns.
pub async fn handle<P: Platform>(platform: &P, config: &Config, head: &Head) {
    let result = match (head.method.as_str(), head.path.as_str()) {
        ("GET" | "HEAD", "/health") => json(platform, r#"{"status":"ok"}"#.to_owned()).await,
        ("POST", "/v1/chat/completions") => generate(platform, config, head, "/chat/completions").await,
        ("POST", "/v1/completions") => generate(platform, config, head, "/completions").await,
        ("GET", "/v1/models") => pages::models(platform, config, head, None).await,
        ("GET", path) if path.starts_with("/v1/models/") => {
            pages::models(platform, config, head, path.strip_prefix("/v1/models/")).await
        }
        ("GET", "/usage") => pages::usage(platform, config, head).await,
        #[cfg(feature = "fault-injection")]
        ("GET", "/__panic") => panic!("moegate-fault-injection"),
        (_, "/v1/chat/completions" | "/v1/completions") => Err(ApiError::method("POST")),
        (_, "/health" | "/v1/models" | "/usage") => Err(ApiError::method("GET")),
        _ => Err(ApiError::not_found()),
    };
    if let Err(error) = result {
        refuse(platform, &error).await;
    }
}

async fn generate<P: Platform>(
    platform: &P,
    config: &Config,
    head: &Head,
    path: &str,
) -> Result<(), ApiError> {
    // Authenticate.
    let key = authenticate(platform, config, head).await?;
    let started_ms = platform.now_ms();

    // Admit.
    let limit_mib = config.gateway.max_body_mib;
    let limit = limit_mib as usize * 1024 * 1024;
    if head.content_length.is_some_and(|length| length > limit as u64) {
        return Err(ApiError::too_large(limit_mib));
    }
    let body = platform.read_body(limit).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::too_large(limit_mib),
        BodyError::Broken => {
            ApiError::invalid("body_broken", None, "the request body broke off; send it again")
        }
    })?;
    let request = openai::Request::parse((*body).as_ref())?;
    let route = route::find(config, key, &request.model)?;
    let window_s = config.gateway.idempotency_s;
    let first = match again::repeat_of(head, key, path, (*body).as_ref(), window_s) {
        None => None,
        Some(repeat) => {
            let until_ms = started_ms + u64::from(route.budget.seconds) * 1000;
            match again::first(platform, repeat, u64::from(window_s) * 1000, until_ms).await? {
                None => return Ok(()),
                first => first,
            }
        }
    };

    // Plan.
    let random = platform.random();
    let mut dice = Dice::new(random);
    let size = request.size();
    let facts = Facts {
        model: &request.model,
        key,
        stream: request.stream,
        size,
        conversation: request.conversation(),
        headers: &head.rule_headers,
    };
    let plan = platform
        .memory(|memory| route::plan(config, route, &facts, &memory.health, started_ms, &mut dice, None));

    // Attempt.
    let mut journey = Journey {
        platform,
        route,
        key,
        asked: (*request.model).to_owned(),
        path,
        id: request_id::make(started_ms, random),
        started_ms,
        limit,
        size,
        stream: request.stream,
        include_usage: request.include_usage,
        course: Course::new(plan, started_ms),
        dice,
        tried: Vec::with_capacity(1),
        repeat: first.as_ref().map(|first| first.repeat),
        kept: None,
    };
    let found = journey.find(&request, None).await?;

    // Relay.
    if route.continues && request.stream {
        journey.deliver(found, Some(&request)).await;
    } else {
        // A stream may last for minutes; the body is not held for so long.
        drop(request);
        drop(body);
        journey.deliver(found, None).await;
    }

    // Settle.
    if let (Some(first), Some(kept)) = (first, journey.kept.take()) {
        first.answered(kept).await;
    }
    journey.settle().await;
    journey.share().await;
    Ok(())
}

async fn authenticate<'c, P: Platform>(
    platform: &P,
    config: &'c Config,
    head: &Head,
) -> Result<&'c Key, ApiError> {
    let names = config.keys.iter().filter_map(|key| key.hash().and_then(secret_name));
    let secrets = look_up(platform, names).await;
    auth::client(config, head.authorization.as_deref(), &secrets)
}

fn secret_name(hash: KeyHash<'_>) -> Option<&str> {
    match hash {
        KeyHash::InSecret(name) => Some(name),
        KeyHash::Here(_) => None,
    }
}

async fn look_up<P: Platform>(platform: &P, names: impl Iterator<Item = &str>) -> Secrets {
    let mut secrets = Secrets::default();
    for name in names {
        if let Some(secret) = platform.secret(name).await {
            secrets.insert(name, secret);
        }
    }
    secrets
}

async fn json<P: Platform>(platform: &P, body: String) -> Result<(), ApiError> {
    let headers =
        vec![("content-type", "application/json".to_owned()), ("cache-control", "no-store".to_owned())];
    platform.respond(Reply { status: 200, headers }, ReplyBody::Bytes(body.into_bytes())).await;
    Ok(())
}

fn bytes<S>(error: &ApiError) -> ReplyBody<S> {
    ReplyBody::Bytes(error.body().into_bytes())
}

async fn refuse<P: Platform>(platform: &P, error: &ApiError) {
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("cache-control", "no-store".to_owned())];
    if error.status == 401 {
        headers.push(("www-authenticate", "Bearer".to_owned()));
    }
    if let Some(seconds) = error.retry_after_s {
        headers.push(("retry-after", seconds.to_string()));
    }
    if let Some(methods) = error.allow {
        headers.push(("allow", methods.to_owned()));
    }
    platform.respond(Reply { status: error.status, headers }, bytes(error)).await;
}
