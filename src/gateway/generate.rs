//! A request for a generation.

use super::context::RequestContext;
use super::idempotency::{self, Claimed, Shared};
use super::reply::{self, bytes_of};
use super::reserve::Told;
use super::wake::WakeState;
use super::{Gateway, IDEMPOTENCY_KEY, TAG, admit, authenticate, overrides, telemetry, upkeep};
use crate::config::{ErrorDetail, LedgerStore};
use crate::dialect::request::Wishes;
use crate::dialect::{Call, ClientDialect};
use crate::error::ApiError;
use crate::metering::limit::tenant_shard;
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
    let mut id = {
        let mut random = [0; 10];
        platform.random(&mut random);
        request_id::make(started_ms, random)
    };
    if let Err(error) = pipeline(platform, gateway, head, dialect, call, started_ms, &mut id).await {
        reply::refuse(platform, gateway.allowed(head), dialect, &error, Some(&id), None).await;
    }
    super::ledger::catch_up(platform).await;
}

async fn pipeline<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    dialect: &'static dyn ClientDialect,
    call: Call,
    started_ms: u64,
    id: &mut String,
) -> Result<(), ApiError> {
    let config = &gateway.config;
    let allowed = gateway.allowed(head);

    // Authenticate.
    let caller = authenticate::caller(platform, gateway, head).await?;
    let key = &*caller;
    request_id::mark(id, key.tenant_or_name());

    // Admit.
    let body = admit::body(platform, config, head.headers()).await?;
    let content_type = reply::header_text(head.headers(), "content-type");
    let request = dialect.parse_as(&call, content_type, &body.bytes)?;
    overrides::refuse(&body.bytes)?;
    let mut facts = request.facts().clone();
    if let Some(user) = caller.user() {
        facts.user = Some(user.clone());
    }
    let route = caller.route(config, &facts.model)?;
    let window_s = config.gateway.idempotency_s;
    let idempotency_key = head.headers().get(IDEMPOTENCY_KEY).filter(|_| window_s > 0);
    let shard = tenant_shard(key.tenant_or_name());
    let id: &str = id;
    let shared = match config.ledger.store {
        LedgerStore::Database => Shared::Ledger(&shard, id),
        LedgerStore::KeyValue => Shared::Cache,
    };
    let claimed = match idempotency_key.map(bytes_of).filter(|value| !value.is_empty()) {
        None => None,
        Some(value) => {
            let mut asked = asked_path(head);
            // Where the path does not name the model, a header may; and whether a stream is asked for.
            if let Some(model) = &call.model {
                asked.extend([" ", call.endpoint, " ", model]);
            }
            // Pages with tokens of one key do not share answers.
            let owner = caller.hold().map_or(&key.name, |hold| &hold.scope);
            let fingerprint = Fingerprint::of(owner, &value, &asked, &body.bytes);
            let until_ms = started_ms + u64::from(route.budget.seconds) * 1000;
            let window_ms = u64::from(window_s) * 1000;
            let claim = idempotency::claim(platform, allowed, fingerprint, shared, window_ms, until_ms);
            match claim.await? {
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
    let wishes = request.wishes().filter(|wishes| **wishes != Wishes::default());
    let further = wishes.map_or(&[][..], |wishes| &wishes.models);
    let further: Vec<_> =
        further.iter().map(|model| caller.route(config, model)).collect::<Result<_, _>>()?;
    let plan = platform.state(|state| {
        let is_open = |index| state.health.is_open(index, started_ms);
        let mut plan = routing::plan(config, route, &route_context, &is_open, &mut rng, None);
        for route in further {
            plan.follow(routing::plan(config, route, &route_context, &is_open, &mut rng, None));
        }
        if let Some(wishes) = wishes {
            plan.wish(wishes, &route_context, &is_open)?;
        }
        Ok(plan)
    })?;

    // Attempt.
    let mut context = RequestContext {
        platform,
        config,
        version: gateway.version,
        dialect,
        endpoint: call.endpoint,
        passed: passed(head, dialect),
        echo: request.echo().map(Into::into),
        route,
        key,
        maker: caller.maker(),
        hold: caller.hold(),
        allowed,
        id: id.to_owned(),
        started_ms,
        limit: config.gateway.max_body_mib as usize * 1024 * 1024,
        facts,
        tag: tag(head)
            .or_else(|| wishes.and_then(|wishes| shown(wishes.tag.as_deref()?)))
            .or_else(|| caller.tag().cloned()),
        timeouts_ms: wishes.map(|wishes| wishes.timeouts_ms.clone()).unwrap_or_default(),
        limits: Told::default(),
        retry: RetryState::new(plan, started_ms),
        rng,
        attempts: Vec::with_capacity(1),
        skipped: Vec::new(),
        dropped: Vec::new(),
        fingerprint: claimed.as_ref().map(|claim| claim.fingerprint),
        watch: super::stream::Watch::new(platform),
        without_usage: None,
        cache: None,
        stored_reply: None,
        wake: WakeState::default(),
        traced: telemetry::traced(platform, &config.telemetry, head),
        begun: None,
    };
    context.open_cache(head, &body.bytes);
    let found = match context.answer_again().await {
        Ok(true) => Ok(None),
        Ok(false) => context.find(&*request, &body.bytes, None).await.map(Some),
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let error = context.told(error).await;
            let status = error.status;
            match context.begun.take() {
                Some(outgoing) => context.end_begun(outgoing, &error).await,
                None => {
                    reply::refuse(platform, allowed, dialect, &error, Some(id), Some(&context)).await;
                }
            }
            if let Some(claim) = &claimed {
                claim.forget().await;
            }
            context.after_wake().await;
            context.export_spans(status).await;
            return Ok(());
        }
    };

    // Respond.
    match found {
        None => {}
        Some(found) if route.continues && context.facts.stream => {
            context.respond(found, Some((&*request, &body.bytes))).await;
        }
        Some(found) => {
            // A stream may last for minutes; the body is not held for so long.
            drop(request);
            drop(body);
            context.respond(found, None).await;
        }
    }

    // Settle.
    let entry = context.cache_entry();
    let stored = match (&claimed, context.stored_reply.take()) {
        (Some(claim), Some(stored)) => Some(claim.keep(stored)),
        _ => None,
    };
    context.settle().await;
    match (&claimed, stored) {
        (Some(claim), Some(stored)) => claim.share(&stored).await,
        (Some(claim), None) => claim.forget().await,
        (None, _) => {}
    }
    context.keep_in_cache(entry).await;
    if config.ledger.store == LedgerStore::Database {
        upkeep::after_request(platform, gateway, &shard).await;
    }
    context.sync_breakers().await;
    context.after_wake().await;
    let status = context.attempts.last().map_or(200, |attempt| attempt.status);
    context.export_spans(status).await;
    Ok(())
}

/// Path and query: what tells two requests of one body apart, where the model is in the path.
pub(super) fn asked_path(head: &Request<()>) -> String {
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

/// What the client says that the request belongs to: visible ASCII, at most 64 characters of it.
fn tag(head: &Request<()>) -> Option<String> {
    shown(reply::header_text(head.headers(), TAG.as_str()))
}

fn shown(text: &str) -> Option<String> {
    let tag: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect();
    (!tag.is_empty()).then_some(tag)
}

impl<P: Platform> RequestContext<'_, P> {
    /// An error as this key may see it: where it tells of the operator's own set-up, that goes to the log.
    async fn told(&self, error: ApiError) -> ApiError {
        if self.key.error_detail() == ErrorDetail::Full
            || !error.is_of_operator()
            || matches!(error.code, "origins_unavailable" | "origin_waking" | "wake_timeout")
        {
            return error;
        }
        self.platform.log(&format!("request {}: {} {}", self.id, error.code, error.message)).await;
        reply::plain(&error, &self.id)
    }
}
