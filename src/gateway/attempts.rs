//! Attempts, one after the other, until there is an answer to give.

use super::attempt::Attempt;
use super::authenticate::look_up;
use super::context::{RequestContext, Skipped};
use super::receive::{self, OpenStream};
use super::reply::header_text;
use super::reserve::{self, NotReserved};
use super::send::{self, Timeouts};
use super::stream::both;
use super::wake::Turn;
use crate::config::{Failure, StreamMode, StreamUsage};
use crate::dialect::ClientRequest;
use crate::dialect::partial::Partial;
use crate::dialect::request::CannotEncode;
use crate::error::ApiError;
use crate::platform::{Payload, Platform};
use crate::resilience::health::AttemptResult;
use crate::resilience::retry::{Decision, Exhausted};
use crate::resilience::retry_after::retry_after_ms;
use crate::routing::Target;
use crate::secret::OriginSecrets;
use crate::wake::CAP_MS;
use http::HeaderMap;
use moegate_wire::Ending;

/// What the attempts have come to.
pub(super) enum Found<P: Platform> {
    Stream(OpenStream<P>),
    /// An answer, or the last failure.
    Whole(Whole<P>),
    ClientLeft,
}

pub(super) struct Whole<P: Platform> {
    pub(super) status: u16,
    /// Of the origin's answer.
    pub(super) headers: HeaderMap,
    pub(super) body: Payload<P::Bytes>,
}

/// What one attempt has come to.
pub(super) enum Outcome<P: Platform> {
    Found(Found<P>),
    Failed(Failure, Whole<P>),
    /// It refused what the gateway had added of itself.
    Again(Whole<P>),
}

/// Why nothing was sent.
struct Unsent {
    error: ApiError,
    /// Whether no other origin is to be asked either.
    of_request: bool,
}

impl From<ApiError> for Unsent {
    fn from(error: ApiError) -> Self {
        Self { error, of_request: false }
    }
}

impl From<NotReserved> for Unsent {
    fn from(NotReserved { error, of_origin }: NotReserved) -> Self {
        Self { error, of_request: !of_origin }
    }
}

/// An attempt whose end nobody knows yet. If the runtime drops the work behind the request, its origin must not wait for
/// what this attempt would have found out.
struct Unended<'a, P: Platform> {
    platform: &'a P,
    target: Target<'a>,
}

impl<P: Platform> Drop for Unended<'_, P> {
    fn drop(&mut self) {
        self.platform.state(|state| state.health.abandon(self.target.index));
    }
}

impl<'a, P: Platform> RequestContext<'a, P> {
    /// Tries until there is an answer, or the budget is spent.
    ///
    /// # Errors
    /// What the client is told where no origin was asked at all.
    pub(super) async fn find(
        &mut self,
        request: &dyn ClientRequest,
        body: &P::Bytes,
        partial: Option<&Partial>,
    ) -> Result<Found<P>, ApiError> {
        let mut last = None;
        loop {
            let now_ms = self.platform.now_ms();
            let (retry, rng, size) = (&mut self.retry, &mut self.rng, self.facts.size);
            let decision = self.platform.state(|state| {
                let decision = retry.next(size, &state.health, now_ms, rng);
                if let Decision::Attempt { at, retry: again, .. } = decision {
                    // At once, so that no other request becomes the probe too.
                    state.health.begin(&retry.target(at), again, now_ms);
                }
                decision
            });
            match decision {
                Decision::Wait(ms) => {
                    if self.watch.sleep(ms).await.is_err() {
                        self.cancelled();
                        return Ok(Found::ClientLeft);
                    }
                }
                Decision::GiveUp(Exhausted::Unavailable { .. }) if self.wait_after_all() => {}
                Decision::GiveUp(why) => return self.give_up(last, why, now_ms),
                Decision::Attempt { at, key, .. } => {
                    let target = self.retry.target(at);
                    let unended = Unended { platform: self.platform, target };
                    match self.awake(at, &target).await {
                        Turn::Go => {}
                        Turn::Again => {
                            self.retry.once_more(at);
                            continue;
                        }
                        Turn::LeaveOut(error) => {
                            last = last.or(Some(Err(error)));
                            self.retry.leave_out(at);
                            continue;
                        }
                        Turn::GiveUp(error) => return self.give_up_with(last.as_ref(), error),
                        Turn::ClientLeft => {
                            self.cancelled();
                            return Ok(Found::ClientLeft);
                        }
                    }
                    let begun = match self.secrets(target, key).await {
                        Ok(secrets) => self.attempt((target, key), secrets, request, body, partial).await,
                        Err(error) => Err(Unsent::from(error)),
                    };
                    // Its end is known, or is said below.
                    std::mem::forget(unended);
                    match begun {
                        Ok(Outcome::Found(found)) => {
                            self.learn_refusal(&found, target.index.origin);
                            return Ok(found);
                        }
                        Ok(Outcome::Failed(failure, _))
                            if self.fell_asleep(&target, failure, now_ms).await =>
                        {
                            self.retry.once_more(at);
                        }
                        Ok(Outcome::Failed(failure, whole)) => {
                            // What is refused here may be how it was asked to go on, which is not the client's fault.
                            let own = partial.is_some() && failure == Failure::Refused;
                            let followed = if own { Failure::ModelNotFound } else { failure };
                            self.failed(at, followed, &whole.headers);
                            last = Some(Ok(whole));
                        }
                        Ok(Outcome::Again(whole)) => {
                            self.without_usage = Some(target.index.origin);
                            self.retry.once_more(at);
                            last = Some(Ok(whole));
                        }
                        // Nothing was sent.
                        Err(Unsent { error, of_request }) => {
                            let rng = &mut self.rng;
                            self.platform.state(|state| {
                                state.health.end(&target, AttemptResult::Unknown, now_ms, now_ms, rng);
                            });
                            if of_request {
                                let last = last.filter(Result::is_ok).or(Some(Err(error)));
                                return self.give_up(last, Exhausted::Stopped, now_ms);
                            }
                            last = last.or(Some(Err(error)));
                            self.retry.leave_out(at);
                        }
                    }
                }
            }
        }
    }

    /// An error of the gateway's own, where an origin was waited for in vain.
    fn give_up_with(
        &self,
        last: Option<&Result<Whole<P>, ApiError>>,
        error: ApiError,
    ) -> Result<Found<P>, ApiError> {
        match last {
            Some(Ok(_)) => Ok(Found::Whole(self.replaced(&error, HeaderMap::new()))),
            _ => Err(error),
        }
    }

    fn give_up(
        &self,
        last: Option<Result<Whole<P>, ApiError>>,
        why: Exhausted,
        now_ms: u64,
    ) -> Result<Found<P>, ApiError> {
        match last {
            Some(Ok(whole)) => Ok(Found::Whole(whole)),
            Some(Err(error)) => Err(error),
            None => Err(why.error(&self.route.model, now_ms)),
        }
    }

    /// The secrets for an attempt.
    async fn secrets(&mut self, target: Target<'a>, key: usize) -> Result<OriginSecrets<'a>, ApiError> {
        let secrets = look_up(self.platform, OriginSecrets::names(target.origin, key)).await;
        let secrets = secrets.map_err(|_| ApiError::secrets_unavailable())?;
        let mut secrets = OriginSecrets::of(target.origin, key, &secrets)?;
        self.authorize(target, key, &mut secrets).await?;
        Ok(secrets)
    }

    async fn attempt(
        &mut self,
        (target, key): (Target<'a>, usize),
        secrets: OriginSecrets<'a>,
        request: &dyn ClientRequest,
        body: &P::Bytes,
        partial: Option<&Partial>,
    ) -> Result<Outcome<P>, Unsent> {
        let number = self.attempts.len() + 1;
        let id = if number == 1 { self.id.clone() } else { format!("{}-{number}", self.id) };
        let began_ms = self.platform.now_ms();
        let exchange = self.exchange(&target).ok_or_else(|| self.cannot(CannotEncode::Dialect, target))?;
        let mode = self.stream_mode(&target);
        let ask_usage = self.asks_usage(&target, began_ms);
        let now_ms = began_ms;
        let outgoing = send::Outgoing {
            target: &target,
            secrets: &secrets,
            id: &id,
            tenant: self.key.tenant_or_name(),
            now_ms,
            mode,
            ask_usage,
            passed: exchange.passes().then_some(&self.passed),
            partial,
        };
        let encoded = outgoing.request(request, body);
        let (mut outbound, dropped) = encoded.map_err(|why| self.cannot(why, target))?;
        self.trace_headers(&target, outbound.headers_mut());
        self.dropped = dropped;
        let breaker = self.platform.state(|state| state.health.breaker_state(target.index, began_ms));
        let mut timeouts = Timeouts::of(&target, began_ms, self.retry.deadline_ms());
        let wanted = self.timeouts_ms.iter().find(|(name, _)| *name == target.origin.name);
        if let Some((_, ms)) = wanted {
            timeouts.head_until_ms = timeouts.head_until_ms.min(began_ms.saturating_add(*ms));
        }
        if self.wake.held {
            // Who has waited for an origin gets an answer by then, or an error.
            timeouts.head_until_ms = timeouts.head_until_ms.min(self.started_ms + CAP_MS);
        }
        let options = self.stream_options(&target, began_ms, breaker, partial);
        let (stream, limit) = (self.facts.stream, self.limit);
        let reading = receive::Reading { exchange, options, stream, mode, limit, timeouts, began_ms };
        let mut plan = self.plan_reservation(&target, &id, began_ms);
        let (platform, on_failure) = (self.platform, self.route.on_ledger_failure);
        let mut unreserved = None;
        let sent = match &mut plan {
            Some(plan) if self.reserves_first(plan) => {
                self.limits = reserve::reserve(platform, plan, on_failure, began_ms, false).await?;
                receive::exchange(platform, &mut self.watch, outbound, reading).await
            }
            // Nothing can refuse it: it is written down while the origin works, and before the client sees anything.
            Some(plan) => {
                let reserved = reserve::reserve(platform, plan, on_failure, began_ms, true);
                let exchanged = receive::exchange(platform, &mut self.watch, outbound, reading);
                let (reserved, sent) = both(reserved, exchanged).await;
                unreserved = reserved.err();
                sent
            }
            None => receive::exchange(platform, &mut self.watch, outbound, reading).await,
        };
        let head_ms = self.platform.now_ms();
        let mut attempt = Attempt {
            target,
            secrets,
            id,
            breaker,
            began_ms,
            head_ms,
            ended_ms: head_ms,
            status: 200,
            failure: None,
            ending: Ending::Complete,
            counts: None,
            counted: true,
            relayed: false,
            reservation: plan.map(|plan| plan.reservation),
        };
        let added = ask_usage && mode == StreamMode::Pump && self.facts.stream && !self.facts.include_usage;
        let outcome = self.judge(&mut attempt, exchange, sent, added);
        if matches!(outcome, Outcome::Failed(Failure::BadKey, _)) {
            self.forget_token(&target, key);
        }
        let result = match &outcome {
            Outcome::Found(Found::ClientLeft) => AttemptResult::Unknown,
            Outcome::Found(_) | Outcome::Again(_) => AttemptResult::Success,
            // A customer's limit, not the origin's: the next key is another customer.
            Outcome::Failed(Failure::RateLimited, _) if key < target.origin.spare_secrets.len() => {
                AttemptResult::Unknown
            }
            // It may just sleep; whether it does is asked. Its `Retry-After` is for who cannot wake it.
            Outcome::Failed(Failure::Connect | Failure::Waking, _) if target.origin.wake.is_some() => {
                AttemptResult::Unknown
            }
            Outcome::Failed(failure, whole) => {
                let until_ms = self.retry_after(&whole.headers).map(|ms| head_ms + ms);
                match AttemptResult::of(*failure, until_ms) {
                    // It may be this request that it cannot stand: that counts once, however often it is sent.
                    AttemptResult::Fault if self.has_failed_at(&target) => AttemptResult::Unknown,
                    result => result,
                }
            }
        };
        if matches!(outcome, Outcome::Found(Found::Whole(_) | Found::Stream(_))) {
            self.worked(&target);
        }
        let rng = &mut self.rng;
        let whole = matches!(outcome, Outcome::Found(Found::Whole(_)));
        self.platform.state(|state| {
            state.health.end(&target, result, began_ms, head_ms, rng);
            if whole {
                state.health.end(&target, AttemptResult::StreamCompleted, began_ms, head_ms, rng);
            }
        });
        let outcome = match unreserved {
            // What came is not given to the client: nobody could say what it costs.
            Some(NotReserved { error, .. }) => {
                attempt.status = error.status;
                Outcome::Found(Found::Whole(self.replaced(&error, HeaderMap::new())))
            }
            None => outcome,
        };
        self.attempts.push(attempt);
        Ok(outcome)
    }

    /// Why an origin is not asked; one that cannot be told the request stands in the log of the attempts.
    fn cannot(&mut self, why: CannotEncode, target: Target<'a>) -> ApiError {
        let origin = &target.origin.name;
        let (error, params) = match why {
            CannotEncode::Resume => {
                let text = "no other origin can go on with such a request";
                return ApiError::upstream(502, "stream_truncated", text);
            }
            CannotEncode::Invalid(error) | CannotEncode::Unsigned(error) => return error,
            CannotEncode::Field(name) => (ApiError::denied_field(&name, origin), vec![name]),
            CannotEncode::Unsupported(params) => (ApiError::unsupported(&params, origin), params),
            CannotEncode::Dialect => (ApiError::no_such_api(origin), Vec::new()),
        };
        self.skipped.push(Skipped { target, before: self.attempts.len(), params });
        error
    }

    /// Whether an earlier attempt there has failed.
    fn has_failed_at(&self, target: &Target<'_>) -> bool {
        let there = |attempt: &&Attempt<'_>| attempt.target.index == target.index;
        self.attempts.iter().filter(there).any(|attempt| attempt.failure.is_some())
    }

    pub(super) fn replaced(&self, error: &ApiError, headers: HeaderMap) -> Whole<P> {
        Whole { status: error.status, headers, body: self.error_payload(error) }
    }

    /// What the origin asks to wait, in milliseconds.
    pub(super) fn retry_after(&self, headers: &HeaderMap) -> Option<u64> {
        let (ms, seconds) = (header_text(headers, "retry-after-ms"), header_text(headers, "retry-after"));
        retry_after_ms(ms, seconds, self.platform.now_ms())
    }

    /// Whether an origin is asked for the counts of a stream.
    fn asks_usage(&self, target: &Target<'_>, now_ms: u64) -> bool {
        let origin = target.index.origin;
        target.origin.stream_usage != StreamUsage::Never
            && self.without_usage != Some(origin)
            && !self.platform.state(|state| state.refusals.has_refused_usage(origin, now_ms))
    }

    /// An origin that works without the question for counts after it did not with it: only then was it that, and not
    /// something of the client's.
    fn learn_refusal(&self, found: &Found<P>, origin: usize) {
        if self.without_usage == Some(origin) && !matches!(found, Found::ClientLeft) {
            let now_ms = self.platform.now_ms();
            self.platform.state(|state| state.refusals.refuse_usage(origin, now_ms));
        }
    }
}
