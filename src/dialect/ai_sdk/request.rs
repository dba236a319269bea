//! A request to `/language-model`, read only as far as routing and metering need.

use super::{LANGUAGE_MODEL, options, parse, warnings};
use crate::dialect::canonical::fields::missing;
use crate::dialect::format::Destination;
use crate::dialect::json::whole_number;
use crate::dialect::members::Members;
use crate::dialect::request::{
    CannotEncode, Changes, Encoded, EncodedBody, RequestFacts, RequestSize, StreamForm, Wishes,
};
use crate::dialect::{Call, ClientRequest, media, registry, through};
use crate::error::ApiError;
use http::HeaderName;
use std::borrow::Cow;

/// The members that the gateway looks at.
const KNOWN: [&str; 3] = ["prompt", "maxOutputTokens", "providerOptions"];
// Places in `KNOWN`.
const PROMPT: usize = 0;
const MAX_OUTPUT_TOKENS: usize = 1;
const PROVIDER_OPTIONS: usize = 2;

/// The types of parts that are no text.
const MEDIA: [&str; 4] = ["\"file\"", "\"media\"", "\"file-data\"", "\"image-data\""];

/// The model that a header names.
///
/// # Errors
/// 400: there is no such header.
pub(super) fn model(call: &Call, header: &HeaderName) -> Result<String, ApiError> {
    call.model.clone().ok_or_else(|| {
        let message =
            format!("the header `{header}` is missing: it names the model; GET …/config lists them");
        ApiError::invalid("missing_header", None, message)
    })
}

pub(super) struct Request<'a> {
    facts: RequestFacts,
    wishes: Wishes,
    members: Members<'a>,
}

impl<'a> Request<'a> {
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(call: &Call, stream: bool, body: &'a [u8]) -> Result<Self, ApiError> {
        let model = model(call, &LANGUAGE_MODEL)?;
        let members = Members::read(body, &KNOWN)?;
        let prompt = members.get(PROMPT).ok_or_else(|| missing("prompt"))?;
        let options = members.get(PROVIDER_OPTIONS).filter(|raw| raw.get() != "null");
        let (wishes, user) = options.map(options::wishes).transpose()?.unwrap_or_default();
        let facts = RequestFacts {
            model,
            stream,
            // The last part of every stream has the counts.
            include_usage: true,
            size: RequestSize {
                body_bytes: body.len(),
                max_tokens: members.get(MAX_OUTPUT_TOKENS).and_then(whole_number),
                choices: 1,
                media: media::count(body, &MEDIA, false),
                images: 0,
            },
            user,
            conversation: members.span(Some(prompt)),
            stream_form: StreamForm::Events,
        };
        Ok(Self { facts, wishes, members })
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
        let text = self.members.allowed(changes)?;
        let text = text.trim_start_matches('\u{feff}');
        let mut request = parse::parse(text).map_err(CannotEncode::Invalid)?;
        request.stream = self.facts.stream;
        request.user = self.facts.user.as_deref().map(Cow::Borrowed);
        let to = Destination { origin: changes.origin, model: changes.model, ask_usage: changes.ask_usage };
        let options = self.members.get(PROVIDER_OPTIONS).filter(|raw| raw.get() != "null");
        let extra = options::of_provider(options, &to, &mut request);
        request.others.extend_from_slice(&self.wishes.ignored);
        let format = registry::origin_format(registry::api_of(changes.origin, &changes.model.name));
        // Settings that an origin does not have are left out with a warning, as the SDK's own providers do.
        let mut encoded = through::encode(request, &Changes { drop_unsupported: true, ..*changes }, format)?;
        let is_needed = |path: &&String| !warnings::may_be_dropped(path);
        if !changes.drop_unsupported && encoded.dropped.iter().any(|path| is_needed(&path)) {
            let needed = encoded.dropped.iter().filter(is_needed).cloned().collect();
            return Err(CannotEncode::Unsupported(needed));
        }
        if let EncodedBody::Own(body) = &mut encoded.body {
            options::add_members(body, extra, &to, &mut encoded.dropped)?;
        }
        Ok(encoded)
    }
}
