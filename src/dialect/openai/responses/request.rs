//! A request of the Responses API, as it came.

use super::super::request::Request as Read;
use super::{echo, foreign, is_spoken_by, parse};
use crate::dialect::request::{CannotEncode, Changes, Encoded, RequestFacts, Resume};
use crate::dialect::{ClientRequest, registry};
use crate::error::ApiError;

pub(super) struct Request<'a>(Read<'a>);

impl<'a> Request<'a> {
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn parse(endpoint: &'static str, body: &'a [u8]) -> Result<Self, ApiError> {
        let mut read = Read::parse(endpoint, body)?;
        if read.other("background").is_some_and(|value| value.get() != "false") {
            return Err(ApiError::invalid(
                "unsupported_parameter",
                Some("background"),
                "`background` is for answers that are fetched later, and the gateway keeps none: leave it out, and stream the answer or wait for it",
            ));
        }
        // A stream always ends with its counts.
        read.facts.include_usage = true;
        Ok(Self(read))
    }
}

impl ClientRequest for Request<'_> {
    fn facts(&self) -> &RequestFacts {
        self.0.facts()
    }

    fn encode(&self, changes: &Changes<'_>) -> Result<Encoded, CannotEncode> {
        if !is_spoken_by(changes.origin, &changes.model.name) {
            let format = registry::origin_format(registry::api_of(changes.origin, &changes.model.name));
            // Whatever `store` says, nothing is stored, and the answer says so.
            return self.0.encode_through(changes, format, parse::parse, "store");
        }
        match changes.resume {
            // Nothing but thoughts so far, if anything: the answer begins anew.
            Some(Resume::Text(partial, _) | Resume::Tokens(partial)) if !partial.text.is_empty() => {
                Err(CannotEncode::Resume)
            }
            _ => {
                let mut edits = self.0.usual_edits(changes)?;
                foreign::edits(&self.0, &mut edits);
                Ok(self.0.with_edits(edits, changes))
            }
        }
    }

    fn echo(&self) -> Option<String> {
        echo::of(self.0.body)
    }
}
