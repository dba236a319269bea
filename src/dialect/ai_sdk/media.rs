//! `/embedding-model`, `/reranking-model` and `/image-model`, said to OpenAI-compatible origins as `/embeddings`, `/rerank` and
//! `/images/generations`.

use super::request::model;
use super::{EMBEDDING, MODEL, RERANKING, parts, warnings};
use crate::config::Origin;
use crate::dialect::answer::{AnswerFacts, OriginError};
use crate::dialect::canonical::fields::{Fields, client_list, missing, wrong};
use crate::dialect::json::{list, pick, string};
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::openai::{self, endpoints};
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, StreamForm, Wishes,
};
use crate::dialect::{
    AnswerContext, Call, ClientRequest, Exchange, Gathered, StreamCodec, StreamOptions, errors, registry,
};
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) fn exchange(
    endpoint: &'static str,
    origin: &Origin,
    model: &str,
) -> Option<&'static dyn Exchange> {
    let own: &'static Answer = match endpoint {
        EMBEDDING => &Answer::Embeddings,
        RERANKING => &Answer::Ranking,
        _ => &Answer::Images,
    };
    endpoints::is_served_by(origin, model).then_some(own)
}

pub(super) struct Request<'a> {
    facts: RequestFacts,
    wishes: Wishes,
    body: Body<'a>,
}

enum Body<'a> {
    /// A text or an array of texts, and how many numbers each is to have.
    Embeddings(&'a RawValue, Option<u64>),
    /// Documents, the query, and how many of them are wanted.
    Ranking(Vec<&'a RawValue>, Cow<'a, str>, Option<u64>),
    Image {
        prompt: Cow<'a, str>,
        number: u64,
        size: Option<Cow<'a, str>>,
        dropped: Vec<String>,
    },
}

impl<'a> Request<'a> {
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(call: &Call, body: &'a [u8]) -> Result<Self, ApiError> {
        let model = model(call, &MODEL)?;
        let text = std::str::from_utf8(body).map_err(|_| wrong("", "must be UTF-8"))?;
        let mut fields = Fields::of_text(text, "")?;
        let options = fields.take("providerOptions");
        let (wishes, user) = options.map(super::options::wishes).transpose()?.unwrap_or_default();
        let mut size = RequestSize { body_bytes: body.len(), choices: 1, ..RequestSize::default() };
        let body = if call.endpoint == EMBEDDING {
            size.max_tokens = Some(0);
            // ai 5 has another name.
            let values = fields.take("values").or_else(|| fields.take("input"));
            let values = values.ok_or_else(|| missing("values"))?;
            if !values.get().starts_with('"') {
                let must = "must be an array of strings";
                let all = client_list(values, "values", must)?;
                all.into_iter()
                    .map(string)
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| wrong("values", must))?;
            }
            Body::Embeddings(values, fields.count("dimensions")?)
        } else if call.endpoint == RERANKING {
            size.max_tokens = Some(0);
            let query = fields.text("query")?.ok_or_else(|| missing("query"))?;
            let documents = fields.take("documents").ok_or_else(|| missing("documents"))?;
            Body::Ranking(texts_of(documents)?, query, fields.count("topN")?)
        } else {
            let number = fields.count("n")?.unwrap_or(1);
            size.images = number;
            let prompt = fields.text("prompt")?.unwrap_or_default();
            let size = fields.text("size")?;
            fields.skip(&["headers"]);
            let mut dropped = Vec::new();
            fields.rest(&mut dropped);
            Body::Image { prompt, number, size, dropped }
        };
        let facts = RequestFacts {
            model,
            stream: false,
            include_usage: true,
            size,
            user,
            conversation: 0..0,
            stream_form: StreamForm::Events,
        };
        Ok(Self { facts, wishes, body })
    }
}

impl ClientRequest for Request<'_> {
    fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    fn wishes(&self) -> Option<&Wishes> {
        Some(&self.wishes)
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        let name = &changes.model.name;
        if !endpoints::is_served_by(changes.origin, name) {
            return Err(CannotEncode::Dialect);
        }
        let mut json = JsonWriter::default();
        let mut dropped = self.wishes.ignored.clone();
        let mut path = "/embeddings";
        json.object(|json| {
            json.member("model", name);
            match &self.body {
                Body::Embeddings(values, dimensions) => {
                    json.key("input").raw(values.get());
                    json.member("encoding_format", "float");
                    if let Some(dimensions) = dimensions {
                        json.key("dimensions").number(*dimensions);
                    }
                }
                Body::Ranking(documents, query, top) => {
                    path = endpoints::RERANK;
                    json.member("query", query);
                    json.key("documents").array(|json| {
                        for document in documents.iter().map(|document| document.get()) {
                            if document.starts_with('"') { json.raw(document) } else { json.string(document) }
                        }
                    });
                    if let Some(top) = top {
                        json.key("top_n").number(*top);
                    }
                }
                Body::Image { prompt, number, size, dropped: others } => {
                    path = "/images/generations";
                    dropped.extend_from_slice(others);
                    json.member("prompt", prompt);
                    json.key("n").number(*number);
                    if let Some(size) = size {
                        json.member("size", size);
                    }
                    // Those models always answer in base64, and refuse to be told so.
                    if !name.contains("gpt-image") {
                        json.member("response_format", "b64_json");
                    }
                }
            }
            if let Some(user) = &self.facts.user {
                json.member("user", user);
            }
        });
        // An image that is to be edited makes another request of it.
        let needed = dropped.iter().filter(|name| matches!(name.as_str(), "files" | "mask"));
        let needed: Vec<_> = needed.cloned().collect();
        if !needed.is_empty() && !changes.drop_unsupported {
            return Err(CannotEncode::Unsupported(needed));
        }
        let path = openai::path(path, changes.origin, name);
        Ok(Encoded { path, body: EncodedBody::Own(json.into_bytes()), dropped })
    }
}

/// `{"type":"text","values":[…]}` with strings, or `"object"` with objects. Origins take texts: an object's is its JSON.
fn texts_of(documents: &RawValue) -> Result<Vec<&RawValue>, ApiError> {
    let must = "must be {\"type\":\"text\",\"values\":[…]} with strings, or \"object\" with objects";
    let members = pick(documents.get(), &["type", "values"]);
    let [kind, Some(values)] = members.ok_or_else(|| wrong("documents", must))? else {
        return Err(wrong("documents", must));
    };
    let first = match kind.and_then(string).as_deref() {
        Some("text") => '"',
        Some("object") => '{',
        _ => return Err(wrong("documents", must)),
    };
    let all = client_list(values, "documents.values", must)?;
    match all.iter().all(|one| one.get().starts_with(first)) {
        true => Ok(all),
        false => Err(wrong("documents.values", must)),
    }
}

/// An OpenAI-compatible origin's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Embeddings,
    Ranking,
    Images,
}

impl Answer {
    fn own(&self, body: &str, facts: &AnswerFacts, context: &AnswerContext) -> Option<Vec<u8>> {
        let (all, own) = match self {
            Self::Embeddings => ("data", "embeddings"),
            Self::Ranking => ("results", "ranking"),
            Self::Images => ("data", "images"),
        };
        let [all] = pick(body, &[all])?;
        let all = list(all?)?;
        let mut json = JsonWriter::with_capacity(body.len());
        let mut is_whole = true;
        json.object(|json| {
            json.key(own).array(|json| {
                is_whole = all.iter().all(|one| self.element(json, one.get()).is_some());
            });
            // The SDK reads no counts of a ranking.
            if let Some(counts) = facts.counts.as_ref().filter(|_| *self != Self::Ranking) {
                let (input, output) = (counts.usage.prompt, counts.usage.completion);
                json.key("usage").object(|json| {
                    if *self == Self::Embeddings {
                        return json.key("tokens").number(input);
                    }
                    json.key("inputTokens").number(input);
                    json.key("outputTokens").number(output);
                    json.key("totalTokens").number(input.saturating_add(output));
                });
            }
            warnings::write(json, context, 2);
            json.key("providerMetadata").object(|json| {
                parts::gateway(json, facts.counts.as_ref(), context, context.note.as_deref());
            });
        });
        is_whole.then(|| json.into_bytes())
    }

    /// One embedding, place or image; `None` where it is none.
    fn element(self, json: &mut JsonWriter, one: &str) -> Option<()> {
        match self {
            Self::Embeddings => json.raw(pick(one, &["embedding"])?[0]?.get()),
            Self::Images => json.raw(pick(one, &["b64_json"])?[0]?.get()),
            Self::Ranking => {
                let [Some(index), Some(score)] = pick(one, &["index", "relevance_score"])? else {
                    return None;
                };
                json.object(|json| {
                    json.key("index").raw(index.get());
                    json.key("relevanceScore").raw(score.get());
                });
            }
        }
        Some(())
    }
}

impl Exchange for Answer {
    fn answer(&self, body: &[u8], context: &AnswerContext) -> Option<AnswerFacts> {
        let facts = endpoints::read(body, &context.price, *self == Self::Images)?;
        let own = self.own(std::str::from_utf8(body).ok()?, &facts, context)?;
        Some(AnswerFacts { counts: facts.counts, own: Some(own), ..AnswerFacts::default() })
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        Some(OriginError { readable: false, ..errors::error_of(status, body)? })
    }

    fn passes(&self) -> bool {
        false
    }

    fn streamed(&self, _body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        None
    }

    fn gathered(&self, _stream: &[u8]) -> Gathered {
        Gathered::Malformed
    }

    /// Nobody asks for one.
    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        registry::through(registry::Client::AiSdk(2), registry::Api::Chat).stream(options)
    }
}
