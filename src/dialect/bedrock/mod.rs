//! Amazon Bedrock's Converse API, as origins speak it
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).
//!
//! A stream's events come in AWS's binary framing, which is made server-sent events of before they are read here.

mod encode;
mod reader;
#[cfg(test)]
mod tests;

use crate::dialect::anthropic::models::Abilities;
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{Destination, EventReader, OriginFormat};
use crate::signing::sigv4::path_segment;
use std::borrow::Cow;

pub(in crate::dialect) struct Converse;

impl OriginFormat for Converse {
    fn path(&self, to: &Destination<'_>, stream: bool) -> Cow<'static, str> {
        // Ids have colons, and inference profiles are ARNs with slashes.
        let model = path_segment(&to.model.name);
        format!("/model/{model}/{}", if stream { "converse-stream" } else { "converse" }).into()
    }

    fn encode(
        &self,
        request: &Canonical<'_>,
        to: &Destination<'_>,
        unsupported: &mut Unsupported,
    ) -> Vec<u8> {
        encode::encode(request, to, unsupported)
    }

    fn can_resume(&self, to: &Destination<'_>) -> bool {
        Abilities::of(&to.model.name).prefill
    }

    fn trims_prefill(&self) -> bool {
        true
    }

    fn answer<'b>(&self, body: &'b str) -> Option<Vec<Delta<'b>>> {
        reader::answer(body)
    }

    fn reader(&self) -> Box<dyn EventReader> {
        Box::new(reader::Reader::default())
    }
}
