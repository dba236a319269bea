//! What an event of an origin's stream says.

use super::Signer;
use super::stop::Stop;
use crate::dialect::counts::Counts;
use std::borrow::Cow;

/// One thing that an answer says, in its order. Parts follow each other: a delta of another kind than the one before ends the
/// part that was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum Delta<'e> {
    /// The answer's id and model, as the origin says them; either may be empty.
    Start {
        id: Cow<'e, str>,
        model: Cow<'e, str>,
    },
    /// More of the text.
    Text(Cow<'e, str>),
    /// More of the words by which the model declines.
    Refusal(Cow<'e, str>),
    /// More of a thought, or of its summary.
    Reasoning(Cow<'e, str>),
    /// Of the thought that is under way, or where none is, of an empty one.
    Signature(Signer, Cow<'e, str>),
    /// A whole thought, encrypted.
    Redacted(Signer, Cow<'e, str>),
    /// A tool call begins. `slot` tells calls of one answer apart; the id may be empty (Gemini).
    ToolCall {
        slot: u64,
        id: Cow<'e, str>,
        name: Cow<'e, str>,
        signature: Option<Cow<'e, str>>,
    },
    /// More of a call's arguments: JSON.
    Arguments {
        slot: u64,
        json: Cow<'e, str>,
    },
    /// A source of the text that is under way.
    Citation(Citation<'e>),
    /// Tokens' log probabilities, as elements of OpenAI's list (`{"token":…,"logprob":…,"bytes":…,"top_logprobs":[…]}`),
    /// with commas between them.
    Logprobs(Cow<'e, str>),
    /// A whole image or sound that the model made: base64.
    Media {
        media_type: Cow<'e, str>,
        base64: Cow<'e, str>,
    },
    /// The part that is under way has ended, so that one of the same kind may follow.
    PartEnd,
    Stop(Stop),
    /// Counts so far.
    Usage(Counts),
}

/// A source of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) struct Citation<'e> {
    /// Empty for a document of the request.
    pub(in crate::dialect) url: Cow<'e, str>,
    pub(in crate::dialect) title: Cow<'e, str>,
    /// What is cited; empty where it is not said.
    pub(in crate::dialect) text: Cow<'e, str>,
    /// The characters of the answer's text that it belongs to, where that is said.
    pub(in crate::dialect) range: Option<(u64, u64)>,
    /// Which of the request's documents, from 0.
    pub(in crate::dialect) document: Option<u64>,
}

impl Delta<'_> {
    /// Whether some of the answer is in it.
    pub(in crate::dialect) fn is_content(&self) -> bool {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::Reasoning(text) => !text.is_empty(),
            Self::Arguments { json, .. } => !json.is_empty(),
            Self::ToolCall { .. } | Self::Redacted(..) | Self::Media { .. } => true,
            _ => false,
        }
    }

    /// The same, independent of what it was read from.
    pub(in crate::dialect) fn into_owned(self) -> Delta<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Start { id, model } => Delta::Start { id: own(id), model: own(model) },
            Self::Text(text) => Delta::Text(own(text)),
            Self::Refusal(text) => Delta::Refusal(own(text)),
            Self::Reasoning(text) => Delta::Reasoning(own(text)),
            Self::Signature(signer, text) => Delta::Signature(signer, own(text)),
            Self::Redacted(signer, text) => Delta::Redacted(signer, own(text)),
            Self::ToolCall { slot, id, name, signature } => {
                Delta::ToolCall { slot, id: own(id), name: own(name), signature: signature.map(own) }
            }
            Self::Arguments { slot, json } => Delta::Arguments { slot, json: own(json) },
            Self::Citation(Citation { url, title, text, range, document }) => {
                let (url, title, text) = (own(url), own(title), own(text));
                Delta::Citation(Citation { url, title, text, range, document })
            }
            Self::Logprobs(json) => Delta::Logprobs(own(json)),
            Self::Media { media_type, base64 } => {
                Delta::Media { media_type: own(media_type), base64: own(base64) }
            }
            Self::PartEnd => Delta::PartEnd,
            Self::Stop(stop) => Delta::Stop(stop),
            Self::Usage(counts) => Delta::Usage(counts),
        }
    }
}
