//! A request for a generation, as far as the gateway must know it.

use super::counts::Counts;
use super::json::string;
use super::partial::Partial;
use crate::config::{Model, Origin, Prefill};
use crate::error::ApiError;
use crate::payload::Edit;
use moegate_wire::Usage;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// What routing, limits and metering look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// As the client named it.
    pub model: String,
    pub stream: bool,
    /// Whether the client asked for the counts in a stream.
    pub include_usage: bool,
    pub size: RequestSize,
    /// The client's own end user, as it names them: at most [`LONGEST_USER`] characters of it.
    pub user: Option<String>,
    /// Where in the body the conversation stands: what replicas are chosen by.
    pub conversation: Range<usize>,
    /// How a stream is written.
    pub stream_form: StreamForm,
}

/// Where a client wants its request to go, of what its route allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Origins that come first, in this order.
    pub order: Vec<String>,
    /// No other origins.
    pub only: Option<Vec<String>>,
    /// Models whose routes follow.
    pub models: Vec<String>,
    /// The cheapest first, behind those of `order`.
    pub cheapest: bool,
    /// What records say that it belongs to.
    pub tag: Option<String>,
    /// Milliseconds for the first content, by origin.
    pub timeouts_ms: Vec<(String, u64)>,
    /// Members of the request that are not heeded, by their paths.
    pub ignored: Vec<String>,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamForm {
    /// `text/event-stream`.
    #[default]
    Events,
    /// `application/json`: an array that grows (Gemini without `alt=sse`).
    JsonArray,
}

/// So many characters of an end user's name are kept.
pub const LONGEST_USER: usize = 128;

/// The end user that a member of a request names.
pub(super) fn user_of(member: Option<&RawValue>) -> Option<String> {
    let name: String = string(member?)?.chars().take(LONGEST_USER).collect();
    (!name.is_empty()).then_some(name)
}

/// How large a request is, roughly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestSize {
    pub body_bytes: usize,
    /// The most completion tokens that the client wants, for each choice.
    pub max_tokens: Option<u64>,
    /// How many answers it wants (OpenAI's `n`).
    pub choices: u64,
    /// Images, sounds and files in it, inline or by URL, which come to other numbers of tokens than their bytes. They are
    /// told by their names, as clients write them: one that is written with JSON's escapes is not seen.
    pub media: u64,
    /// How many images it wants, where images are all that is generated.
    pub images: u64,
}

/// Bytes of text for a token, roughly: enough to compare prompts with thresholds and prices with each other.
const BYTES_PER_TOKEN: u64 = 4;
/// Completion tokens that an estimate assumes where the request sets no limit.
const USUAL_COMPLETION: u64 = 500;

impl RequestSize {
    /// An estimate.
    #[must_use]
    pub fn prompt_tokens(self) -> u64 {
        self.body_bytes as u64 / BYTES_PER_TOKEN
    }

    /// Counts for an answer of so many events that said none: an event is about a token.
    #[must_use]
    pub fn counts(self, events: u64) -> Counts {
        let usage = Usage { prompt: self.prompt_tokens(), completion: events, ..Usage::default() };
        Counts { inferred: true, ..usage.into() }
    }

    /// An estimate, over all choices.
    #[must_use]
    pub fn completion_tokens(self) -> u64 {
        self.max_tokens.unwrap_or(USUAL_COMPLETION).saturating_mul(self.choices.max(1))
    }
}

/// What must be different for an origin.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    pub origin: &'a Origin,
    /// The model there.
    pub model: &'a Model,
    /// The counts are wanted in a stream, whether the client asked for them or not.
    pub ask_usage: bool,
    /// What cannot be said to it is left out.
    pub drop_unsupported: bool,
    /// It is to go on with this answer.
    pub resume: Option<Resume<'a>>,
}

/// How an origin is told to go on with an answer.
#[derive(Debug, Clone, Copy)]
pub enum Resume<'a> {
    /// By the partial answer's text.
    Text(&'a Partial, Prefill),
    /// By our own server's token ids.
    Tokens(&'a Partial),
}

impl Resume<'_> {
    /// Whether there is something to go on with.
    #[must_use]
    pub fn has_text(&self) -> bool {
        let (Self::Text(partial, _) | Self::Tokens(partial)) = self;
        !partial.text.is_empty()
    }
}

/// The request in an origin's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Behind the origin's base URL.
    pub path: Cow<'static, str>,
    pub body: EncodedBody,
    /// The members that were left out, since that origin's API has no words for them.
    pub dropped: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedBody {
    /// The client's bytes with these changes, sorted; often none.
    Edited(Vec<Edit>),
    /// The same of a form, which keeps the content type that the client gave it.
    Form(Vec<Edit>),
    /// Another body.
    Own(Vec<u8>),
}

/// The origin cannot be told this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotEncode {
    /// It cannot go on with such an answer.
    Resume,
    /// Its configuration refuses this member of the body.
    Field(String),
    /// Its API has no words for these members of the request.
    Unsupported(Vec<String>),
    /// It could not be signed for it.
    Unsigned(ApiError),
    /// The request is not what its own API says.
    Invalid(ApiError),
    /// It speaks an API that this kind of request cannot be said in.
    Dialect,
}
