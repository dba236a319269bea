//! Amazon Bedrock's Converse API, as origins speak it.

use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{Destination, EventReader, OriginFormat};
use std::borrow::Cow;

/// Amazon Bedrock's Converse API, as origins speak it.
pub(in crate::dialect) struct Converse;

impl OriginFormat for Converse {
    fn path(&self, _to: &Destination<'_>, _stream: bool) -> Cow<'static, str> {
        "".into()
    }

    fn encode(
        &self,
        _request: &Canonical<'_>,
        _to: &Destination<'_>,
        _unsupported: &mut Unsupported,
    ) -> Vec<u8> {
        Vec::new()
    }

    fn answer<'b>(&self, _body: &'b str) -> Option<Vec<Delta<'b>>> {
        None
    }

    fn reader(&self) -> Box<dyn EventReader> {
        super::openai::Chat.reader()
    }
}
