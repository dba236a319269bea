//! An answer's way to the client. Where a stream breaks off and the route says so, another origin goes on with it.

use super::journey::{Found, Journey, Whole};
use super::tried;
use crate::api::openai::Request;
use crate::core::config::{Failure, StreamWay};
use crate::core::failure;
use crate::core::record::pumped_ending;
use crate::core::repeats::{Kept, LARGEST, Repeat};
use crate::core::stream::{Close, Partial, Scanner, Transcript};
use crate::platform::{Delivery, Platform, Reply, ReplyBody};
use moegate_wire::Ending;

/// How far apart a platform's timers and its clock may be.
const CLOCKS_MS: u64 = 50;

impl<P: Platform> Journey<'_, P> {
    /// `request`: where another origin may have to go on with the answer.
    pub(super) async fn deliver(&mut self, found: Found<P::Stream>, request: Option<&Request<'_>>) {
        match found {
            Found::Whole(whole) => self.whole(whole).await,
            Found::Stream(stream) => match self.tried.last().map(|tried| self.way(&tried.target)) {
                Some(StreamWay::Relay) => self.relayed(stream).await,
                _ => self.pumped(stream, request).await,
            },
            // Somebody may still be told: not every platform knows who has left.
            Found::Left => {
                let error = crate::core::error::ApiError::upstream(
                    499,
                    "client_left",
                    "the client left before the answer came",
                );
                self.platform.respond(self.reply(499, "application/json"), super::bytes(&error)).await;
            }
        }
        let now_ms = self.platform.now_ms();
        if let Some(tried) = self.tried.last_mut() {
            tried.ended_ms = now_ms;
        }
    }

    async fn whole(&mut self, whole: Whole<P::Stream>) {
        let Whole { status, headers, body } = whole;
        let mut reply = self.reply(status, "application/json");
        if let Some(usage) = self.tried.last().and_then(|tried| tried.usage) {
            let cost = self.tried.last().map(|tried| tried.target.model.price().cost(&usage));
            reply.headers.extend(cost.map(|cost| ("x-moegate-cost", cost.to_dollars())));
        }
        if status >= 400 {
            if self.tried.len() > 1 {
                // OpenAI's SDKs listen to it: their retries on top of the gateway's would multiply.
                reply.headers.push(("x-should-retry", "false".to_owned()));
            }
            for (name, value) in
                [("retry-after", &headers.retry_after), ("retry-after-ms", &headers.retry_after_ms)]
            {
                if !value.is_empty() {
                    reply.headers.push((name, value.clone()));
                }
            }
        }
        let copy = self.repeat.filter(|_| status < 300).and_then(|_| text_of(&body));
        let again = copy.map(|text| (reply.headers.clone(), text));
        let delivery = self.platform.respond(reply, body).await;
        if let Some((headers, text)) = again {
            // A client that has left comes back for it.
            self.keep(status, headers, text);
        }
        if delivery.ending == Ending::Cancelled
            && let Some(tried) = self.tried.last_mut()
        {
            tried.ending = Ending::Cancelled;
        }
    }

    async fn relayed(&mut self, stream: P::Stream) {
        let reply = self.reply(200, "text/event-stream");
        let delivery = self.platform.respond(reply, ReplyBody::Relay(stream)).await;
        let ended_ms = self.platform.now_ms();
        if let Some(tried) = self.tried.last_mut() {
            (tried.relayed, tried.ending, tried.ended_ms) = (true, delivery.ending, ended_ms);
        }
        // The request's own time is over: nobody's failure.
        let late = ended_ms + CLOCKS_MS >= self.course.deadline_ms();
        match delivery.ending {
            Ending::Truncated if !late => self.broke_off(Failure::Broken),
            Ending::Complete => self.completed(),
            _ => {}
        }
    }

    async fn pumped(&mut self, stream: P::Stream, request: Option<&Request<'_>>) {
        let reply = self.reply(200, "text/event-stream");
        let kept = self.repeat.filter(Repeat::is_chosen);
        let headers = kept.map(|_| reply.headers.clone());
        let copy = kept.map(|_| Transcript::new());
        let scanner = self.scanner(request.map(|_| Partial::default()), copy);
        let mut delivery = self.platform.respond(reply, ReplyBody::Pump(stream, scanner)).await;
        while let Some((mut scanner, partial)) = self.pumped_once(&mut delivery) {
            let Some(request) = request else { break };
            match self.another(request, &partial).await {
                Next::Stream(stream) => {
                    let mut resumed = partial;
                    resumed.resume();
                    let scanner = self.scanner(Some(resumed), scanner.take_transcript());
                    delivery = self.platform.go_on(stream, scanner).await;
                }
                Next::None => {
                    if self.platform.finish(scanner.farewell()).await.is_err()
                        && let Some(tried) = self.tried.last_mut()
                    {
                        tried.ending = Ending::Cancelled;
                    }
                    break;
                }
            }
        }
        let copy = delivery.scanner.as_mut().and_then(Scanner::take_transcript);
        if delivery.ending == Ending::Complete
            && let (Some(headers), Some(text)) = (headers, copy.and_then(Transcript::text))
        {
            self.keep(200, headers, text);
        }
    }

    /// For requests with the same idempotency key.
    fn keep(&mut self, status: u16, headers: Vec<(&'static str, String)>, body: String) {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let now_ms = self.platform.now_ms();
        self.kept = self.repeat.map(|repeat| Kept::new(&repeat, now_ms, status, headers, body));
    }

    /// Another origin's stream that goes on with the answer.
    async fn another(&mut self, request: &Request<'_>, partial: &Partial) -> Next<P::Stream> {
        self.keep_able(partial);
        loop {
            match self.find(request, Some(partial)).await {
                Ok(Found::Stream(stream)) => return Next::Stream(stream),
                // An answer that is no stream has nothing for one that is under way.
                Ok(Found::Whole(_)) if self.tried.last().is_some_and(|tried| tried.failure.is_none()) => {
                    if let Some(tried) = self.tried.last_mut() {
                        tried.ending = Ending::Error;
                    }
                    self.broke_off(Failure::BadAnswer);
                }
                Ok(Found::Whole(_) | Found::Left) | Err(_) => return Next::None,
            }
        }
    }

    /// Writes down how the pumped stream ended. Some, if the client's stream was left open.
    fn pumped_once(&mut self, delivery: &mut Delivery) -> Option<(Scanner, Partial)> {
        let ended_ms = self.platform.now_ms();
        let scanner = delivery.scanner.as_ref();
        let seen = scanner.map(Scanner::seen);
        let ending = pumped_ending(delivery.ending, seen);
        let close = scanner.and_then(Scanner::close);
        let error = scanner.map_or(&[][..], Scanner::error);
        let tried = self.tried.last_mut()?;
        tried.ending = ending;
        tried.ended_ms = ended_ms;
        tried.usage = seen.and_then(|seen| seen.usage);
        tried.counted = seen.is_none_or(|seen| seen.finished || seen.done);
        let failure = match (ending, close) {
            (Ending::Truncated, Some(Close::Idle)) => Failure::Timeout,
            (Ending::Truncated, _) => Failure::Broken,
            (Ending::Error, _) => failure::of_answer(200, error),
            (Ending::Complete, _) => {
                self.completed();
                return None;
            }
            _ => return None,
        };
        // The request's own time is over: nobody's failure.
        if close != Some(Close::Late) {
            self.broke_off(failure);
        }
        let mut scanner = delivery.scanner.take().filter(|_| delivery.open)?;
        let partial = scanner.take_partial()?;
        Some((scanner, partial))
    }

    fn scanner(&self, partial: Option<Partial>, copy: Option<Transcript>) -> Scanner {
        let price = self.tried.last().map(|tried| tried.target.model.price()).unwrap_or_default();
        let mut scanner = Scanner::new(price, self.include_usage).with_transcript(copy);
        if self.tried.len() > 1 {
            let chat = self.path == "/chat/completions";
            scanner = scanner.with_note(tried::note(&self.tried, &self.asked, &self.id, chat));
        }
        match partial {
            Some(partial) => scanner.with_partial(partial),
            None => scanner,
        }
    }

    /// The head of a reply that says who answered.
    fn reply(&self, status: u16, content_type: &str) -> Reply {
        let mut headers = Vec::with_capacity(10);
        headers.push(("content-type", content_type.to_owned()));
        headers.push(("cache-control", "no-store".to_owned()));
        headers.push((moegate_wire::header::REQUEST_ID, self.id.clone()));
        if let Some(tried) = self.tried.last() {
            headers.push(("x-moegate-model", tried.target.model.name.clone()));
            headers.push(("x-moegate-origin", tried.target.origin.name.clone()));
        }
        headers.push(("x-moegate-attempts", self.tried.len().to_string()));
        headers.push(("x-moegate-attempt-log", tried::log(&self.tried)));
        Reply { status, headers }
    }
}

/// The body to give again, if it is one.
fn text_of<S>(body: &ReplyBody<S>) -> Option<String> {
    match body {
        ReplyBody::Bytes(bytes) | ReplyBody::Answered(bytes) if bytes.len() <= LARGEST => {
            String::from_utf8(bytes.clone()).ok()
        }
        _ => None,
    }
}

enum Next<S> {
    Stream(S),
    None,
}
