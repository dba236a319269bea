//! Google's Gemini API, in and out (<https://ai.google.dev/api/generate-content>), and the same at Vertex AI.
//!
//! - As origins speak it: [`encode`] writes a request, its [`contents`] by what is known of the model's [`family`];
//!   [`reader`] reads what is answered, with its [`grounding`].
//! - As clients speak it: [`request`] is what routing needs, and what changes where the origin is Google's too; [`parse`]
//!   reads a whole request, its [`turns`] and [`schema`]s; [`writer`] writes answers of [`parts`], [`array`] says a stream
//!   as a JSON array.
//! - [`signature`]: thoughts' signatures, others' too. [`form`]: what the gateway itself says in this form.

mod array;
mod contents;
mod encode;
mod family;
mod form;
mod grounding;
mod parse;
mod parts;
mod reader;
mod request;
mod schema;
mod signature;
#[cfg(test)]
mod tests;
mod turns;
mod writer;

use super::answer::{AnswerFacts, OriginError};
use super::canonical::answer::Answer;
use super::canonical::delta::Delta;
use super::canonical::request::Request as Canonical;
use super::canonical::unsupported::Unsupported;
use super::counts::Counts;
use super::format::{ClientFormat, Destination, EventReader, EventWriter, OriginFormat};
use super::json::{pick, whole_number};
use super::passing::Passing;
use super::{
    AnswerContext, Call, ClientDialect, ClientRequest, Exchange, Gathered, ModelInfo, Operation, StreamCodec,
    StreamOptions, errors, registry, usage,
};
use crate::config::{Kind, Origin};
use crate::error::ApiError;
use crate::payload::Edit;
use crate::signing::sigv4::path_segment;
use http::{Method, Request};
use moegate_wire::Usage;
use std::borrow::Cow;

const GENERATE: &str = "generateContent";
const STREAM: &str = "streamGenerateContent?alt=sse";
/// The same without `alt=sse`: an array that grows.
const GROWING: &str = "streamGenerateContent";
const COUNT: &str = "countTokens";

/// The path behind an origin's URL.
fn path(origin: &Origin, model: &str, endpoint: &str) -> String {
    let method = if endpoint == GROWING { STREAM } else { endpoint };
    let model = model.strip_prefix("models/").unwrap_or(model);
    // Tuned models and others' have a place of their own.
    if model.contains('/') {
        return format!("/{model}:{method}");
    }
    let folder = if origin.kind == Kind::Vertex { "publishers/google/models" } else { "models" };
    format!("/{folder}/{}:{method}", path_segment(model))
}

/// As clients speak it.
pub(super) struct Gemini;

impl Gemini {
    /// What a path within the API asks for. `None`: there is no such thing.
    fn find(head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        const READS: &[Method] = &[Method::GET, Method::HEAD];
        let only = |wanted: &[Method], allow, operation| {
            if wanted.contains(head.method()) { Ok(operation) } else { Err(ApiError::method(allow)) }
        };
        if path == "/models" {
            return Some(only(READS, "GET, HEAD", Operation::ListModels));
        }
        let name = path.strip_prefix("/models/")?;
        let call = name.rsplit_once(':').and_then(|(model, method)| {
            let endpoint = match method {
                GENERATE => GENERATE,
                GROWING if is_sse(head.uri().query().unwrap_or("")) => STREAM,
                GROWING => GROWING,
                COUNT => COUNT,
                _ => return None,
            };
            Some(Call { endpoint, model: Some(model.to_owned()) })
        });
        match call {
            Some(call) => Some(only(&[Method::POST], "POST", Operation::Generate(call))),
            None if head.method() == Method::POST => None,
            None => Some(only(READS, "GET, HEAD", Operation::GetModel(name.to_owned()))),
        }
    }
}

/// Whether a query asks for server-sent events: `alt=sse`, which is one of Google's own parameters and may have a `$`.
fn is_sse(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}

impl ClientDialect for Gemini {
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>> {
        if let Some(path) = path.strip_prefix("/v1beta/") {
            let found = Self::find(head, &format!("/{path}"));
            return Some(found.unwrap_or_else(|| Err(ApiError::not_found())));
        }
        // Models are listed at the same path as OpenAI's: Python's client, which is at `/v1`, is known by its key's header.
        let is_googles = head.headers().contains_key("x-goog-api-key");
        match Self::find(head, path.strip_prefix("/v1")?)? {
            Ok(Operation::Generate(call)) => Some(Ok(Operation::Generate(call))),
            Err(error) if error.allow == Some("POST") => Some(Err(error)),
            found => is_googles.then_some(found),
        }
    }

    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        Ok(Box::new(request::Request::parse(call, body)?))
    }

    fn exchange(
        &self,
        endpoint: &'static str,
        origin: &Origin,
        model: &str,
    ) -> Option<&'static dyn Exchange> {
        use registry::{Api, Client};
        match (registry::api_of(origin, model), endpoint) {
            (Api::Gemini, COUNT) => Some(&CountTokens),
            (_, COUNT) => None,
            (api, GROWING) => Some(array::growing(api)),
            (Api::Gemini, _) => Some(&SAME),
            (api, _) => Some(registry::through(Client::Gemini, api)),
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

/// Google's clients towards Google's origins: bytes pass by.
static SAME: Passing = Passing {
    dialect: &Gemini,
    client: &GenerateContent,
    origin: &GenerateContent,
    edits: cost_edits,
    end_mark: "",
};

/// What puts the cost into an answer of Google's.
fn cost_edits(body: &str, counts: &Counts, context: &AnswerContext) -> Vec<Edit> {
    let object = pick(body, &["usageMetadata"]).and_then(|[object]| object);
    let reading = object.and_then(usage::read);
    let cost = counts.cost(&context.price);
    reading.map(|reading| usage::cost_edits(body.as_bytes(), &reading, cost)).unwrap_or_default()
}

/// `generateContent` on its way from and to other APIs.
pub(in crate::dialect) struct GenerateContent;

impl OriginFormat for GenerateContent {
    fn path(&self, to: &Destination<'_>, stream: bool) -> Cow<'static, str> {
        path(to.origin, &to.model.name, if stream { STREAM } else { GENERATE }).into()
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
        reader::blocked(status, body).or_else(|| errors::error_of(status, body))
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}

impl ClientFormat for GenerateContent {
    fn answer(&self, answer: &Answer, context: &AnswerContext) -> Vec<u8> {
        writer::answer(answer, context)
    }

    fn writer(&self, context: &AnswerContext, _include_usage: bool) -> Box<dyn EventWriter> {
        Box::new(writer::Writer::new(context))
    }
}

/// `countTokens`, which is answered by Google's own origins only: nothing is generated, and it costs nothing.
struct CountTokens;

impl Exchange for CountTokens {
    fn answer(&self, body: &[u8], _context: &AnswerContext) -> Option<AnswerFacts> {
        let [total] = pick(std::str::from_utf8(body).ok()?, &["totalTokens"])?;
        whole_number(total?)?;
        Some(AnswerFacts { counts: Some(Usage::default().into()), ..AnswerFacts::default() })
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        errors::error_of(status, body)
    }

    fn streamed(&self, _body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        None
    }

    fn gathered(&self, _stream: &[u8]) -> Gathered {
        Gathered::Malformed
    }

    /// Nobody asks for one.
    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        registry::through(registry::Client::Gemini, registry::Api::Gemini).stream(options)
    }
}
