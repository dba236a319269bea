//! The canonical form: what a request and its answer say, whatever the API.
//!
//! Between two APIs everything goes through here: `client bytes → Request → origin bytes` and `origin bytes → Delta* → client
//! bytes`. A whole answer is the same deltas, gathered into an [`Answer`]. Where client and origin speak the same API nothing
//! of this is used for what is sent; the bytes pass.
//!
//! - [`request`]: what a client asks. [`unsupported`]: what of it cannot be said to an origin.
//! - [`delta`]: what an event of a stream says; [`answer`]: an answer's parts, gathered. [`stop`]: why it ended.
//! - [`fields`]: reads the objects of a request, and tells what nobody has read.
//! - [`arguments`]: what a tool is called with. [`open_call`]: a call whose arguments are still coming. [`call_id`]: signatures of thoughts within the ids of tool calls, for APIs that have no other place for them.
//!
//! Texts borrow from the body they were read from, so that an image of megabytes is not copied before it is written.

pub(in crate::dialect) mod answer;
pub(in crate::dialect) mod arguments;
pub(in crate::dialect) mod call_id;
pub(in crate::dialect) mod delta;
pub(in crate::dialect) mod fields;
pub(in crate::dialect) mod open_call;
pub(in crate::dialect) mod request;
pub(in crate::dialect) mod stop;
pub(in crate::dialect) mod unsupported;

/// The tool that a model is made to call where its API has no other way to an answer of a schema: what it is called with is
/// the answer's text.
pub(in crate::dialect) const ANSWER_TOOL: &str = "answer_as_json";

/// Whose signature of a thought it is: no other provider takes it. The names are OpenRouter's (`reasoning_details[].format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Signer {
    Anthropic,
    Google,
    OpenAi,
}

impl Signer {
    pub(in crate::dialect) fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic-claude-v1",
            Self::Google => "google-gemini-v1",
            Self::OpenAi => "openai-responses-v1",
        }
    }

    pub(in crate::dialect) fn of_name(name: &str) -> Option<Self> {
        [Self::Anthropic, Self::Google, Self::OpenAi].into_iter().find(|own| own.name() == name)
    }
}
