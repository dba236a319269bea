//! OpenAI's Responses API (<https://platform.openai.com/docs/api-reference/responses>), as clients speak it.
//!
//! Origins that have it themselves get the request as it is ([`crate::config::Origin::has_responses`]), and their answers
//! pass: [`reader`] reads them. For all others [`parse`] reads the request into the canonical form, and [`writer`] writes the
//! answer, made of [`items`]. [`echo`]: what an answer repeats of its request. [`foreign`]: what does not go to OpenAI. Nothing is stored: what refers to an earlier
//! answer by its id can be said only to an origin that stores it.

mod echo;
mod foreign;
mod items;
mod parse;
mod reader;
mod request;
mod writer;

use super::form;
use crate::config::Origin;
use crate::dialect::canonical::answer::Answer;
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::counts::Counts;
use crate::dialect::format::{ClientFormat, Destination, EventReader, EventWriter, OriginFormat};
use crate::dialect::json::pick;
use crate::dialect::passing::Passing;
use crate::dialect::{
    AnswerContext, Call, ClientDialect, ClientRequest, Exchange, ModelInfo, Operation, registry, usage,
};
use crate::error::ApiError;
use crate::payload::Edit;
use http::{Method, Request};
use serde_json::value::RawValue;
use std::borrow::Cow;

const RESPONSES: &str = "/responses";

/// OpenAI's Responses API, as clients speak it.
pub(in crate::dialect) struct Responses;

impl ClientDialect for Responses {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        match path.strip_prefix("/v1/responses")? {
            "" if head.method() == Method::POST => Some(Ok(Operation::Generate(RESPONSES.into()))),
            "" => Some(Err(ApiError::method("POST"))),
            rest if rest.starts_with('/') => Some(Err(ApiError {
                message: "the gateway stores no responses, so that none can be read, cancelled or deleted later: POST /v1/responses answers at once".into(),
                ..ApiError::not_found()
            })),
            _ => None,
        }
    }

    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        Ok(Box::new(request::Request::parse(call.endpoint, body)?))
    }

    fn exchange(
        &self,
        _endpoint: &'static str,
        origin: &Origin,
        model: &str,
    ) -> Option<&'static dyn Exchange> {
        if is_spoken_by(origin, model) {
            return Some(&SAME);
        }
        Some(registry::through(registry::Client::Responses, registry::api_of(origin, model)))
    }

    fn error_body(&self, error: &ApiError, _request_id: Option<&str>) -> String {
        form::error_body(error)
    }

    fn error_event(&self, error: &ApiError) -> String {
        writer::error_event(error, 0)
    }

    fn model_list(&self, models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
        form::model_list(models)
    }

    fn model_entry(&self, model: ModelInfo<'_>) -> String {
        form::model_entry(model)
    }
}

/// Whether requests of this API go there as they are.
fn is_spoken_by(origin: &Origin, model: &str) -> bool {
    registry::api_of(origin, model) == registry::Api::Chat && origin.has_responses()
}

impl ClientFormat for Responses {
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8> {
        writer::answer(answer, context)
    }

    fn writer(&self, context: &AnswerContext, _include_usage: bool) -> Box<dyn EventWriter> {
        Box::new(writer::Writer::new(context))
    }
}

/// Clients and origins of this API: bytes pass by.
static SAME: Passing =
    Passing { dialect: &Responses, client: &Responses, origin: &Responses, edits: cost_edits, end_mark: "" };

fn cost_edits<'b>(body: &'b str, counts: &Counts, context: &AnswerContext) -> Vec<Edit> {
    // In the last event it stands within the response.
    let inner = |[usage, response]: [Option<&'b RawValue>; 2]| match response {
        Some(response) if usage.is_none() => pick(response.get(), &["usage"])?[0],
        _ => usage,
    };
    let object = pick(body, &["usage", "response"]).and_then(inner).and_then(usage::read);
    let cost = counts.cost(&context.price);
    object.map(|object| usage::cost_edits(body.as_bytes(), &object, cost)).unwrap_or_default()
}

/// How answers of origins that have this API are read; requests go there as they came.
impl OriginFormat for Responses {
    fn path(&self, _to: &Destination<'_>, _stream: bool) -> Cow<'static, str> {
        RESPONSES.into()
    }

    fn encode(&self, _request: &Canonical<'_>, _to: &Destination<'_>, _: &mut Unsupported) -> Vec<u8> {
        // No other API's clients are answered by it.
        Vec::new()
    }

    fn answer<'b>(&self, body: &'b str) -> Option<Vec<Delta<'b>>> {
        reader::answer(body)
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}

#[cfg(test)]
mod tests;
