//! A request for a generation.

use super::context::RequestContext;
use super::idempotency::{self, Claimed};
use super::reply::{self, bytes_of};
use super::{Gateway, IDEMPOTENCY_KEY, admit, authenticate, overrides};
use crate::config::ErrorDetail;
use crate::dialect::{Call, ClientDialect};
use crate::error::ApiError;
use crate::platform::Platform;
use crate::request_id;
use crate::resilience::idempotency::Fingerprint;
use crate::resilience::retry::RetryState;
use crate::rng::Rng;
use crate::routing::{self, RouteContext};
use http::{HeaderMap, Request};

/// Serves it; what is wrong is answered in the client's dialect.
pub(super) async fn generate<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    dialect: &'static dyn ClientDialect,
    call: Call,
) {
    let started_ms = platform.now_ms();
    let id = {
        let mut random = [0; 10];
        platform.random(&mut random);
        request_id::make(started_ms, random)
    };
    if let Err(error) = pipeline(platform, gateway, head, dialect, call, started_ms, &id).await {
        reply::refuse(platform, gateway.allowed(head), dialect, &error, Some(&id)).await;
    }
}

async fn pipeline<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    dialect: &'static dyn ClientDialect,
    call: Call,
    started_ms: u64,
    id: &str,
) -> Result<(), ApiError> {
    let config = &gateway.config;
    let allowed = gateway.allowed(head);

    // Authenticate.
    let key = authenticate::client(platform, gateway, head).await?;

    // Admit.
    let body = admit::body(platform, config, head.headers()).await?;
    let content_type = reply::header_text(head.headers(), "content-type");
    let request = dialect.parse_as(&call, content_type, &body.bytes)?;
    overrides::refuse(&body.bytes)?;
    let facts = request.facts().clone();
    let route = routing::find(config, key, &facts.model)?;
    let window_s = config.gateway.idempotency_s;
    let idempotency_key = head.headers().get(IDEMPOTENCY_KEY).filter(|_| window_s > 0);
    let claimed = match idempotency_key.map(bytes_of).filter(|value| !value.is_empty()) {
        None => None,
        Some(value) => {
            let fingerprint = Fingerprint::of(&key.name, &value, &asked_path(head), &body.bytes);
            let until_ms = started_ms + u64::from(route.budget.seconds) * 1000;
            let window_ms = u64::from(window_s) * 1000;
            match idempotency::claim(platform, allowed, fingerprint, window_ms, until_ms).await? {
                Claimed::Replayed => return Ok(()),
                Claimed::First(claim) => Some(claim),
            }
        }
    };

    // Plan.
    let mut rng = {
        let mut seed = [0; 8];
        platform.random(&mut seed);
        Rng::new(seed)
    };
    let route_context = RouteContext {
        now_ms: started_ms,
        model: &facts.model,
        key,
        stream: facts.stream,
        size: facts.size,
        conversation: &body.bytes[facts.conversation.clone()],
        headers: head.headers(),
    };
    let plan = platform.state(|state| {
        let is_open = |index| state.health.is_open(index, started_ms);
        routing::plan(config, route, &route_context, &is_open, &mut rng, None)
    });

    // Attempt.
    let mut context = RequestContext {
        platform,
        dialect,
        endpoint: call.endpoint,
        passed: passed(head, dialect),
        echo: request.echo().map(Into::into),
        route,
        key,
        allowed,
        id: id.to_owned(),
        started_ms,
        limit: config.gateway.max_body_mib as usize * 1024 * 1024,
        facts,
        retry: RetryState::new(plan, started_ms),
        rng,
        attempts: Vec::with_capacity(1),
        skipped: Vec::new(),
        dropped: Vec::new(),
        fingerprint: claimed.as_ref().map(|claim| claim.fingerprint),
        watch: super::stream::Watch::new(platform),
        without_usage: None,
        stored_reply: None,
    };
    let found = match context.find(&*request, &body.bytes, None).await {
        Ok(found) => found,
        Err(error) => return Err(context.told(error).await),
    };

    // Respond.
    if route.continues && context.facts.stream {
        context.respond(found, Some((&*request, &body.bytes))).await;
    } else {
        // A stream may last for minutes; the body is not held for so long.
        drop(request);
        drop(body);
        context.respond(found, None).await;
    }

    // Settle.
    let stored = match (&claimed, context.stored_reply.take()) {
        (Some(claim), Some(stored)) => Some(claim.keep(stored)),
        _ => None,
    };
    context.settle().await;
    if let (Some(claim), Some(stored)) = (&claimed, stored) {
        claim.share(&stored).await;
    }
    context.sync_breakers().await;
    Ok(())
}

/// Path and query: what tells two requests of one body apart, where the model is in the path.
fn asked_path(head: &Request<()>) -> String {
    let path = moegate_wire::path::normal(head.uri().path());
    format!("{path}?{}", head.uri().query().unwrap_or(""))
}

/// The client's headers that origins of its own API get too.
fn passed(head: &Request<()>, dialect: &dyn ClientDialect) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in dialect.passed_headers() {
        if let Some(value) = head.headers().get(name) {
            passed.insert(name, value.clone());
        }
    }
    passed
}

impl<P: Platform> RequestContext<'_, P> {
    /// An error as this key may see it: where it tells of the operator's own set-up, that goes to the log.
    async fn told(&self, error: ApiError) -> ApiError {
        if self.key.error_detail() == ErrorDetail::Full
            || error.status < 500
            || error.code == "origins_unavailable"
        {
            return error;
        }
        self.platform.log(&format!("request {}: {} {}", self.id, error.code, error.message)).await;
        reply::plain(&error, &self.id)
    }
}
