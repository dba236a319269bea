//! Anthropic's Messages API, in and out (<https://platform.claude.com/docs/en/api/messages>).
//!
//! - From and to other APIs, through the canonical form: [`parse`] (with [`parse_content`]) reads a client's request;
//!   [`encode`] (with [`content`], [`tools`], [`thinking`] and what [`models`] take) writes an origin's; [`reader`] reads an
//!   origin's answer, [`writer`] (with [`blocks`]) writes a client's.
//! - [`request`]: what a body says and what has to change where the origin speaks the same API. [`count`]: the count of a
//!   request's tokens.
//! - [`form`]: what the gateway itself says in this form.

mod blocks;
pub(in crate::dialect) mod content;
mod count;
pub(in crate::dialect) mod encode;
#[cfg(test)]
mod fixtures;
mod form;
pub(in crate::dialect) mod models;
mod parse;
mod parse_content;
#[cfg(test)]
mod passing_tests;
mod reader;
mod request;
pub(super) mod thinking;
pub(in crate::dialect) mod tools;
mod writer;

use super::answer::OriginError;
use super::canonical::Signer;
use super::canonical::answer::Answer;
use super::canonical::delta::Delta;
use super::canonical::request::Request as Canonical;
use super::canonical::unsupported::Unsupported;
use super::counts::Counts;
use super::format::{ClientFormat, Destination, EventReader, EventWriter, OriginFormat};
use super::json::{pick, string};
use super::passing::Passing;
use super::{
    AnswerContext, Call, ClientDialect, ClientRequest, Exchange, ModelInfo, Operation, errors, registry,
    usage,
};
use crate::config::{Kind, Origin};
use crate::error::ApiError;
use crate::payload::Edit;
use http::{HeaderName, Method, Request};
use std::borrow::Cow;

const MESSAGES: &str = "/messages";
const COUNT: &str = "/messages/count_tokens";

/// The tool whose input is the answer, where an answer of a certain form is asked for.
const ANSWER_TOOL: &str = "answer_as_json";

/// Who else signs thoughts.
const SIGNERS: [Signer; 2] = [Signer::Google, Signer::OpenAi];

const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
const BETA_HEADER: HeaderName = HeaderName::from_static("anthropic-beta");
const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// As clients speak it.
pub(super) struct Anthropic;

impl ClientDialect for Anthropic {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        let method = head.method();
        let path = path.strip_prefix("/v1")?;
        let post = |endpoint: &'static str| {
            let is_right = method == Method::POST;
            Some(
                is_right
                    .then(|| Operation::Generate(endpoint.into()))
                    .ok_or_else(|| ApiError::method("POST")),
            )
        };
        match path {
            MESSAGES => return post(MESSAGES),
            COUNT => return post(COUNT),
            _ => {}
        }
        // The paths of models are OpenAI's too.
        let is_own = |name: &HeaderName| head.headers().contains_key(name);
        if !is_own(&VERSION_HEADER) && !is_own(&KEY_HEADER) {
            return None;
        }
        let operation = match path {
            "/models" => Operation::ListModels,
            _ => Operation::GetModel(path.strip_prefix("/models/")?.to_owned()),
        };
        let is_right = matches!(*method, Method::GET | Method::HEAD);
        Some(is_right.then_some(operation).ok_or_else(|| ApiError::method("GET, HEAD")))
    }

    fn passed_headers(&self) -> &'static [HeaderName] {
        static PASSED: [HeaderName; 2] = [VERSION_HEADER, BETA_HEADER];
        &PASSED
    }

    fn id_header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static("request-id"))
    }

    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        Ok(Box::new(request::Request::parse(call.endpoint, body)?))
    }

    fn exchange(
        &self,
        endpoint: &'static str,
        origin: &Origin,
        model: &str,
    ) -> Option<&'static dyn Exchange> {
        match registry::api_of(origin, model) {
            registry::Api::Anthropic if endpoint == COUNT => Some(&count::Count),
            registry::Api::Anthropic => Some(&SAME),
            api if endpoint == MESSAGES => Some(registry::through(registry::Client::Anthropic, api)),
            _ => None,
        }
    }

    fn error_body(&self, error: &ApiError, _request_id: Option<&str>) -> String {
        form::error_body(error)
    }

    fn error_event(&self, error: &ApiError) -> String {
        form::error_event(error)
    }

    fn model_list(&self, models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
        form::model_list(models)
    }

    fn model_entry(&self, model: ModelInfo<'_>) -> String {
        form::model_entry(model)
    }
}

/// Anthropic's clients towards its own API: bytes pass by.
static SAME: Passing = Passing {
    dialect: &Anthropic,
    client: &Messages,
    origin: &Messages,
    edits: cost,
    end_mark: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
};

/// What a whole answer is to say of its cost.
fn cost(body: &str, counts: &Counts, context: &AnswerContext) -> Vec<Edit> {
    let object = pick(body, &["usage"]).and_then(|[object]| object);
    let Some(reading) = object.and_then(usage::read) else { return Vec::new() };
    usage::cost_edits(body.as_bytes(), &reading, counts.cost(&context.price))
}

/// Messages on their way from and to other APIs.
pub(super) struct Messages;

/// The path on Vertex AI (its guide "Claude on Vertex AI", and the SDK's `AnthropicVertex`).
fn vertex_path(endpoint: &str, model: &str, stream: bool) -> String {
    let model = if endpoint == COUNT { "count-tokens" } else { model };
    let method = if stream { "streamRawPredict" } else { "rawPredict" };
    format!("/publishers/anthropic/models/{model}:{method}")
}

impl OriginFormat for Messages {
    fn path(&self, to: &Destination<'_>, stream: bool) -> Cow<'static, str> {
        match to.origin.kind {
            Kind::Vertex => vertex_path(MESSAGES, &to.model.name, stream).into(),
            _ => MESSAGES.into(),
        }
    }

    fn can_resume(&self, to: &Destination<'_>) -> bool {
        models::Abilities::of(&to.model.name).prefill
    }

    fn trims_prefill(&self) -> bool {
        true
    }

    fn encode(
        &self,
        request: &Canonical<'_>,
        to: &Destination<'_>,
        unsupported: &mut Unsupported,
    ) -> Vec<u8> {
        encode::encode(request, to, unsupported)
    }

    fn answer<'b>(&self, body: &'b str) -> Option<Vec<Delta<'b>>> {
        reader::answer(body)
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        let error = errors::error_of(status, body)?;
        // Vertex AI has errors of Google's own.
        let kind = std::str::from_utf8(body).ok().and_then(|text| pick(text, &["type"]));
        let is_own = kind.and_then(|[kind]| string(kind?)).is_some_and(|kind| kind == "error");
        Some(OriginError { readable: error.readable && is_own, ..error })
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}

impl ClientFormat for Messages {
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8> {
        writer::answer(answer, context)
    }

    // Every stream of this API tells its counts.
    fn writer(&self, context: &AnswerContext, _include_usage: bool) -> Box<dyn EventWriter> {
        Box::new(writer::Writer::new(context))
    }
}
