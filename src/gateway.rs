//! The way of a request, top to bottom: authenticate → admit → plan → attempt → relay → settle.
//!
//! Each step is a module of `core` and a call here. No step reaches back.

use crate::api::openai;
use crate::core::attempt::{self, Judgement, Outbound, SendError};
use crate::core::config::{Admin, Config, Key, KeyHash, Kind, StreamWay};
use crate::core::error::ApiError;
use crate::core::record::{OriginTime, Record, pumped_ending, relayed_ending};
use crate::core::report::{Query, Report, encode_cursor};
use crate::core::route::{self, Target};
use crate::core::secret::{OriginSecrets, Secrets};
use crate::core::stream::Scanner;
use crate::core::{auth, request_id};
use crate::platform::{Answer, AnswerBody, BodyError, Head, Platform, Reply, ReplyBody};
use moegate_wire::{Ending, Receipt, Usage};

/// Pages that one `GET /usage` reads at most: Workers allow 50 subrequests on the free plan.
const MAX_PAGES: usize = 40;

/// Serves one request. Nothing is left running when it returns.
pub async fn handle<P: Platform>(platform: &P, config: &Config, head: &Head) {
    let result = match (head.method.as_str(), head.path.as_str()) {
        ("GET" | "HEAD", "/health") => json(platform, r#"{"status":"ok"}"#.to_owned()).await,
        ("POST", "/v1/chat/completions") => generate(platform, config, head, "/chat/completions").await,
        ("POST", "/v1/completions") => generate(platform, config, head, "/completions").await,
        ("GET", "/v1/models") => models(platform, config, head, None).await,
        ("GET", path) if path.starts_with("/v1/models/") => {
            models(platform, config, head, path.strip_prefix("/v1/models/")).await
        }
        ("GET", "/usage") => usage(platform, config, head).await,
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

    // Plan.
    let target = route::plan(config, key, &request.model)?;

    // Attempt.
    let names = target.origin.secret.iter().chain(target.origin.secret_headers.values());
    let secrets = look_up(platform, names.map(String::as_str)).await;
    let secrets = OriginSecrets::of(target.origin, &secrets)?;
    let id = request_id::make(started_ms, platform.random());
    let outbound = attempt::request(&target, &secrets, path, &request, &id, platform.now_ms());
    let (stream, include_usage) = (request.stream, request.include_usage);
    // A stream may last for minutes; the body is not held for so long.
    drop(request);
    drop(body);
    let answer = platform.send(outbound, limit).await;
    let head_ms = platform.now_ms();

    // Relay.
    let exchange = Exchange { platform, target, secrets, id: &id };
    let outcome = exchange.relay(include_usage, answer).await;

    // Settle.
    let record = Record {
        id: id.clone(),
        key: key.name.clone(),
        model: target.route.model.clone(),
        served_model: target.model.name.clone(),
        origin: target.origin.name.clone(),
        stream,
        status: outcome.status,
        ending: outcome.ending,
        usage: outcome.metering.usage,
        metered: outcome.metering.exact,
        cost_nanodollars: target.model.price().cost(&outcome.metering.usage),
        started_ms,
        head_after_ms: head_ms.saturating_sub(started_ms),
        ended_after_ms: platform.now_ms().saturating_sub(started_ms),
        origin_time: outcome.metering.origin_time,
    };
    settle(platform, &record).await;
    Ok(())
}

/// One attempt's surroundings.
struct Exchange<'a, P> {
    platform: &'a P,
    target: Target<'a>,
    secrets: OriginSecrets<'a>,
    id: &'a str,
}

/// What one attempt came to.
struct Outcome {
    status: u16,
    ending: Ending,
    metering: Metering,
}

/// What is known of the tokens used.
#[derive(Clone, Copy, Default)]
struct Metering {
    usage: Usage,
    /// Whether that is all: not so where nothing is known, or a generation was still running when it was asked for.
    exact: bool,
    origin_time: Option<OriginTime>,
}

impl Metering {
    fn exactly(usage: Usage) -> Self {
        Self { usage, exact: true, origin_time: None }
    }
}

impl From<&Receipt> for Metering {
    fn from(receipt: &Receipt) -> Self {
        let exact = receipt.ending != Ending::Running;
        Self { usage: receipt.usage, exact, origin_time: Some(receipt.into()) }
    }
}

impl<P: Platform> Exchange<'_, P> {
    async fn relay(&self, include_usage: bool, answer: Result<Answer<P::Stream>, SendError>) -> Outcome {
        match answer {
            Err(error) => {
                let failure = attempt::failure(&self.target, error);
                let ending = if error == SendError::Cancelled { Ending::Cancelled } else { Ending::Error };
                self.platform.respond(self.error_reply(failure.status), bytes(&failure)).await;
                // No platform tells a refused connection from one that broke while the origin worked.
                Outcome { status: failure.status, ending, metering: self.metering(None).await }
            }
            Ok(Answer { status, headers, body: AnswerBody::Whole(body) }) => {
                self.whole(status, &headers, body).await
            }
            Ok(Answer { status, body: AnswerBody::Stream(stream), .. }) => {
                let reply = self.reply(status, "text/event-stream");
                match self.target.stream_way() {
                    StreamWay::Relay => self.relayed(reply, stream).await,
                    StreamWay::Pump => self.pumped(reply, stream, include_usage).await,
                }
            }
        }
    }

    async fn whole(&self, status: u16, headers: &attempt::AnswerHeaders, body: Vec<u8>) -> Outcome {
        let nothing = attempt::used_nothing(status).then(Usage::default);
        let (mut reply, reply_body, mut ending, usage) =
            match attempt::judge(&self.target, &self.secrets, status, &body) {
                Judgement::Pass { usage, body: changed } => {
                    let reply = self.reply(status, "application/json");
                    let body = changed.map_or(ReplyBody::Answered(body), ReplyBody::Bytes);
                    (reply, body, Ending::Complete, usage)
                }
                Judgement::PassError(status) => {
                    (self.error_reply(status), ReplyBody::Answered(body), Ending::Error, nothing)
                }
                Judgement::Replace(error) => {
                    (self.error_reply(error.status), bytes(&error), Ending::Error, nothing)
                }
            };
        if let Some(usage) = usage {
            let cost = self.target.model.price().cost(&usage);
            reply.headers.push(("x-moegate-cost", cost.to_dollars()));
        }
        if reply.status >= 400 {
            for (name, value) in
                [("retry-after", &headers.retry_after), ("retry-after-ms", &headers.retry_after_ms)]
            {
                if !value.is_empty() {
                    reply.headers.push((name, value.clone()));
                }
            }
        }
        let status = reply.status;
        let delivery = self.platform.respond(reply, reply_body).await;
        if delivery.ending == Ending::Cancelled {
            ending = Ending::Cancelled;
        }
        Outcome { status, ending, metering: self.metering(usage).await }
    }

    async fn relayed(&self, reply: Reply, stream: P::Stream) -> Outcome {
        let status = reply.status;
        let delivery = self.platform.respond(reply, ReplyBody::Relay(stream)).await;
        let receipt = self.receipt().await;
        Outcome {
            status,
            ending: relayed_ending(delivery.ending, receipt.as_ref()),
            metering: receipt.as_ref().map(Metering::from).unwrap_or_default(),
        }
    }

    async fn pumped(&self, reply: Reply, stream: P::Stream, keep_usage: bool) -> Outcome {
        let status = reply.status;
        let scanner = Scanner::new(self.target.model.price(), keep_usage);
        let delivery = self.platform.respond(reply, ReplyBody::Pump(stream, scanner)).await;
        let ending = pumped_ending(delivery.ending, delivery.seen);
        let usage = delivery.seen.and_then(|seen| seen.usage);
        Outcome { status, ending, metering: self.metering(usage).await }
    }

    /// What the answer said, or else what our own server's receipt says.
    async fn metering(&self, usage: Option<Usage>) -> Metering {
        match usage {
            Some(usage) => Metering::exactly(usage),
            None if self.target.origin.kind == Kind::Moegate => {
                self.receipt().await.as_ref().map(Metering::from).unwrap_or_default()
            }
            None => Metering::default(),
        }
    }

    /// The receipt of our own server; asked for again if the first question fails or finds it still running.
    async fn receipt(&self) -> Option<Receipt> {
        let mut last = None;
        for _ in 0..3 {
            let request: Outbound = attempt::receipt_request(&self.target, &self.secrets, self.id);
            match self.platform.send(request, 64 * 1024).await {
                Ok(Answer { status: 200, headers, body: AnswerBody::Whole(body) }) => {
                    last = attempt::read_receipt(&headers, &body, &self.secrets, self.id);
                    if !last.as_ref().is_some_and(|receipt| receipt.ending == Ending::Running) {
                        break;
                    }
                }
                // It does not know the request.
                Ok(Answer { status: 404, .. }) => break,
                _ => {}
            }
        }
        last
    }

    /// The head of a reply that says who answered.
    fn reply(&self, status: u16, content_type: &str) -> Reply {
        let mut headers = Vec::with_capacity(8);
        headers.push(("content-type", content_type.to_owned()));
        headers.push(("cache-control", "no-store".to_owned()));
        headers.push((moegate_wire::header::REQUEST_ID, self.id.to_owned()));
        headers.push(("x-moegate-model", self.target.model.name.clone()));
        headers.push(("x-moegate-origin", self.target.origin.name.clone()));
        headers.push(("x-moegate-attempts", "1".to_owned()));
        Reply { status, headers }
    }

    fn error_reply(&self, status: u16) -> Reply {
        self.reply(status, "application/json")
    }
}

fn bytes<S>(error: &ApiError) -> ReplyBody<S> {
    ReplyBody::Bytes(error.body().into_bytes())
}

async fn settle<P: Platform>(platform: &P, record: &Record) {
    let value = serde_json::to_string(record);
    let summary = serde_json::to_string(&record.summary());
    if let (Ok(value), Ok(summary)) = (value, summary) {
        // A failure for good is in the platform's log, with the record; there is nobody left to tell.
        let _ = platform.put_record(&record.storage_key(), &value, &summary).await;
    }
}

async fn models<P: Platform>(
    platform: &P,
    config: &Config,
    head: &Head,
    name: Option<&str>,
) -> Result<(), ApiError> {
    let key = authenticate(platform, config, head).await?;
    let body = match name {
        None => openai::model_list(route::models(config, key)),
        Some(name) => {
            let name = route::decode_name(name).ok_or_else(ApiError::not_found)?;
            let target = route::plan(config, key, &name)?;
            openai::model_entry(&target.route.model)
        }
    };
    json(platform, body).await
}

async fn usage<P: Platform>(platform: &P, config: &Config, head: &Head) -> Result<(), ApiError> {
    let hash = config.admin.as_ref().and_then(Admin::hash);
    let secrets = look_up(platform, hash.and_then(secret_name).into_iter()).await;
    auth::admin(config, head.authorization.as_deref(), &secrets)?;
    let query = Query::parse(&head.query)?;
    let mut report = Report { period: query.period.clone(), ..Report::default() };
    let mut cursor = query.cursor.clone();
    for _ in 0..MAX_PAGES {
        let page = platform.list_records(&query.prefix(), cursor.as_deref()).await.map_err(|_| {
            ApiError::internal("store_unavailable", "the usage store did not answer; try again in a moment")
        })?;
        for entry in &page.entries {
            // One that cannot be read would make the sums wrong in silence.
            let summary = serde_json::from_str(entry.summary.get()).map_err(|_| {
                let name = &entry.name;
                ApiError::internal(
                    "record_unreadable",
                    format!(
                        "what is stored under the key `{name}` is no usage record of this gateway: remove that key from the store"
                    ),
                )
            })?;
            report.add(&summary);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    report.next_cursor = cursor.as_deref().map(encode_cursor);
    let body = serde_json::to_string(&report)
        .map_err(|_| ApiError::internal("internal", "the report could not be written"))?;
    json(platform, body).await
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

async fn refuse<P: Platform>(platform: &P, error: &ApiError) {
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("cache-control", "no-store".to_owned())];
    if error.status == 401 {
        headers.push(("www-authenticate", "Bearer".to_owned()));
    }
    if let Some(methods) = error.allow {
        headers.push(("allow", methods.to_owned()));
    }
    platform.respond(Reply { status: error.status, headers }, bytes(error)).await;
}
