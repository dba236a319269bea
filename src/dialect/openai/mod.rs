//! OpenAI's API: chat completions and completions, in and out.
//!
//! - [`request`]: what a body says and what has to change; [`resume`]: going on with a partial answer.
//! - [`answer`], [`codec`] of [`chunk`]s, [`partial`]: what comes back, whole and as a stream.
//!   [`gather`], [`split`]: a stream for one answer, and the other way round, where an origin sends what was not asked for.
//! - [`form`]: what the gateway itself says in this form.

mod answer;
mod chunk;
mod codec;
mod form;
mod gather;
mod partial;
mod prefilter;
mod request;
mod resume;
mod split;

use super::answer::{AnswerFacts, OriginError};
use super::{
    ClientDialect, ClientRequest, Exchange, Gathered, ModelInfo, Operation, StreamCodec, StreamOptions,
    errors,
};
use crate::config::Kind;
use crate::error::ApiError;
use form::to_json;
use http::{HeaderMap, HeaderName, Method, header};
use moegate_wire::Price;

const CHAT: &str = "/chat/completions";
const COMPLETIONS: &str = "/completions";

/// As clients speak it.
pub(super) struct OpenAi;

static CREDENTIAL_HEADERS: [HeaderName; 1] = [header::AUTHORIZATION];

impl ClientDialect for OpenAi {
    fn operation(&self, method: &Method, path: &str) -> Option<Result<Operation, ApiError>> {
        let path = path.strip_prefix("/v1")?;
        let only = |wanted: &[Method], allow, operation| {
            if wanted.contains(method) { Ok(operation) } else { Err(ApiError::method(allow)) }
        };
        const READS: &[Method] = &[Method::GET, Method::HEAD];
        match path {
            CHAT => Some(only(&[Method::POST], "POST", Operation::Generate(CHAT))),
            COMPLETIONS => Some(only(&[Method::POST], "POST", Operation::Generate(COMPLETIONS))),
            "/models" => Some(only(READS, "GET, HEAD", Operation::ListModels)),
            _ => {
                let name = path.strip_prefix("/models/")?;
                Some(only(READS, "GET, HEAD", Operation::GetModel(name.to_owned())))
            }
        }
    }

    fn credential_headers(&self) -> &'static [HeaderName] {
        &CREDENTIAL_HEADERS
    }

    fn credential<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, ApiError> {
        let header = headers.get(header::AUTHORIZATION).map_or(&b""[..], http::HeaderValue::as_bytes);
        if header.is_empty() {
            return Err(ApiError::unauthorized(
                "no key was sent: send the header `Authorization: Bearer <your key>`",
            ));
        }
        let token = std::str::from_utf8(header).ok().and_then(|header| match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
            _ => None,
        });
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| ApiError::unauthorized("the Authorization header must read `Bearer <your key>`"))
    }

    fn parse<'a>(
        &self,
        endpoint: &'static str,
        body: &'a [u8],
    ) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        Ok(Box::new(request::Request::parse(endpoint, body)?))
    }

    fn exchange(&self, kind: Kind) -> Option<&'static dyn Exchange> {
        kind.is_openai_compatible().then_some(&Same)
    }

    fn error_body(&self, error: &ApiError) -> String {
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
struct Same;

impl Exchange for Same {
    fn answer(&self, body: &[u8], price: &Price) -> Option<AnswerFacts> {
        answer::read(body, price)
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        errors::error_of(status, body)
    }

    fn told(&self, error: OriginError, status: u16) -> ApiError {
        form::origin_error(error, status)
    }

    fn refuses_usage(&self, status: u16, body: &[u8]) -> bool {
        errors::refuses_stream_options(status, body)
    }

    fn streamed(&self, body: &[u8]) -> Option<Vec<u8>> {
        split::stream_of(body)
    }

    fn gathered(&self, stream: &[u8]) -> Gathered {
        gather::answer_of(stream)
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        Box::new(codec::Codec::new(options))
    }
}
