//! Anthropic's Messages API, in and out.

use crate::dialect::AnswerContext;
use crate::dialect::canonical::answer::Answer;
use crate::dialect::canonical::delta::Delta;
use crate::dialect::canonical::request::Request as Canonical;
use crate::dialect::canonical::unsupported::Unsupported;
use crate::dialect::format::{ClientFormat, EventWriter};
use crate::dialect::format::{Destination, EventReader, OriginFormat};
use std::borrow::Cow;

/// Anthropic's Messages API, in and out.
pub(in crate::dialect) struct Messages;

impl OriginFormat for Messages {
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

impl ClientFormat for Messages {
    fn answer(&self, _answer: &Answer, _context: &AnswerContext) -> Vec<u8> {
        Vec::new()
    }

    fn writer(&self, context: &AnswerContext, include_usage: bool) -> Box<dyn EventWriter> {
        crate::dialect::openai::Chat.writer(context, include_usage)
    }
}
