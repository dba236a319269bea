//! OpenAI's endpoints beside generations: embeddings, moderations, images, audio
//! (<https://platform.openai.com/docs/api-reference>), and reranking, which vLLM, Jina, Cohere and others serve in one form beside
//! them (<https://docs.cohere.com/reference/rerank>). They pass to origins of OpenAI's API as they are, with another model's
//! name; no other API has words for them.
//!
//! - [`request`]: what a body says, JSON or [`form`]. [`answer`]: what comes back, which may be no JSON.

mod answer;
mod form;
mod request;

pub(in crate::dialect) use super::answer::read;
use super::form as words;
use crate::config::{Kind, Origin};
use crate::dialect::{Call, ClientDialect, ClientRequest, Exchange, ModelInfo, Operation, registry};
use crate::error::ApiError;
use http::{HeaderName, Method, Request, header};

const EMBEDDINGS: &str = "/embeddings";
const MODERATIONS: &str = "/moderations";
pub(in crate::dialect) const RERANK: &str = "/rerank";

/// Behind `/v1`, and behind an origin's URL.
const PATHS: [&str; 8] = [
    EMBEDDINGS,
    MODERATIONS,
    RERANK,
    "/images/generations",
    "/images/edits",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
];

/// See the module.
pub(in crate::dialect) struct Endpoints;

impl ClientDialect for Endpoints {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        let path = path.strip_prefix("/v1")?;
        let endpoint = PATHS.into_iter().find(|own| *own == path)?;
        if head.method() == Method::POST {
            return Some(Ok(Operation::Generate(endpoint.into())));
        }
        Some(Err(ApiError::method("POST")))
    }

    fn passed_headers(&self) -> &'static [HeaderName] {
        // With a form's boundary.
        &[header::CONTENT_TYPE]
    }

    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        self.parse_as(call, "application/json", body)
    }

    fn parse_as<'a>(
        &self,
        call: &Call,
        content_type: &str,
        body: &'a [u8],
    ) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        request::parse(call.endpoint, content_type, body)
    }

    fn exchange(
        &self,
        endpoint: &'static str,
        origin: &Origin,
        model: &str,
    ) -> Option<&'static dyn Exchange> {
        let exchange: &'static dyn Exchange = match is_of_images(endpoint) {
            true => &answer::Passed { images: true },
            false => &answer::Passed { images: false },
        };
        is_served_by(origin, model).then_some(exchange)
    }

    fn error_body(&self, error: &ApiError, _request_id: Option<&str>) -> String {
        words::error_body(error)
    }

    fn error_event(&self, error: &ApiError) -> String {
        words::error_event(error)
    }

    fn model_list(&self, models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
        words::model_list(models)
    }

    fn model_entry(&self, model: ModelInfo<'_>) -> String {
        words::model_entry(model)
    }
}

/// Whether images are generated there.
fn is_of_images(endpoint: &str) -> bool {
    endpoint.starts_with("/images/")
}

/// Whether such requests go there at all. Our own server generates texts alone.
pub(in crate::dialect) fn is_served_by(origin: &Origin, model: &str) -> bool {
    origin.kind != Kind::Moegate && registry::api_of(origin, model) == registry::Api::Chat
}

#[cfg(test)]
mod tests;
