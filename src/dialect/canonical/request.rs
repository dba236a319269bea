//! What a client asks for.

use super::Signer;
use crate::config::Prefill;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A request for a generation. Numbers stay as the client wrote them.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Request<'a> {
    /// The system or developer prompt that stands before the conversation.
    pub(in crate::dialect) instructions: Vec<Part<'a>>,
    pub(in crate::dialect) messages: Vec<Message<'a>>,
    pub(in crate::dialect) tools: Vec<Tool<'a>>,
    pub(in crate::dialect) tool_choice: Option<ToolChoice<'a>>,
    /// False: one tool call at a time.
    pub(in crate::dialect) parallel_tool_calls: Option<bool>,
    pub(in crate::dialect) format: Option<Format<'a>>,
    pub(in crate::dialect) reasoning: Option<Reasoning<'a>>,
    pub(in crate::dialect) sampling: Sampling<'a>,
    pub(in crate::dialect) stream: bool,
    /// The last message is the answer so far, which the origin is to go on with: how it is told to.
    pub(in crate::dialect) resume: Option<Prefill>,
    /// Who the end user is, as the app names them: a hint.
    pub(in crate::dialect) user: Option<Cow<'a, str>>,
    /// Members that only this client's API has, by their path (`logit_bias`, `messages[2].name`): they can be said to no
    /// other. What asks for nothing, or is a mere hint, is not here.
    pub(in crate::dialect) others: Vec<String>,
}

/// How tokens are chosen, and how many. Each as the client's JSON; a null or a value that is the usual one is none.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Sampling<'a> {
    pub(in crate::dialect) max_tokens: Option<u64>,
    pub(in crate::dialect) temperature: Option<&'a RawValue>,
    pub(in crate::dialect) top_p: Option<&'a RawValue>,
    pub(in crate::dialect) top_k: Option<&'a RawValue>,
    pub(in crate::dialect) seed: Option<&'a RawValue>,
    pub(in crate::dialect) presence_penalty: Option<&'a RawValue>,
    pub(in crate::dialect) frequency_penalty: Option<&'a RawValue>,
    pub(in crate::dialect) stop: Vec<Cow<'a, str>>,
    /// Log probabilities of the tokens that were chosen, and of so many others.
    pub(in crate::dialect) logprobs: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Role {
    /// Within the conversation.
    System,
    User,
    Assistant,
}

#[derive(Debug)]
pub(in crate::dialect) struct Message<'a> {
    pub(in crate::dialect) role: Role,
    pub(in crate::dialect) parts: Vec<Part<'a>>,
}

#[derive(Debug)]
pub(in crate::dialect) struct Part<'a> {
    pub(in crate::dialect) content: Content<'a>,
    /// The prompt up to here is worth caching: a hint. Anthropic's `ttl` (`5m`, `1h`), empty where none is said.
    pub(in crate::dialect) cache: Option<Cow<'a, str>>,
}

impl<'a> From<Content<'a>> for Part<'a> {
    fn from(content: Content<'a>) -> Self {
        Self { content, cache: None }
    }
}

#[derive(Debug)]
pub(in crate::dialect) enum Content<'a> {
    Text(Cow<'a, str>),
    Media(Media<'a>),
    /// Of an assistant. `arguments`: a JSON object's text, empty for none.
    ToolCall(ToolCall<'a>),
    /// Of a user, also where the API has a role of its own for it.
    ToolResult(ToolResult<'a>),
    /// Of an assistant.
    Reasoning(ReasoningPart<'a>),
    /// Of an assistant: it declined, with these words.
    Refusal(Cow<'a, str>),
}

#[derive(Debug)]
pub(in crate::dialect) struct ToolCall<'a> {
    /// Never empty: where an API has none (Gemini) its reader makes one up, the same for a call and its result.
    pub(in crate::dialect) id: Cow<'a, str>,
    pub(in crate::dialect) name: Cow<'a, str>,
    pub(in crate::dialect) arguments: Cow<'a, str>,
    /// Google's, of the thought that led to the call.
    pub(in crate::dialect) signature: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(in crate::dialect) struct ToolResult<'a> {
    pub(in crate::dialect) id: Cow<'a, str>,
    /// The tool's; empty where the API does not repeat it: see [`Request::tool_names`].
    pub(in crate::dialect) name: Cow<'a, str>,
    /// Texts and media.
    pub(in crate::dialect) parts: Vec<Part<'a>>,
    pub(in crate::dialect) is_error: bool,
}

#[derive(Debug)]
pub(in crate::dialect) struct ReasoningPart<'a> {
    pub(in crate::dialect) text: Cow<'a, str>,
    /// Of the text; with an empty text a signature or an encrypted thought alone.
    pub(in crate::dialect) signature: Option<(Signer, Cow<'a, str>)>,
    /// The signature is of a thought that is encrypted as a whole (Anthropic's `redacted_thinking`, OpenAI's
    /// `encrypted_content`).
    pub(in crate::dialect) redacted: bool,
    /// OpenAI's id of the item; empty for none.
    pub(in crate::dialect) id: Cow<'a, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum MediaKind {
    Image,
    Audio,
    /// A document, or a video.
    File,
}

#[derive(Debug)]
pub(in crate::dialect) struct Media<'a> {
    pub(in crate::dialect) kind: MediaKind,
    pub(in crate::dialect) source: Source<'a>,
    /// `image/png`; empty where it is not known.
    pub(in crate::dialect) media_type: Cow<'a, str>,
    /// A file's; empty for none.
    pub(in crate::dialect) name: Cow<'a, str>,
    /// OpenAI's `detail` of an image (`low`, `high`), where it is not `auto`: a hint.
    pub(in crate::dialect) detail: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(in crate::dialect) enum Source<'a> {
    Url(Cow<'a, str>),
    /// Inline.
    Base64(Cow<'a, str>),
    /// A plain text as a document (Anthropic).
    Text(Cow<'a, str>),
    /// What was uploaded to one provider.
    Id(Cow<'a, str>),
}

#[derive(Debug)]
pub(in crate::dialect) struct Tool<'a> {
    pub(in crate::dialect) name: Cow<'a, str>,
    pub(in crate::dialect) description: Option<Cow<'a, str>>,
    /// A JSON Schema.
    pub(in crate::dialect) parameters: Option<&'a RawValue>,
    pub(in crate::dialect) strict: Option<bool>,
    /// See [`Part::cache`].
    pub(in crate::dialect) cache: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect) enum ToolChoice<'a> {
    Auto,
    None,
    /// Some tool.
    Required,
    /// That one.
    Named(Cow<'a, str>),
    /// Some of these: Gemini's `allowedFunctionNames`, OpenAI's `allowed_tools`. Whether one must be called.
    Allowed(Vec<Cow<'a, str>>, bool),
}

/// The form of the answer's text.
#[derive(Debug)]
pub(in crate::dialect) enum Format<'a> {
    /// Any JSON object.
    Json,
    Schema {
        /// Empty where the API has none.
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        schema: &'a RawValue,
        strict: Option<bool>,
    },
}

/// How much is thought before the answer.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Reasoning<'a> {
    /// As OpenAI's levels: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub(in crate::dialect) effort: Option<Cow<'a, str>>,
    /// Tokens; 0: no thoughts.
    pub(in crate::dialect) budget: Option<u64>,
    /// Thoughts, where nothing is said of how much: the model decides (Anthropic's `adaptive`, Gemini's -1).
    pub(in crate::dialect) adaptive: bool,
    /// Whether thoughts, or summaries of them, are to be in the answer.
    pub(in crate::dialect) shown: Option<bool>,
}

impl Reasoning<'_> {
    /// No thoughts are wanted.
    pub(in crate::dialect) fn is_off(&self) -> bool {
        self.budget == Some(0) || self.effort.as_deref() == Some("none")
    }

    /// The level: as it was said, otherwise by the tokens. `None`: nothing was said, or the model decides.
    pub(in crate::dialect) fn level(&self) -> Option<&str> {
        match (self.effort.as_deref(), self.budget) {
            (Some(effort), _) => Some(effort),
            (None, Some(0)) => Some("none"),
            (None, Some(1..=2048)) => Some("low"),
            (None, Some(2049..=8192)) => Some("medium"),
            (None, Some(_)) => Some("high"),
            (None, None) => None,
        }
    }

    /// Tokens: as they were said, otherwise by the level and the most that the answer may have. The shares are OpenRouter's.
    pub(in crate::dialect) fn tokens(&self, max_tokens: u64) -> Option<u64> {
        let percent = match (self.budget, self.effort.as_deref()) {
            (Some(tokens), _) => return Some(tokens),
            (None, Some("none")) => return Some(0),
            (None, Some("minimal")) => 10,
            (None, Some("low")) => 20,
            (None, Some("medium")) => 50,
            (None, Some("high")) => 80,
            (None, Some(_)) => 95,
            (None, None) => return None,
        };
        Some((max_tokens.saturating_mul(percent) / 100).clamp(1024, 32_000))
    }
}

impl<'a> Request<'a> {
    /// Whether several calls at once have to be prevented in words: where one certain tool has to be called, it is called
    /// once.
    pub(in crate::dialect) fn forbids_parallel_calls(&self) -> bool {
        let is_one = match &self.tool_choice {
            Some(ToolChoice::Named(_)) => true,
            Some(ToolChoice::Required) => self.tools.len() == 1,
            Some(ToolChoice::Allowed(names, true)) => names.len() == 1,
            _ => false,
        };
        self.parallel_tool_calls == Some(false) && !self.tools.is_empty() && !is_one
    }

    /// The names of the tools that were called, by the calls' ids, for APIs that want them with the results.
    pub(in crate::dialect) fn tool_names(&self) -> BTreeMap<&str, &str> {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let calls = parts.filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(call),
            _ => None,
        });
        calls.map(|call| (&*call.id, &*call.name)).collect()
    }
}
