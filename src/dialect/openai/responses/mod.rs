//! OpenAI's Responses API, as clients speak it.

use crate::dialect::AnswerContext;
use crate::dialect::canonical::answer::Answer;
use crate::dialect::format::{ClientFormat, EventWriter};

/// OpenAI's Responses API, as clients speak it.
pub(in crate::dialect) struct Responses;

impl ClientFormat for Responses {
    fn answer(&self, _answer: &Answer, _context: &AnswerContext) -> Vec<u8> {
        Vec::new()
    }

    fn writer(&self, context: &AnswerContext, include_usage: bool) -> Box<dyn EventWriter> {
        crate::dialect::openai::Chat.writer(context, include_usage)
    }
}
