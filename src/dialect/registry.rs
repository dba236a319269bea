//! Which dialects there are. A further one is an entry here and a folder beside this file.

use super::anthropic::Anthropic;
use super::format::{ClientFormat, OriginFormat};
use super::openai::{self, OpenAi};
use super::through::Through;
use super::{ClientDialect, Endpoint, Exchange, ai_sdk, anthropic, bedrock, gemini};
use crate::config::{Kind, Origin};
use crate::error::ApiError;
use http::{HeaderName, HeaderValue, Request};

/// The first one that has a path serves it: whoever tells by a header that it is theirs, and OpenAI's, which takes every name
/// at `/v1/models/`, last.
static CLIENT_DIALECTS: [&dyn ClientDialect; 8] = [
    &ai_sdk::V4,
    &ai_sdk::V3,
    &ai_sdk::V1,
    &Anthropic,
    &gemini::Gemini,
    &openai::responses::Responses,
    &openai::endpoints::Endpoints,
    &OpenAi,
];

/// The dialect in which errors are said where the path names none.
#[must_use]
pub fn default_dialect() -> &'static dyn ClientDialect {
    &OpenAi
}

/// The dialect in which an error is said at a path that no dialect has: the one that the client seems to speak.
#[must_use]
pub fn dialect_of(head: &Request<()>, path: &str) -> &'static dyn ClientDialect {
    let has = |name: &str| head.headers().contains_key(name);
    if has("anthropic-version") || path.starts_with("/v1/messages") {
        &Anthropic
    } else if has("x-goog-api-key") || path.starts_with("/v1beta") {
        &gemini::Gemini
    } else {
        default_dialect()
    }
}

/// The dialect whose clients read their own account.
#[must_use]
pub fn account_dialect() -> &'static dyn ClientDialect {
    &ai_sdk::V4
}

/// The operation behind a request; `path` is its path, normalised. `None` where no dialect has such a path.
///
/// # Errors
/// 405, and the dialect to say it in.
pub fn endpoint(
    head: &Request<()>,
    path: &str,
) -> Option<Result<Endpoint, (&'static dyn ClientDialect, ApiError)>> {
    CLIENT_DIALECTS.into_iter().find_map(|dialect| {
        let found = dialect.operation(head, path)?;
        Some(found.map(|operation| Endpoint { dialect, operation }).map_err(|error| (dialect, error)))
    })
}

/// The headers of clients that some origins get too.
pub fn passed_headers() -> impl Iterator<Item = &'static HeaderName> {
    CLIENT_DIALECTS.into_iter().flat_map(|dialect| dialect.passed_headers())
}

/// The headers that every request to an origin of that kind has.
#[must_use]
pub fn origin_headers(kind: Kind) -> &'static [(HeaderName, HeaderValue)] {
    static ANTHROPIC: [(HeaderName, HeaderValue); 1] =
        [(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"))];
    if kind == Kind::Anthropic { &ANTHROPIC } else { &[] }
}

/// An API as origins speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Bedrock's Converse.
    Bedrock,
}

/// An API as clients speak it, where answers of another one are said in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    /// The AI SDK's gateway protocol, by the place of its version.
    AiSdk(usize),
}

/// What an origin speaks where that model is asked for.
pub(super) fn api_of(origin: &Origin, model: &str) -> Api {
    match origin.kind {
        Kind::Anthropic => Api::Anthropic,
        Kind::Vertex if model.starts_with("claude") => Api::Anthropic,
        Kind::Gemini | Kind::Vertex => Api::Gemini,
        Kind::Bedrock => Api::Bedrock,
        _ => Api::Chat,
    }
}

/// How it is spoken to.
pub(super) fn origin_format(api: Api) -> &'static dyn OriginFormat {
    match api {
        Api::Chat => &openai::Chat,
        Api::Anthropic => &anthropic::Messages,
        Api::Gemini => &gemini::GenerateContent,
        Api::Bedrock => &bedrock::Converse,
    }
}

/// The ways from one client's API to every origin's, in the order of [`Api`].
const fn ways(client: &'static dyn ClientFormat) -> [Through; 4] {
    [
        Through { client, origin: &openai::Chat },
        Through { client, origin: &anthropic::Messages },
        Through { client, origin: &gemini::GenerateContent },
        Through { client, origin: &bedrock::Converse },
    ]
}

static THROUGH: [[Through; 4]; 7] = [
    ways(&openai::Chat),
    ways(&openai::responses::Responses),
    ways(&anthropic::Messages),
    ways(&gemini::GenerateContent),
    ways(&ai_sdk::Language(0)),
    ways(&ai_sdk::Language(1)),
    ways(&ai_sdk::Language(2)),
];

/// The way between two APIs.
pub(super) fn through(client: Client, api: Api) -> &'static dyn Exchange {
    let client = match client {
        Client::Chat => 0,
        Client::Responses => 1,
        Client::Anthropic => 2,
        Client::Gemini => 3,
        Client::AiSdk(version) => 4 + version.min(2),
    };
    &THROUGH[client][api as usize]
}

/// OpenAI's clients towards OpenAI-compatible origins.
#[cfg(test)]
#[must_use]
pub fn chat_exchange() -> &'static dyn Exchange {
    &openai::Same
}
