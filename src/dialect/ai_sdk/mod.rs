//! The protocol of the AI SDK's gateway provider (npm `@ai-sdk/gateway`, `createGateway`), as its clients speak it. No origin
//! speaks it: every answer is said anew.
//!
//! - [`request`]: what routing needs; [`prompt`] and [`parse`] read a whole request, [`options`] its `providerOptions`.
//! - [`writer`] writes answers of [`parts`]; [`warnings`]: what was left out. [`form`]: errors and `/config`.
//! - [`media`]: embeddings, rankings and images, which go to OpenAI-compatible origins.
//!
//! The model, whether it is a stream, and the version of the specification stand in headers, not in the body. The versions
//! differ in how counts, finish reasons, files and warnings are written.

pub(super) mod form;
mod media;
mod options;
mod parse;
mod parts;
mod prompt;
mod request;
#[cfg(test)]
mod tests;
mod warnings;
mod writer;

use super::canonical::answer::Answer;
use super::format::{ClientFormat, EventWriter};
use super::registry::{self, Client};
use super::{AnswerContext, Call, ClientDialect, ClientRequest, Exchange, ModelInfo, Operation};
use crate::config::Origin;
use crate::error::ApiError;
use http::{HeaderName, Method, Request};

/// Whole and streamed, by the version of the specification (2: ai 5, 3: ai 6, 4: ai 7).
const LANGUAGE: [[&str; 2]; 3] = [
    ["language-model 2", "language-model 2 stream"],
    ["language-model 3", "language-model 3 stream"],
    ["language-model 4", "language-model 4 stream"],
];
const EMBEDDING: &str = "embedding-model";
const RERANKING: &str = "reranking-model";
const IMAGE: &str = "image-model";

const LANGUAGE_MODEL: HeaderName = HeaderName::from_static("ai-language-model-id");
const MODEL: HeaderName = HeaderName::from_static("ai-model-id");
const STREAMING: HeaderName = HeaderName::from_static("ai-language-model-streaming");
const VERSION: HeaderName = HeaderName::from_static("ai-language-model-specification-version");

/// As clients speak it, below one prefix.
pub(super) struct AiSdk {
    /// `/v4/ai`.
    prefix: &'static str,
    /// The place in [`LANGUAGE`] of the version whose clients use that prefix, where a request does not say.
    version: usize,
}

pub(super) static V1: AiSdk = AiSdk { prefix: "/v1/ai", version: 0 };
pub(super) static V3: AiSdk = AiSdk { prefix: "/v3/ai", version: 1 };
pub(super) static V4: AiSdk = AiSdk { prefix: "/v4/ai", version: 2 };

fn header<'h>(head: &'h Request<()>, name: &HeaderName) -> Option<&'h str> {
    head.headers().get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

/// Which of [`LANGUAGE`] it is, and whether a stream.
fn language(endpoint: &str) -> Option<(usize, bool)> {
    LANGUAGE.iter().enumerate().find_map(|(version, own)| {
        let at = own.iter().position(|own| *own == endpoint)?;
        Some((version, at == 1))
    })
}

impl ClientDialect for AiSdk {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        let rest = path.strip_prefix(self.prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let (endpoint, name) = match rest {
            "/config" if matches!(*head.method(), Method::GET | Method::HEAD) => {
                return Some(Ok(Operation::ListModels));
            }
            "/config" => return Some(Err(ApiError::method("GET, HEAD"))),
            "/language-model" => {
                let version = match header(head, &VERSION) {
                    Some("2") => 0,
                    Some("3") => 1,
                    Some("4") => 2,
                    _ => self.version,
                };
                let streams = header(head, &STREAMING) == Some("true");
                (LANGUAGE[version][usize::from(streams)], LANGUAGE_MODEL)
            }
            "/embedding-model" => (EMBEDDING, MODEL),
            "/reranking-model" => (RERANKING, MODEL),
            "/image-model" => (IMAGE, MODEL),
            _ => return Some(Err(form::not_served())),
        };
        if head.method() != Method::POST {
            return Some(Err(ApiError::method("POST")));
        }
        let model = header(head, &name).map(str::to_owned);
        Some(Ok(Operation::Generate(Call { endpoint, model })))
    }

    /// They are read here; no origin gets them, since none speaks this API.
    fn passed_headers(&self) -> &'static [HeaderName] {
        static HEADERS: [HeaderName; 4] = [LANGUAGE_MODEL, MODEL, STREAMING, VERSION];
        &HEADERS
    }

    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        match language(call.endpoint) {
            Some((_, streams)) => Ok(Box::new(request::Request::parse(call, streams, body)?)),
            None => Ok(Box::new(media::Request::parse(call, body)?)),
        }
    }

    fn exchange(
        &self,
        endpoint: &'static str,
        origin: &Origin,
        model: &str,
    ) -> Option<&'static dyn Exchange> {
        match language(endpoint) {
            Some((version, _)) => {
                Some(registry::through(Client::AiSdk(version), registry::api_of(origin, model)))
            }
            None => media::exchange(endpoint, origin, model),
        }
    }

    fn tells_attempts(&self) -> bool {
        true
    }

    fn error_body(&self, error: &ApiError, request_id: Option<&str>) -> String {
        form::error_body(error, request_id)
    }

    fn error_event(&self, error: &ApiError) -> String {
        // Nothing of the answer is out: all versions read what the latest one says.
        writer::error(error, self.version)
    }

    fn model_list(&self, models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
        form::config(models, self.version)
    }

    fn model_entry(&self, model: ModelInfo<'_>) -> String {
        form::config(&mut std::iter::once(model), self.version)
    }
}

/// How a version's clients are answered.
pub(super) struct Language(pub(super) usize);

impl ClientFormat for Language {
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8> {
        writer::answer(answer, context, self.0)
    }

    fn writer(&self, context: &AnswerContext, _include_usage: bool) -> Box<dyn EventWriter> {
        Box::new(writer::Writer::new(context, self.0))
    }
}
