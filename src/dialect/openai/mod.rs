//! OpenAI's API: chat completions and completions, in and out; [`responses`] and the other [`endpoints`] stand
//! beside them.
//!
//! - [`request`]: what a body says and what has to change; [`resume`]: going on with a partial answer.
//! - Between OpenAI's clients and origins: [`answer`], [`codec`] of [`chunk`]s, [`partial`]: what comes back, whole and as a
//!   stream. [`gather`], [`split`]: a stream for one answer, and the other way round, where an origin sends what was not
//!   asked for.
//! - From and to other APIs, through the canonical form: [`parse`] reads a client's request, its tools by [`parse_tools`];
//!   [`encode`] writes an origin's, by its [`quirks`]; [`reader`] reads an origin's answer, [`writer`] writes a client's.
//! - [`form`]: what the gateway itself says in this form.

mod answer;
mod chunk;
mod codec;
mod encode;
pub(super) mod endpoints;
mod foreign;
pub(super) mod form;
mod gather;
pub(super) mod parse;
mod parse_tools;
mod partial;
mod prefilter;
mod quirks;
mod reader;
mod request;
pub(super) mod responses;
mod resume;
mod split;
mod writer;

use super::answer::{AnswerFacts, OriginError};
use super::canonical::answer::Answer;
use super::canonical::delta::Delta;
use super::canonical::request::Request as Canonical;
use super::canonical::unsupported::Unsupported;
use super::format::{ClientFormat, Destination, EventReader, EventWriter, OriginFormat};
use super::{
    AnswerContext, Call, ClientDialect, ClientRequest, Exchange, Gathered, ModelInfo, Operation, StreamCodec,
    StreamOptions, errors, registry,
};
use crate::config::Origin;
use crate::error::ApiError;
use crate::signing::sigv4::path_segment;
use form::to_json;
use http::{Method, Request};
use std::borrow::Cow;

const CHAT: &str = "/chat/completions";
const COMPLETIONS: &str = "/completions";

/// As clients speak it.
pub(super) struct OpenAi;

impl ClientDialect for OpenAi {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        let method = head.method();
        let path = path.strip_prefix("/v1")?;
        let only = |wanted: &[Method], allow, operation| {
            if wanted.contains(method) { Ok(operation) } else { Err(ApiError::method(allow)) }
        };
        const READS: &[Method] = &[Method::GET, Method::HEAD];
        match path {
            CHAT => Some(only(&[Method::POST], "POST", Operation::Generate(CHAT.into()))),
            COMPLETIONS => Some(only(&[Method::POST], "POST", Operation::Generate(COMPLETIONS.into()))),
            "/models" => Some(only(READS, "GET, HEAD", Operation::ListModels)),
            _ => {
                let name = path.strip_prefix("/models/")?;
                Some(only(READS, "GET, HEAD", Operation::GetModel(name.to_owned())))
            }
        }
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
            registry::Api::Chat => Some(&Same),
            api if endpoint == CHAT => Some(registry::through(registry::Client::Chat, api)),
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

/// OpenAI's clients towards OpenAI-compatible origins: bytes pass by.
pub(super) struct Same;

impl Exchange for Same {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        answer::read(body, &context.price, false)
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        errors::error_of(status, body)
    }

    fn writes(&self) -> bool {
        false
    }

    fn refuses_usage(&self, status: u16, body: &[u8]) -> bool {
        errors::refuses_stream_options(status, body)
    }

    fn streamed(&self, body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        split::stream_of(body)
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        gather::answer_of(stream)
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        Box::new(codec::Codec::new(options))
    }
}

/// An endpoint's path behind the origin's URL: Azure's deployments have the model before it, and a version behind it.
pub(super) fn path(endpoint: &'static str, origin: &Origin, model: &str) -> Cow<'static, str> {
    match &origin.api_version {
        Some(version) => format!("/{}{endpoint}?api-version={version}", path_segment(model)).into(),
        None => endpoint.into(),
    }
}

/// Chat completions on their way from and to other APIs.
pub(super) struct Chat;

impl OriginFormat for Chat {
    fn path(&self, to: &Destination<'_>, _stream: bool) -> Cow<'static, str> {
        path(CHAT, to.origin, &to.model.name)
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

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}

impl ClientFormat for Chat {
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8> {
        writer::answer(answer, context)
    }

    fn writer(&self, context: &AnswerContext, include_usage: bool) -> Box<dyn EventWriter> {
        Box::new(writer::Writer::new(context, include_usage))
    }
}
