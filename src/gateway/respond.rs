//! An answer's way to the client. Where a stream breaks off and the route says so, another origin goes on with it.

use super::attempt;
use super::attempts::{Found, Whole};
use super::cache::Cache;
use super::context::RequestContext;
use super::receive::OpenStream;
use super::reply::{self, header_text};
use super::stream::{Pumped, finish, pump, relay};
use crate::config::{ErrorDetail, Failure, Kind, StreamMode, StreamUsage};
use crate::dialect::counts::Counts;
use crate::dialect::partial::Partial;
use crate::dialect::{AnswerContext, AttemptNote, ClientRequest, Exchange, StreamOptions};
use crate::error::{ApiError, shown_text};
use crate::json::from_bytes;
use crate::metering::record::pumped_ending;
use crate::platform::{Payload, Platform};
use crate::resilience::health::BreakerState;
use crate::resilience::idempotency::{Fingerprint, LARGEST, StoredReply};
use crate::routing::{Target, can_resume};
use crate::stream::{Close, Finale, Scanner, Transcript};
use http::{HeaderMap, HeaderValue, header};
use moegate_wire::Ending;
use std::ops::Deref;

/// How far apart a platform's timers and its clock may be.
const CLOCKS_MS: u64 = 50;

/// The client's request, where another origin may have to go on with the answer.
type Again<'r, B> = Option<(&'r dyn ClientRequest, &'r B)>;

impl<P: Platform> RequestContext<'_, P> {
    pub(super) async fn respond(&mut self, found: Found<P>, again: Again<'_, P::Bytes>) {
        match found {
            Found::Whole(whole) if self.begun.is_some() => self.whole_in_stream(&whole).await,
            // Broken off.
            Found::ClientLeft if self.begun.is_some() => self.begun = None,
            Found::Whole(whole) => self.whole(whole).await,
            Found::Stream(stream) if stream.scanner.is_none() => self.relayed(stream).await,
            Found::Stream(stream) => self.pumped(stream, again).await,
            // Somebody may still be told: not every platform knows who has left.
            Found::ClientLeft => {
                let error = ApiError::upstream(499, "client_left", "the client left before the answer came");
                let body = self.error_payload(&error);
                let _left = self.platform.respond(self.reply(499, false).map(|()| body)).await;
            }
        }
        let now_ms = self.platform.now_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_ms = now_ms;
        }
    }

    async fn whole(&mut self, whole: Whole<P>) {
        let Whole { status, headers, mut body } = whole;
        let failure = self.attempts.last().and_then(|attempt| attempt.failure);
        let withheld = status >= 400
            && self.key.error_detail() == ErrorDetail::Plain
            && !reply::is_about_the_request(status, failure);
        let shown = if withheld { reply::plain_status(status, failure) } else { status };
        let mut reply = self.reply(shown, false);
        let kept = |target| self.exchange(target).is_some_and(Exchange::keeps_content_type);
        if status < 300
            && self.attempts.last().is_some_and(|attempt| kept(&attempt.target))
            && let Some(content_type) = headers.get(header::CONTENT_TYPE)
        {
            reply.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
        }
        if let Some(attempt) = self.attempts.last()
            && let Some(counts) = attempt.counts
        {
            let cost = attempt.cost(&counts);
            reply::insert(reply.headers_mut(), reply::COST, &cost.to_dollars());
        }
        if status >= 400 {
            if self.attempts.len() > 1 {
                // OpenAI's SDKs listen to it: their retries on top of the gateway's would multiply.
                reply.headers_mut().insert(reply::SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            for name in ["retry-after", "retry-after-ms"] {
                if let Some(value) = headers.get(name) {
                    reply.headers_mut().insert(name, value.clone());
                }
            }
        }
        if withheld {
            body = self.withheld(status, shown, body).await;
            if let Some(attempt) = self.attempts.last_mut() {
                attempt.status = shown;
            }
        }
        let kept = self.fingerprint.is_some() || self.cache.as_ref().is_some_and(Cache::keeps);
        let copy = if kept && status < 300 { text_of(&body) } else { None };
        let headers = copy.as_ref().map(|_| reply.headers().clone());
        let delivered = self.platform.respond(reply.map(|()| body)).await;
        if let (Some(headers), Some(text)) = (headers, copy) {
            // A client that has left comes back for it.
            self.store_reply(status, &headers, text);
        }
        if delivered.is_err()
            && let Some(attempt) = self.attempts.last_mut()
        {
            attempt.ending = Ending::Cancelled;
        }
    }

    /// An error where the client has a stream's head already, since it has waited for an origin.
    async fn whole_in_stream(&mut self, whole: &Whole<P>) {
        let Some(outgoing) = self.begun.take() else { return };
        let failure = self.attempts.last().and_then(|attempt| attempt.failure);
        let full = self.key.error_detail() == ErrorDetail::Full
            || reply::is_about_the_request(whole.status, failure);
        let text = whole.body.clone().into_vec();
        let message = from_bytes::<serde_json::Value>(&text)
            .ok()
            .and_then(|body| Some(body.get("error")?.get("message")?.as_str()?.to_owned()));
        let message = message.unwrap_or_else(|| format!("the origin answered {}", whole.status));
        let error = ApiError::upstream(whole.status.max(400), "origin_error", message);
        let error = if full { error } else { reply::plain(&error, &self.id) };
        self.end_begun(outgoing, &error).await;
    }

    /// What a client gets of an error whose text is for the operator, who gets it in the log.
    async fn withheld(&self, status: u16, shown: u16, body: Payload<P::Bytes>) -> Payload<P::Bytes> {
        let text = shown_text(&String::from_utf8_lossy(&body.into_vec()));
        let origin = self.attempts.last().map_or("", |attempt| attempt.target.origin.name.as_str());
        self.platform.log(&format!("request {}: origin `{origin}`: {status} {text}", self.id)).await;
        let error = ApiError::upstream(shown, "origin_error", "");
        self.error_payload(&reply::plain(&error, &self.id))
    }

    async fn relayed(&mut self, stream: OpenStream<P>) {
        let outgoing = self.begun.take().unwrap_or_else(|| self.platform.begin(self.reply(200, true)));
        let dialect = self.dialect;
        let told = |error: &ApiError| dialect.error_event(error);
        let ending = relay(self.platform, &mut self.watch, stream, outgoing, told).await;
        let ended_ms = self.platform.now_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            (attempt.relayed, attempt.ending, attempt.ended_ms) = (true, ending, ended_ms);
        }
        // The request's own time is over: nobody's failure.
        let late = ended_ms + CLOCKS_MS >= self.retry.deadline_ms();
        match ending {
            Ending::Truncated if !late => self.stream_broken(Failure::Broken),
            Ending::Complete => self.stream_completed(),
            _ => {}
        }
    }

    async fn pumped(&mut self, mut stream: OpenStream<P>, again: Again<'_, P::Bytes>) {
        let reply = self.reply(200, true);
        let kept = self.fingerprint.as_ref().is_some_and(Fingerprint::is_chosen)
            || self.cache.as_ref().is_some_and(Cache::keeps);
        let kept = kept.then(|| reply.headers().clone());
        let mut transcript = kept.as_ref().map(|_| Transcript::new());
        let mut outgoing = self.begun.take().unwrap_or_else(|| self.platform.begin(reply));
        let deadline_ms = self.retry.deadline_ms();
        let ending = loop {
            let (platform, watch) = (self.platform, &mut self.watch);
            let pumped = pump(platform, watch, &mut stream, &mut outgoing, transcript.as_mut()).await;
            let Some(mut scanner) = stream.scanner.take() else { break Ending::Truncated };
            let close = match pumped {
                Pumped::Closed(close) => close,
                Pumped::ClientLeft => {
                    self.ended(Ending::Cancelled, &scanner, None);
                    drop(outgoing);
                    break Ending::Cancelled;
                }
            };
            let Finale { ending, last, resumable } = scanner.end(close);
            self.ended(ending, &scanner, Some(close));
            if resumable
                && let (Some((request, body)), Some(partial)) = (again, scanner.take_partial())
                && let Some(next) = self.another(request, body, partial).await
            {
                stream = next;
                continue;
            }
            if self.watch.client_left() {
                drop(outgoing);
                break Ending::Cancelled;
            }
            let until_ms = if ending == Ending::Complete { deadline_ms } else { 0 };
            if let Some(transcript) = &mut transcript {
                transcript.add(last.as_bytes());
            }
            let finished = finish(self.platform, &mut self.watch, outgoing, last, until_ms).await;
            // A client that closes at the end mark, as some do, has everything. Whether anybody is left to be told of a
            // stream that broke off changes nothing about how the origin ended it.
            let taken = finished.is_ok() || ending != Ending::Complete || scanner.seen().done;
            break if taken { ending } else { Ending::Cancelled };
        };
        let now_ms = self.platform.now_ms();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended_ms = now_ms;
            if ending == Ending::Cancelled {
                attempt.ending = match attempt.ending {
                    Ending::Complete => Ending::Complete,
                    _ => Ending::Cancelled,
                };
            }
        }
        if ending == Ending::Complete
            && let (Some(headers), Some(text)) = (kept, transcript.and_then(Transcript::text))
        {
            self.store_reply(200, &headers, text);
        }
    }

    /// For requests with the same idempotency key, and for the same requests.
    pub(super) fn store_reply(&mut self, status: u16, headers: &HeaderMap, body: String) {
        let named =
            |name: &header::HeaderName| (name.to_string(), header_text(headers, name.as_str()).to_owned());
        let headers = headers.keys().map(named).collect();
        let now_ms = self.platform.now_ms();
        self.stored_reply = Some(StoredReply::new(now_ms, status, headers, body));
    }

    /// Another origin's stream that goes on with the answer.
    async fn another(
        &mut self,
        request: &dyn ClientRequest,
        body: &P::Bytes,
        mut partial: Partial,
    ) -> Option<OpenStream<P>> {
        self.retry.keep_only(|target| can_resume(target, &partial));
        partial.resume();
        loop {
            match self.find(request, body, Some(&partial)).await {
                Ok(Found::Stream(stream)) => return Some(stream),
                // An answer that is no stream has nothing for one that is under way.
                Ok(Found::Whole(_)) if self.attempts.last().is_some_and(|last| last.failure.is_none()) => {
                    if let Some(attempt) = self.attempts.last_mut() {
                        attempt.ending = Ending::Error;
                    }
                    self.stream_broken(Failure::BadAnswer);
                }
                Ok(Found::Whole(_) | Found::ClientLeft) | Err(_) => return None,
            }
        }
    }

    /// Writes down how the pumped stream ended.
    fn ended(&mut self, connection: Ending, scanner: &Scanner, close: Option<Close>) {
        let ended_ms = self.platform.now_ms();
        let seen = scanner.seen();
        let ending = pumped_ending(connection, Some(seen));
        let Some(target) = self.attempts.last().map(|attempt| attempt.target) else { return };
        let estimate = self.cut_counts(&target, seen.usage, seen.events);
        let Some(attempt) = self.attempts.last_mut() else { return };
        attempt.ending = ending;
        attempt.ended_ms = ended_ms;
        // What was cut has no counts, but was computed: a client that stops does not get it for nothing. Of our own origin
        // the receipt tells.
        let cut = ending != Ending::Complete && attempt.target.origin.kind != Kind::Moegate;
        let estimated = cut || attempt.target.origin.stream_usage == StreamUsage::Estimate;
        // What was cut before its counts came is counted by what was seen: the end of its content does not make that exact.
        attempt.counted = (seen.finished || seen.done) && (!cut || seen.usage.is_some());
        attempt.counts = match seen.usage {
            // Told on the way: they may be those of the first event.
            Some(_) if cut && !attempt.counted => Some(estimate),
            None if estimated => Some(estimate),
            told => told,
        };
        let failure = match (ending, close) {
            (Ending::Truncated, Some(Close::Idle)) => Failure::Timeout,
            (Ending::Truncated, _) => Failure::Broken,
            (Ending::Error, _) => match self.exchange(&target) {
                Some(exchange) => exchange.classify(200, scanner.error()),
                None => Failure::ServerError,
            },
            (Ending::Complete, _) => return self.stream_completed(),
            _ => return,
        };
        // The request's own time is over: nobody's failure.
        if close != Some(Close::Late) {
            self.stream_broken(failure);
        }
    }

    /// Counts of what was cut: what was told of them holds where it is more than the estimate, which no prompt over the model's
    /// context enters (an image is text to it).
    pub(super) fn cut_counts(&self, target: &Target<'_>, told: Option<Counts>, events: u64) -> Counts {
        let mut estimate = self.facts.size.counts(events);
        let most = target.model.context_tokens.map_or(u64::MAX, u64::from);
        estimate.usage.prompt = estimate.usage.prompt.min(most);
        let Some(mut counts) = told else { return estimate };
        if counts.usage.prompt == 0 {
            (counts.usage.prompt, counts.inferred) = (estimate.usage.prompt, true);
        }
        if counts.usage.completion < events {
            (counts.usage.completion, counts.inferred) = (events, true);
        }
        counts
    }

    /// What the gateway itself knows of an answer from there.
    pub(super) fn answer_context(&self, target: &Target<'_>, began_ms: u64) -> AnswerContext {
        let price = target.price_at(began_ms);
        if !self.exchange(target).is_some_and(|exchange| exchange.writes()) {
            return AnswerContext { price, ..AnswerContext::default() };
        }
        AnswerContext {
            price,
            request_id: self.id.clone(),
            created_s: self.started_ms / 1000,
            model: target.model.name.clone(),
            echo: self.echo.clone(),
            dropped: if self.dialect.tells_attempts() { self.dropped.clone() } else { Vec::new() },
            note: None,
        }
    }

    /// Who was asked, as far as this key may see it, where the attempt at `target` is answered.
    pub(super) fn note(&self, target: &Target<'_>, began_ms: u64, breaker: BreakerState) -> AttemptNote {
        let full = self.key.error_detail() == ErrorDetail::Full;
        let before = if full { &*self.attempts } else { &[] };
        attempt::note(before, target, breaker, began_ms, &self.facts.model)
    }

    /// How a stream from there is read.
    pub(super) fn stream_options(
        &self,
        target: &Target<'_>,
        began_ms: u64,
        breaker: BreakerState,
        partial: Option<&Partial>,
    ) -> StreamOptions {
        let pumped = self.stream_mode(target) == StreamMode::Pump;
        let kept = self.route.continues && self.facts.stream && pumped;
        let is_told = self.dialect.tells_attempts()
            || !self.attempts.is_empty() && self.key.error_detail() == ErrorDetail::Full;
        StreamOptions {
            note: is_told.then(|| self.note(target, began_ms, breaker)),
            context: self.answer_context(target, began_ms),
            include_usage: self.facts.include_usage,
            several: self.facts.size.choices > 1,
            partial: kept.then(|| partial.cloned().unwrap_or_default()),
            plain_errors: (self.key.error_detail() == ErrorDetail::Plain).then(|| self.id.clone()),
        }
    }
}

/// The body to give again, if it is one.
fn text_of<B: Deref<Target = [u8]> + Clone>(body: &Payload<B>) -> Option<String> {
    (body.len() <= LARGEST).then(|| String::from_utf8(body.clone().into_vec()).ok())?
}
