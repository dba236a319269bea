//! A request for a message, or for the count of its tokens, read only as far as routing and metering need; and the edits for
//! an origin of the same API.

use super::encode::VERTEX_VERSION;
use super::models::Abilities;
use super::{COUNT, SIGNERS, vertex_path};
use crate::config::{Kind, Prefill};
use crate::dialect::canonical::request::Role;
use crate::dialect::json::{list, pick, string, whole_number};
use crate::dialect::members::{Members, wrong};
use crate::dialect::openai::form::to_json;
use crate::dialect::partial::Partial;
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, Resume, StreamForm, user_of,
};
use crate::dialect::{ClientRequest, media, registry, through};
use crate::error::ApiError;
use crate::payload::Edit;
use memchr::memmem;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The members that the gateway reads. Origins that look names up less exactly would read others as these, so those are
/// refused.
const KNOWN: [&str; 5] = ["model", "stream", "messages", "max_tokens", "thinking"];
// Places in `KNOWN`.
const MODEL: usize = 0;
const STREAM: usize = 1;
const MESSAGES: usize = 2;
const MAX_TOKENS: usize = 3;
const THINKING: usize = 4;

#[derive(Debug)]
pub(super) struct Request<'a> {
    body: &'a [u8],
    endpoint: &'static str,
    facts: RequestFacts,
    members: Members<'a>,
}

impl<'a> Request<'a> {
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(endpoint: &'static str, body: &'a [u8]) -> Result<Self, ApiError> {
        let members = Members::read(body, &KNOWN)?;
        let stream = match members.get(STREAM).map(RawValue::get) {
            None | Some("null" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("stream", "must be true or false")),
        };
        let facts = RequestFacts {
            model: members.model(MODEL)?,
            stream: stream && endpoint != COUNT,
            // Every answer has them.
            include_usage: true,
            size: RequestSize {
                body_bytes: body.len(),
                max_tokens: match endpoint {
                    COUNT => Some(0),
                    _ => members.get(MAX_TOKENS).and_then(whole_number),
                },
                choices: 1,
                media: media::count(body, &["\"image\"", "\"document\""], false),
                images: 0,
            },
            user: members
                .other("metadata")
                .and_then(|raw| pick(raw.get(), &["user_id"]))
                .and_then(|[user]| user_of(user)),
            conversation: members.span(members.get(MESSAGES)),
            stream_form: StreamForm::Events,
        };
        Ok(Self { body, endpoint, facts, members })
    }

    /// In another API's words.
    fn encode_through(&self, changes: &Changes<'_>, api: registry::Api) -> Result<Encoded, CannotEncode> {
        if self.endpoint == COUNT {
            return Err(CannotEncode::Dialect);
        }
        let text = self.members.allowed(changes)?;
        let mut request = super::parse::parse(&text).map_err(CannotEncode::Invalid)?;
        request.stream = self.facts.stream;
        // An assistant's message at the end is the beginning of the answer.
        let last = request.messages.len().saturating_sub(1);
        if request.messages.last().is_some_and(|message| message.role == Role::Assistant) {
            match changes.origin.prefill() {
                Prefill::None => request.others.push(format!("messages[{last}] (the answer's beginning)")),
                prefill => request.resume = Some(prefill),
            }
        }
        through::encode(request, changes, registry::origin_format(api))
    }

    fn resume(
        &self,
        partial: &Partial,
        prefill: Prefill,
        changes: &Changes<'_>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotEncode> {
        let has_format = self
            .members
            .other("output_config")
            .and_then(|raw| pick(raw.get(), &["format"]))
            .is_some_and(|[format]| format.is_some());
        let can = prefill != Prefill::None && !has_format && Abilities::of(&changes.model.name).prefill;
        let messages = self.members.get(MESSAGES).filter(|_| can).ok_or(CannotEncode::Resume)?;
        // Anthropic refuses white space at the end of it.
        let text = to_json(&partial.text.trim_end());
        let message = format!(r#"{{"role":"assistant","content":{text}}}"#);
        edits.push(self.members.appended(messages, &message).ok_or(CannotEncode::Resume)?);
        // What was thought is not there any more, and Anthropic takes no prefill with thinking.
        if let Some(thinking) = self.members.get(THINKING) {
            edits.extend(self.members.removed(thinking));
        }
        // What the first origin wrote counts too; an event is about a token.
        if let Some(raw) = self.members.get(MAX_TOKENS)
            && let Some(most) = whole_number(raw)
        {
            let left = most.saturating_sub(partial.events).max(1);
            edits.push(self.members.replaced(raw, left.to_string()));
        }
        Ok(())
    }

    /// Takes out the thoughts that Anthropic has not signed: those of another origin's answers, which clients send back.
    fn foreign_thoughts(&self, edits: &mut Vec<Edit>) {
        if memmem::find(self.body, b"thinking\"").is_none() {
            return;
        }
        let messages = self.members.get(MESSAGES).and_then(list).unwrap_or_default();
        let mut gone = Vec::new();
        for message in &messages {
            let Some([content]) = pick(message.get(), &["content"]) else { continue };
            let blocks = content.and_then(list).unwrap_or_default();
            let foreign: Vec<_> = blocks.iter().copied().filter(|block| is_foreign_thought(block)).collect();
            if foreign.is_empty() {
            } else if foreign.len() == blocks.len() {
                gone.push(*message);
            } else {
                self.members.without(&blocks, &foreign, edits);
            }
        }
        self.members.without(&messages, &gone, edits);
    }
}

/// Whether a block is a thought that is signed by nobody or by another provider.
fn is_foreign_thought(block: &RawValue) -> bool {
    let Some([kind, signature, data]) = pick(block.get(), &["type", "signature", "data"]) else {
        return false;
    };
    let signature = match kind.and_then(string).as_deref() {
        Some("thinking") => signature.and_then(string).unwrap_or_default(),
        Some("redacted_thinking") => data.and_then(string).unwrap_or_default(),
        _ => return false,
    };
    let is_of = |signer: crate::dialect::canonical::Signer| {
        signature.strip_prefix(signer.name()).is_some_and(|rest| rest.starts_with(':'))
    };
    signature.is_empty() || SIGNERS.into_iter().any(is_of)
}

impl ClientRequest for Request<'_> {
    fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        match registry::api_of(changes.origin, &changes.model.name) {
            registry::Api::Anthropic => {}
            api => return self.encode_through(changes, api),
        }
        let mut edits = Vec::new();
        self.members.denied(changes, &mut edits)?;
        let is_vertex = changes.origin.kind == Kind::Vertex;
        let model = self.members.get(MODEL);
        if is_vertex && self.endpoint != COUNT {
            // There it stands in the path.
            edits.extend(model.and_then(|model| self.members.removed(model)));
        } else if self.facts.model != changes.model.name {
            edits.extend(model.map(|model| self.members.replaced(model, to_json(&changes.model.name))));
        }
        if is_vertex && self.members.other("anthropic_version").is_none() {
            edits.push(self.members.added(&format!(r#""anthropic_version":"{VERTEX_VERSION}""#)));
        }
        self.foreign_thoughts(&mut edits);
        match changes.resume {
            None => {}
            // Nothing but thoughts so far, if anything: the answer begins anew.
            Some(Resume::Text(partial, _) | Resume::Tokens(partial)) if partial.text.is_empty() => {}
            Some(Resume::Text(partial, prefill)) => self.resume(partial, prefill, changes, &mut edits)?,
            Some(Resume::Tokens(_)) => return Err(CannotEncode::Resume),
        }
        let path = if is_vertex {
            vertex_path(self.endpoint, &changes.model.name, self.facts.stream).into()
        } else {
            Cow::Borrowed(self.endpoint)
        };
        let body = EncodedBody::Edited(self.members.merged(edits));
        Ok(Encoded { path, body, dropped: Vec::new() })
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
