//! A dialect as clients speak it.

use super::Exchange;
use super::request::{CannotEncode, Changes, Encoded, RequestFacts, Wishes};
use crate::config::Origin;
use crate::error::ApiError;
use http::{HeaderName, Request};
use moegate_wire::Rates;

/// What a method and path ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// What an origin is asked for.
    Generate(Call),
    ListModels,
    GetModel(String),
}

/// A request to an endpoint that an origin answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The dialect's own name of the endpoint.
    pub endpoint: &'static str,
    /// The model, where the path names it.
    pub model: Option<String>,
}

impl From<&'static str> for Call {
    fn from(endpoint: &'static str) -> Self {
        Self { endpoint, model: None }
    }
}

/// An operation and the dialect it is in.
pub struct Endpoint {
    pub dialect: &'static dyn ClientDialect,
    pub operation: Operation,
}

/// One entry of a model list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelInfo<'a> {
    pub name: &'a str,
    /// Unix seconds since which it is served.
    pub created_s: u64,
    /// Of the origin that its route names first.
    pub facts: Option<ModelFacts<'a>>,
}

/// What the configuration knows of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts<'a> {
    /// At the origin.
    pub name: &'a str,
    /// What holds now; 0 where nothing is said.
    pub rates: Rates,
    pub context_tokens: Option<u32>,
    pub max_output_tokens: Option<u32>,
}

impl ModelFacts<'_> {
    /// `language`, `embedding` or `image`: by its price and its name, since the configuration does not say.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.rates.image {
            0 if self.name.contains("embed") => "embedding",
            0 if self.name.contains("rerank") => "reranking",
            0 => "language",
            _ => "image",
        }
    }
}

/// See the module.
pub trait ClientDialect: Sync {
    /// The operation behind a path; `None` where the path is not of this dialect.
    ///
    /// # Errors
    /// 405 where the path is, but the method is not.
    fn operation(&self, head: &Request<()>, path: &str) -> Option<Result<Operation, ApiError>>;

    /// Headers of a request that origins of the same API get too.
    fn passed_headers(&self) -> &'static [HeaderName] {
        &[]
    }

    /// The header that its SDKs read a request's id from, beside the gateway's own.
    fn id_header(&self) -> Option<HeaderName> {
        None
    }

    /// A request for a generation.
    ///
    /// # Errors
    /// 400 that names the field and what it must be.
    fn parse<'a>(&self, call: &Call, body: &'a [u8]) -> Result<Box<dyn ClientRequest + 'a>, ApiError>;

    /// The same of a body of any media type; most dialects have JSON alone. `content_type`: the header's value.
    ///
    /// # Errors
    /// As [`ClientDialect::parse`].
    fn parse_as<'a>(
        &self,
        call: &Call,
        _content_type: &str,
        body: &'a [u8],
    ) -> Result<Box<dyn ClientRequest + 'a>, ApiError> {
        self.parse(call, body)
    }

    /// How answers of that origin's model are read and passed on to clients of this dialect; `None` where they cannot be.
    fn exchange(&self, endpoint: &'static str, origin: &Origin, model: &str)
    -> Option<&'static dyn Exchange>;

    /// Whether its answers say who was asked: [`super::AnswerContext::note`], and a stream's note whatever happened.
    fn tells_attempts(&self) -> bool {
        false
    }

    /// An error as the body of a reply: `application/json`. `request_id`: of a request that has records.
    fn error_body(&self, error: &ApiError, request_id: Option<&str>) -> String;

    /// An error as an event of a stream that is under way.
    fn error_event(&self, error: &ApiError) -> String;

    fn model_list(&self, models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String;

    fn model_entry(&self, model: ModelInfo<'_>) -> String;
}

/// A parsed request for a generation.
pub trait ClientRequest {
    fn facts(&self) -> &RequestFacts;

    /// The request as an origin shall get it.
    ///
    /// # Errors
    /// What cannot be said to that origin.
    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode>;

    /// Where the client wants it to go.
    fn wishes(&self) -> Option<&Wishes> {
        None
    }

    /// What an answer repeats of the request: [`super::AnswerContext::echo`].
    fn echo(&self) -> Option<String> {
        None
    }
}
