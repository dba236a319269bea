//! The count of a request's tokens (API reference, "Messages" > "Count tokens in a Message"): `{"input_tokens":2095}`. It
//! costs nothing.

use crate::dialect::answer::{AnswerFacts, OriginError};
use crate::dialect::counts::Counts;
use crate::dialect::format::OriginFormat;
use crate::dialect::json::{pick, whole_number};
use crate::dialect::{AnswerContext, Exchange, Gathered, StreamCodec, StreamOptions};

/// Towards origins of the same API.
pub(super) struct Count;

impl Exchange for Count {
    fn answer(&self, body: &[u8], _context: &AnswerContext) -> Option<AnswerFacts> {
        let [tokens] = pick(std::str::from_utf8(body).ok()?, &["input_tokens"])?;
        whole_number(tokens?)?;
        // Nothing was used.
        Some(AnswerFacts { counts: Some(Counts::default()), ..AnswerFacts::default() })
    }

    fn error(&self, status: u16, body: &[u8]) -> Option<OriginError> {
        super::Messages.error(status, body)
    }

    fn streamed(&self, _body: &[u8], _context: &AnswerContext) -> Option<Vec<u8>> {
        None
    }

    fn gathered(&self, _stream: &[u8]) -> Gathered {
        Gathered::Malformed
    }

    fn stream(&self, options: StreamOptions) -> Box<dyn StreamCodec> {
        super::SAME.stream(options)
    }
}
