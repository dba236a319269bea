//! Attempts, one after the other, until there is an answer to give.

use super::look_up;
use super::tried::Tried;
use crate::api::openai::{NoResume, Request};
use crate::core::attempt::{self, AnswerHeaders, Attempt, Judgement, SendError};
use crate::core::config::{Failure, Key, Route, StreamWay};
use crate::core::course::{Course, Step, Why, retry_after_ms};
use crate::core::error::ApiError;
use crate::core::failure;
use crate::core::health::Verdict;
use crate::core::repeats::{Kept, Repeat};
use crate::core::route::{Dice, Size, Target};
use crate::core::secret::OriginSecrets;
use crate::core::stream::Partial;
use crate::platform::{Answer, AnswerBody, Platform, ReplyBody};
use moegate_wire::{Ending, Usage};

/// One request on its way.
pub(super) struct Journey<'a, P> {
    pub(super) platform: &'a P,
    pub(super) route: &'a Route,
    pub(super) key: &'a Key,
    /// The model's name as the client asked for it.
    pub(super) asked: String,
    /// At the origin.
    pub(super) path: &'a str,
    pub(super) id: String,
    pub(super) started_ms: u64,
    /// The most bytes of a whole answer.
    pub(super) limit: usize,
    pub(super) size: Size,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) course: Course<'a>,
    pub(super) dice: Dice,
    pub(super) tried: Vec<Tried<'a>>,
    /// Where the answer may have to be given again.
    pub(super) repeat: Option<Repeat>,
    /// What is to be given again.
    pub(super) kept: Option<Kept>,
}

/// What the attempts have come to.
#[allow(clippy::large_enum_variant, reason = "one for each request; a box would be an allocation more")]
pub(super) enum Found<S> {
    Stream(S),
    /// An answer, or the last failure.
    Whole(Whole<S>),
    /// The client has left.
    Left,
}

pub(super) struct Whole<S> {
    pub(super) status: u16,
    pub(super) headers: AnswerHeaders,
    pub(super) body: ReplyBody<S>,
}

/// What one attempt has come to.
enum Outcome<S> {
    Found(Found<S>),
    Failed(Failure, Whole<S>),
}

impl<'a, P: Platform> Journey<'a, P> {
    /// Tries until there is an answer, or the budget is spent.
    ///
    /// # Errors
    /// What the client is told where no origin was asked at all.
    pub(super) async fn find(
        &mut self,
        request: &Request<'_>,
        partial: Option<&Partial>,
    ) -> Result<Found<P::Stream>, ApiError> {
        let mut last = None;
        loop {
            let now_ms = self.platform.now_ms();
            let (course, dice, size) = (&mut self.course, &mut self.dice, self.size);
            let step = self.platform.memory(|memory| {
                let step = course.next(size, &memory.health, now_ms, dice);
                if let Step::Try { at, again, .. } = step {
                    // At once, so that no other request becomes the probe too.
                    memory.health.begin(&course.target(at), again, now_ms);
                }
                step
            });
            match step {
                Step::Wait(ms) => {
                    if self.platform.sleep(ms).await.is_err() {
                        self.cancelled();
                        return Ok(Found::Left);
                    }
                }
                Step::GiveUp(why) => return self.give_up(last, why, now_ms),
                Step::Try { at, key, .. } => {
                    let target = self.course.target(at);
                    let begun = match self.secrets(target, key).await {
                        Ok(secrets) => self.attempt((target, key), secrets, request, partial).await,
                        Err(error) => Err(error),
                    };
                    match begun {
                        Ok(Outcome::Found(found)) => return Ok(found),
                        Ok(Outcome::Failed(failure, whole)) => {
                            // What is refused here may be how it was asked to go on, which is not the client's fault.
                            let own = partial.is_some() && failure == Failure::Refused;
                            let followed = if own { Failure::ModelNotFound } else { failure };
                            self.failed(at, followed, &whole.headers);
                            last = Some(Ok(whole));
                        }
                        // Nothing was sent.
                        Err(error) => {
                            let dice = &mut self.dice;
                            self.platform.memory(|memory| {
                                memory.health.end(&target, Verdict::Unknown, now_ms, dice);
                            });
                            self.course.leave_out(at);
                            last = last.or(Some(Err(error)));
                        }
                    }
                }
            }
        }
    }

    fn give_up(
        &self,
        last: Option<Result<Whole<P::Stream>, ApiError>>,
        why: Why,
        now_ms: u64,
    ) -> Result<Found<P::Stream>, ApiError> {
        match last {
            Some(Ok(whole)) => Ok(Found::Whole(whole)),
            Some(Err(error)) => Err(error),
            None => Err(why.error(&self.route.model, now_ms)),
        }
    }

    /// The secrets for an attempt.
    async fn secrets(&self, target: Target<'a>, key: usize) -> Result<OriginSecrets<'a>, ApiError> {
        let secrets = look_up(self.platform, OriginSecrets::names(target.origin, key)).await;
        OriginSecrets::of(target.origin, key, &secrets)
    }

    async fn attempt(
        &mut self,
        (target, key): (Target<'a>, usize),
        secrets: OriginSecrets<'a>,
        request: &Request<'_>,
        partial: Option<&Partial>,
    ) -> Result<Outcome<P::Stream>, ApiError> {
        let number = self.tried.len() + 1;
        let id = if number == 1 { self.id.clone() } else { format!("{}-{number}", self.id) };
        let now_ms = self.platform.now_ms();
        let surroundings = Attempt {
            path: self.path,
            id: &id,
            now_ms,
            deadline_ms: self.course.deadline_ms(),
            way: self.way(&target),
            partial,
        };
        let outbound = attempt::request(&target, &secrets, request, surroundings).map_err(|NoResume| {
            ApiError::upstream(502, "stream_truncated", "no other origin can go on with such a request")
        })?;
        let breaker = self.platform.memory(|memory| memory.health.shown(target.place, now_ms));
        let answer = self.platform.send(outbound, self.limit).await;
        let head_ms = self.platform.now_ms();
        let mut tried = Tried {
            target,
            secrets,
            id,
            breaker,
            began_ms: now_ms,
            head_ms,
            ended_ms: head_ms,
            status: 200,
            failure: None,
            ending: Ending::Complete,
            usage: None,
            counted: true,
            relayed: false,
        };
        let result = self.judge(&mut tried, answer);
        let verdict = match &result {
            Outcome::Found(Found::Left) => Verdict::Unknown,
            Outcome::Found(_) => Verdict::Works,
            // A customer's limit, not the origin's: the next key is another customer.
            Outcome::Failed(Failure::RateLimited, _) if key < target.origin.spare_secrets.len() => {
                Verdict::Unknown
            }
            Outcome::Failed(failure, whole) => {
                Verdict::of(*failure, self.patience(&whole.headers).map(|ms| head_ms + ms))
            }
        };
        let dice = &mut self.dice;
        let whole = matches!(result, Outcome::Found(Found::Whole(_)));
        self.platform.memory(|memory| {
            memory.health.end(&target, verdict, head_ms, dice);
            if whole {
                memory.health.end(&target, Verdict::Completed, head_ms, dice);
            }
        });
        self.tried.push(tried);
        Ok(result)
    }

    fn judge(
        &self,
        tried: &mut Tried<'_>,
        answer: Result<Answer<P::Stream>, SendError>,
    ) -> Outcome<P::Stream> {
        let (status, headers, body) = match answer {
            Ok(Answer { body: AnswerBody::Stream(stream), status, .. }) => {
                tried.status = status;
                return Outcome::Found(Found::Stream(stream));
            }
            Ok(Answer { body: AnswerBody::Whole(body), status, headers }) => (status, headers, body),
            Err(error) => {
                let told = attempt::failure(&tried.target, error);
                tried.status = told.status;
                tried.ending = Ending::Error;
                tried.failure = failure::of_send(error);
                let Some(failure) = tried.failure else {
                    tried.ending = Ending::Cancelled;
                    return Outcome::Found(Found::Left);
                };
                return Outcome::Failed(failure, replaced(&told, AnswerHeaders::default()));
            }
        };
        let nothing = attempt::used_nothing(status).then(Usage::default);
        match attempt::judge(&tried.target, &tried.secrets, status, &body) {
            Judgement::Pass { usage, body: changed } => {
                (tried.status, tried.usage) = (status, usage);
                let body = changed.map_or(ReplyBody::Answered(body), ReplyBody::Bytes);
                Outcome::Found(Found::Whole(Whole { status, headers, body }))
            }
            Judgement::PassError(shown) => {
                let failure = failure::of_answer(status, &body);
                let usage = attempt::counts(&body).or(nothing);
                (tried.status, tried.usage, tried.failure) = (shown, usage, Some(failure));
                tried.ending = Ending::Error;
                Outcome::Failed(failure, Whole { status: shown, headers, body: ReplyBody::Answered(body) })
            }
            Judgement::Replace(error) => {
                let failure = failure::of_answer(status, &body);
                (tried.status, tried.usage, tried.failure) = (error.status, nothing, Some(failure));
                tried.ending = Ending::Error;
                Outcome::Failed(failure, replaced(&error, headers))
            }
        }
    }

    /// How a stream from there passes. One that is to be kept has to be seen.
    pub(super) fn way(&self, target: &Target<'_>) -> StreamWay {
        match &self.repeat {
            Some(repeat) if repeat.is_chosen() => StreamWay::Pump,
            _ => target.stream_way(),
        }
    }

    /// What the origin asks to wait, in milliseconds.
    fn patience(&self, headers: &AnswerHeaders) -> Option<u64> {
        retry_after_ms(&headers.retry_after_ms, &headers.retry_after, self.platform.now_ms())
    }

    fn failed(&mut self, at: usize, failure: Failure, headers: &AnswerHeaders) {
        let now_ms = self.platform.now_ms();
        if let Some(tried) = self.tried.last() {
            self.course.spend(could_have_cost(tried, self.size));
        }
        let patience = self.patience(headers);
        self.course.failed(at, failure, patience, now_ms, &mut self.dice);
    }

    /// The client has left between two attempts: that is how the last one counts too.
    fn cancelled(&mut self) {
        if let Some(tried) = self.tried.last_mut() {
            tried.ending = Ending::Cancelled;
        }
    }

    /// Only those that can go on with the answer are left in the plan.
    pub(super) fn keep_able(&mut self, partial: &Partial) {
        self.course.keep_only(|target| attempt::can_resume(target, partial));
    }

    /// The stream that is under way is at its end.
    pub(super) fn completed(&mut self) {
        let Some(tried) = self.tried.last() else { return };
        let (target, now_ms) = (tried.target, tried.ended_ms);
        let dice = &mut self.dice;
        self.platform.memory(|memory| memory.health.end(&target, Verdict::Completed, now_ms, dice));
    }

    /// The stream that is under way has broken off.
    pub(super) fn broke_off(&mut self, failure: Failure) {
        let Some(tried) = self.tried.last_mut() else { return };
        tried.failure = Some(failure);
        let (target, now_ms) = (tried.target, tried.ended_ms);
        let dice = &mut self.dice;
        let verdict = match Verdict::of(failure, None) {
            Verdict::Fails => Verdict::BrokeOff,
            other => other,
        };
        self.platform.memory(|memory| memory.health.end(&target, verdict, now_ms, dice));
        if let Some(at) = self.course.position(target.place) {
            self.failed(at, failure, &AnswerHeaders::default());
        }
    }
}

fn replaced<S>(error: &ApiError, headers: AnswerHeaders) -> Whole<S> {
    Whole { status: error.status, headers, body: super::bytes(error) }
}

/// Nano-dollars that count against the budget.
fn could_have_cost(tried: &Tried<'_>, size: Size) -> u64 {
    match tried.usage {
        Some(usage) => tried.target.model.price().cost(&usage).0,
        // It may have been a reset as well, but mostly nothing was reached.
        None if tried.failure == Some(Failure::Connect) => 0,
        None => size.estimate(&tried.target),
    }
}
