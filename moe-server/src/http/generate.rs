//! `POST /v1/chat/completions` and `/v1/completions`, from headers to the scheduler's queue.

use super::answer::Shape;
use super::delivery::Delivery;
use super::error::ApiError;
use super::request::{Endpoint, GenerationRequest, Input};
use super::{LocalId, Server, body, now, random, resume};
use crate::engine::TokenId;
use crate::schedule::output::Output;
use crate::schedule::track::{Finish, Track};
use crate::schedule::{Job, conclude};
use crate::telemetry::RequestTrace;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use moegate_wire::header::REQUEST_ID;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use tokio::sync::mpsc::unbounded_channel;

/// Bodies beyond this take turns.
const LARGE_BODY_BYTES: usize = 1 << 20;

pub(super) async fn handle(server: Arc<Server>, endpoint: Endpoint, request: Request) -> Response {
    let (mut id, mut trace) = (None, None);
    let local = request.extensions().get::<LocalId>().map(|LocalId(id)| id.clone());
    let local = local.unwrap_or_else(|| format!("req_{:016x}", random()));
    let result = generate(&server, endpoint, request, &local, &mut id, &mut trace).await;
    let mut response = result.unwrap_or_else(|error| {
        server.scheduler.stats().refused.fetch_add(1, Relaxed);
        if let Some(trace) = trace {
            trace.refused(id.as_ref().unwrap_or(&local), error.status.as_u16(), error.code);
        }
        error.into_response()
    });
    if let Some(id) = id.and_then(|id| HeaderValue::try_from(id).ok()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn generate(
    server: &Arc<Server>,
    endpoint: Endpoint,
    request: Request,
    local: &str,
    id: &mut Option<String>,
    trace: &mut Option<RequestTrace>,
) -> Result<Response, ApiError> {
    let (parts, unread) = request.into_parts();
    let (limits, limit) = (&server.limits, server.max_body_bytes);
    let admitted = server.auth.check(&parts.headers);
    let admitted = admitted.and_then(|()| server.auth.check_type(&parts.headers));
    let admitted = admitted.and_then(|()| body::check_encoding(&parts.headers));
    let now_s = now().as_secs();
    let admitted = admitted.and_then(|()| server.auth.ticket(&parts.headers, now_s));
    let admitted = admitted.and_then(|ticket| match &server.tickets {
        Some(spent) => spent.take(ticket.as_ref(), &parts.headers, now_s).map(|()| ticket),
        None => Ok(ticket),
    });
    let ticket = match admitted {
        Ok(ticket) => ticket,
        Err(error) => {
            if !body::waits_for_continue(&parts.headers) {
                body::drain(unread, limit, limits).await;
            }
            return Err(error);
        }
    };
    let (mut price, mut share) = (None, String::new());
    if let Some(ticket) = ticket {
        share = ticket.share;
        price = Some(ticket.price);
        *id = Some(ticket.request_id);
    }
    let request_id = id.clone().unwrap_or_else(|| local.to_owned());
    // Who is not let in writes nothing to the collector.
    *trace =
        server.telemetry.as_ref().and_then(|telemetry| telemetry.trace(&parts.headers, endpoint.operation()));

    let body = body::read(unread, limit, limits, &server.body_budget).await?;
    let alone = if body.bytes.len() > LARGE_BODY_BYTES {
        // An error means that it was closed, which nobody does.
        server.large_bodies.clone().acquire_owned().await.ok()
    } else {
        None
    };
    // A megabyte of text takes long to tokenise: not on the threads that serve everyone.
    let preparing = {
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            // Held to the end, also where the client has left meanwhile.
            let _alone = alone;
            prepare(&server, endpoint, &body.bytes)
        })
    };
    let prepared = preparing.await.map_err(|_| {
        let message = "the request could not be read; the server's log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    })??;
    let Prepared { request, prompt, resumed, output, ended } = prepared;
    let list_tokens = request.stream && resume::is_wanted(&parts.headers);

    let created = now();
    let created_ms = u64::try_from(created.as_millis()).unwrap_or(u64::MAX);
    let stats = server.scheduler.stats().clone();
    // A ticket is of the gateway, which wants the receipt.
    let outbox = server.outbox.clone().filter(|_| price.is_some());
    let track = Track::new(request_id.clone(), request.model.clone(), created_ms, price, stats);
    let track = Arc::new(track.posted_to(outbox).traced(trace.clone()));
    if !server.receipts.insert(track.clone(), Instant::now()) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "duplicate_request_id",
            "this request id was used before; make a new one for each request",
        ));
    }
    let (sender, events) = unbounded_channel();
    let mut sampling = request.sampling;
    if !request.seeded {
        sampling.seed = random();
    }
    let resumed_tokens = request.resume.is_some().then_some(resumed.len() as u64);
    if let Some(finish) = ended {
        conclude(finish, prompt.len() + resumed.len(), &sender, &track);
    } else {
        let track = track.clone();
        // A share has no such character, so no client's salt is another tenant's share.
        let cache_salt = match request.cache_salt {
            Some(salt) => format!("{share}\n{salt}").into(),
            None => share.into(),
        };
        let job = Job { prompt, resumed, cache_salt, sampling, output, list_tokens, events: sender, track };
        if let Err(refused) = server.scheduler.submit(job) {
            // Not admitted: the same id may come again.
            server.receipts.remove(&request_id);
            return Err(refused.into());
        }
    }
    let prefix = match endpoint {
        Endpoint::Chat => "chatcmpl",
        Endpoint::Completions => "cmpl",
    };
    let shape = Shape {
        endpoint,
        id: format!("{prefix}-{request_id}"),
        model: request.model,
        created: created.as_secs(),
        vocab: list_tokens.then(|| server.codec.vocab().to_owned()),
        resumed_tokens,
    };
    let delivery =
        Delivery { shape, track, events, include_usage: request.include_usage, keepalive: server.keepalive };
    let answer = if request.stream { delivery.stream().await } else { delivery.whole().await };
    Ok(answer.unwrap_or_else(IntoResponse::into_response))
}

/// A request as the scheduler wants it.
struct Prepared {
    request: GenerationRequest,
    prompt: Vec<TokenId>,
    resumed: Vec<TokenId>,
    /// Has taken `resumed`.
    output: Output,
    /// How the answer ended, where `resumed` is all of it.
    ended: Option<Finish>,
}

/// Checks the body and turns it into tokens.
fn prepare(server: &Server, endpoint: Endpoint, body: &[u8]) -> Result<Prepared, ApiError> {
    let vocab_size = server.scheduler.vocab_size();
    let mut request = GenerationRequest::parse(endpoint, body, &server.models, vocab_size)?;
    if let Some(handle) = &request.resume {
        resume::check(handle, server.codec.vocab(), vocab_size)?;
    }
    let text = match &request.input {
        Input::Messages(messages) => contents(messages).map(str::len).sum(),
        Input::Text(text) => text.len(),
        Input::Tokens(_) => 0,
    };
    let context = server.scheduler.context_length();
    let longest = server.codec.longest_token();
    if text > context.saturating_mul(longest) {
        // Long text takes long to tokenise, and much memory.
        return Err(exceeded(
            &request.input,
            format!(
                "the text is {text} bytes long and cannot fit: the context holds {context} tokens, answer included, of \
                 at most {longest} bytes each; shorten the prompt"
            ),
        ));
    }
    let (param, prompt) = match &mut request.input {
        Input::Messages(messages) => ("messages", server.codec.encode_chat(messages)?),
        Input::Text(text) => ("prompt", server.codec.encode(text)),
        Input::Tokens(tokens) => ("prompt", std::mem::take(tokens)),
    };
    if prompt.is_empty() {
        return Err(ApiError::invalid(param, format!("`{param}` holds no tokens: send some text")));
    }
    let max_tokens = room(&request, prompt.len(), context)?;
    let resumed =
        request.resume.as_mut().map(|handle| std::mem::take(&mut handle.tokens)).unwrap_or_default();
    let codec = server.codec.clone();
    let stop = std::mem::take(&mut request.stop);
    let mut output =
        Output::new(codec.decoder(), stop, Arc::new(move |token| codec.is_end(token)), max_tokens);
    let ended = resume::replay(&mut output, &resumed, max_tokens)?;
    Ok(Prepared { request, prompt, resumed, output, ended })
}

/// The messages' texts, without what templates trim.
fn contents(messages: &Value) -> impl Iterator<Item = &str> {
    let messages = messages.as_array().into_iter().flatten();
    messages.filter_map(|message| message["content"].as_str()).map(str::trim)
}

fn exceeded(input: &Input, message: String) -> ApiError {
    let param = match input {
        Input::Messages(_) => "messages",
        Input::Text(_) | Input::Tokens(_) => "prompt",
    };
    ApiError { code: "context_length_exceeded", ..ApiError::invalid(param, message) }
}

/// How many tokens may be generated.
fn room(request: &GenerationRequest, prompt: usize, context: usize) -> Result<usize, ApiError> {
    let exceeded = |message| exceeded(&request.input, message);
    if prompt >= context {
        return Err(exceeded(format!(
            "the prompt has {prompt} tokens and the context holds {context}, answer included: shorten the prompt"
        )));
    }
    match request.max_tokens {
        Some(tokens) if tokens > context - prompt => Err(exceeded(format!(
            "the prompt has {prompt} tokens and max_tokens is {tokens}, together more than the context of {context}: \
             shorten the prompt or ask for at most {}",
            context - prompt
        ))),
        Some(tokens) => Ok(tokens),
        None => Ok(context - prompt),
    }
}
