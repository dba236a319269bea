//! The shapes of answers, as `OpenAI` writes them.

use super::request::Endpoint;
use crate::engine::TokenId;
use crate::schedule::track::{Finish, Track};
use moegate_wire::Receipt;
use moegate_wire::resume::{Handle, Resumed};
use serde::Serialize;
use serde_json::value::RawValue;

/// What all chunks of one answer share.
#[derive(Debug, Clone)]
pub struct Shape {
    pub endpoint: Endpoint,
    /// `chatcmpl-…` or `cmpl-…`.
    pub id: String,
    pub model: String,
    /// Unix time in seconds.
    pub created: u64,
    /// The vocabulary's fingerprint, where chunks list their tokens.
    pub vocab: Option<String>,
    /// How many tokens the request resumed, if it did.
    pub resumed_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Frame<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    /// Absent, null (in the chunks before the one with usage), or there.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moegate: Option<Member>,
}

/// What is this project's own.
#[derive(Serialize)]
#[serde(untagged)]
enum Member {
    Handle(Handle),
    Resumed(Resumed),
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(flatten)]
    content: Content<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Delta(Delta<'a>),
    Message(Message<'a>),
    Text(&'a str),
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

/// The `usage` object.
#[derive(Debug, Serialize)]
pub struct UsageBody {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
    /// Dollars, exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl UsageBody {
    /// The request's usage so far, with its cost if a ticket gave a price.
    #[must_use]
    pub fn of(track: &Track) -> Self {
        // The receipt's, so that both say the same.
        let Receipt { usage, cost, .. } = track.receipt();
        let cost = track.price.as_ref().map(|_| cost.to_dollars());
        Self {
            prompt_tokens: usage.prompt,
            completion_tokens: usage.completion,
            total_tokens: usage.prompt + usage.completion,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning },
            cost: cost.and_then(|dollars| RawValue::from_string(dollars).ok()),
        }
    }
}

impl Shape {
    /// An answer in one piece.
    #[must_use]
    pub fn whole(&self, text: &str, finish: Finish, usage: UsageBody) -> String {
        let content = match self.endpoint {
            Endpoint::Chat => Content::Message(Message { role: "assistant", content: text, refusal: None }),
            Endpoint::Completions => Content::Text(text),
        };
        let object = match self.endpoint {
            Endpoint::Chat => "chat.completion",
            Endpoint::Completions => "text_completion",
        };
        self.frame(object, Some((content, Some(finish))), Some(Some(usage)), self.resumed())
    }

    /// Whether the first chunk of a stream is [`Self::role`].
    #[must_use]
    pub fn has_role(&self) -> bool {
        self.endpoint == Endpoint::Chat
    }

    /// A chat's first chunk, which names the role.
    #[must_use]
    pub fn role(&self, null_usage: bool) -> String {
        let delta = Delta { role: Some("assistant"), content: Some("") };
        self.chunk(Some((Content::Delta(delta), None)), null_usage.then_some(None), None)
    }

    /// A chunk of text, or the last one, which says why there is no more. `tokens` are those generated since the last
    /// chunk, shown where [`Self::vocab`] is set.
    #[must_use]
    pub fn piece(
        &self,
        text: &str,
        finish: Option<Finish>,
        null_usage: bool,
        tokens: Vec<TokenId>,
    ) -> String {
        let content = match self.endpoint {
            Endpoint::Chat => Content::Delta(Delta { role: None, content: finish.is_none().then_some(text) }),
            Endpoint::Completions => Content::Text(text),
        };
        let handle = self.vocab.clone().map(|vocab| Member::Handle(Handle { tokens, vocab }));
        self.chunk(Some((content, finish)), null_usage.then_some(None), handle)
    }

    /// The chunk with usage.
    #[must_use]
    pub fn usage(&self, usage: UsageBody) -> String {
        self.chunk(None, Some(Some(usage)), self.resumed())
    }

    fn resumed(&self) -> Option<Member> {
        self.resumed_tokens.map(|resumed_tokens| Member::Resumed(Resumed { resumed_tokens }))
    }

    fn chunk(
        &self,
        choice: Option<(Content<'_>, Option<Finish>)>,
        usage: Option<Option<UsageBody>>,
        moegate: Option<Member>,
    ) -> String {
        let object = match self.endpoint {
            Endpoint::Chat => "chat.completion.chunk",
            Endpoint::Completions => "text_completion",
        };
        self.frame(object, choice, usage, moegate)
    }

    fn frame(
        &self,
        object: &'static str,
        choice: Option<(Content<'_>, Option<Finish>)>,
        usage: Option<Option<UsageBody>>,
        moegate: Option<Member>,
    ) -> String {
        let choice = choice.map(|(content, finish)| Choice {
            index: 0,
            content,
            logprobs: None,
            finish_reason: finish.map(Finish::as_str),
        });
        let frame = Frame {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            choices: choice.as_slice(),
            usage,
            moegate,
        };
        #[expect(clippy::expect_used, reason = "strings, numbers and string keys only")]
        serde_json::to_string(&frame).expect("serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::stats::Stats;
    use moegate_wire::{Price, Rates};
    use std::sync::Arc;

    fn shape(endpoint: Endpoint) -> Shape {
        let (vocab, resumed_tokens) = (None, None);
        Shape { endpoint, id: "x-1".into(), model: "m".into(), created: 7, vocab, resumed_tokens }
    }

    fn usage(price: Option<Price>) -> UsageBody {
        let track = Track::new("1".into(), "m".into(), 0, price, Arc::new(Stats::default()));
        track.change(|progress| {
            progress.usage.prompt = 5;
            progress.usage.completion = 2;
        });
        UsageBody::of(&track)
    }

    const COUNTS: &str = r#""prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}"#;

    #[test]
    fn chat() {
        let shape = shape(Endpoint::Chat);
        let head = r#"{"id":"x-1","object":"chat.completion.chunk","created":7,"model":"m","choices":["#;
        let choice = |delta: &str, finish: &str| {
            format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#)
        };
        let cases = [
            (shape.role(false), choice(r#"{"role":"assistant","content":""}"#, "null") + "]}"),
            (shape.piece("a\"b", None, false, vec![]), choice(r#"{"content":"a\"b"}"#, "null") + "]}"),
            (
                shape.piece("a", None, true, vec![]),
                choice(r#"{"content":"a"}"#, "null") + r#"],"usage":null}"#,
            ),
            (shape.piece("", Some(Finish::Length), false, vec![]), choice("{}", r#""length""#) + "]}"),
            (shape.usage(usage(None)), format!(r#"],"usage":{{{COUNTS}}}}}"#)),
        ];
        for (chunk, expected) in cases {
            assert_eq!(chunk, format!("{head}{expected}"));
        }
        assert_eq!(
            shape.whole("hi", Finish::Stop, usage(None)),
            format!(
                r#"{{"id":"x-1","object":"chat.completion","created":7,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{{COUNTS}}}}}"#
            )
        );
    }

    #[test]
    fn handles_come_last() {
        let chat = Shape { vocab: Some("00ff".into()), resumed_tokens: Some(3), ..shape(Endpoint::Chat) };
        let completions = Shape { endpoint: Endpoint::Completions, ..chat.clone() };
        let handle = |tokens: &str| format!(r#""moegate":{{"tokens":[{tokens}],"vocab":"00ff"}}}}"#);
        let resumed = r#""moegate":{"resumed_tokens":3}}"#.to_owned();
        let cases = [
            (chat.role(false), r#""finish_reason":null}]}"#.to_owned()),
            (
                chat.piece("a", None, false, vec![5, 6]),
                format!(r#""finish_reason":null}}],{}"#, handle("5,6")),
            ),
            (chat.piece("a", None, true, vec![5]), format!(r#""usage":null,{}"#, handle("5"))),
            (
                completions.piece("", Some(Finish::Stop), false, vec![]),
                format!(r#""finish_reason":"stop"}}],{}"#, handle("")),
            ),
            (chat.usage(usage(None)), format!("}},{resumed}")),
            (chat.whole("hi", Finish::Stop, usage(None)), format!("}},{resumed}")),
        ];
        for (chunk, end) in cases {
            assert!(chunk.ends_with(&end), "{chunk}");
        }
    }

    #[test]
    fn completions() {
        let shape = shape(Endpoint::Completions);
        let head = r#"{"id":"x-1","object":"text_completion","created":7,"model":"m","choices":["#;
        assert_eq!(
            shape.piece("a", None, false, vec![]),
            format!(r#"{head}{{"index":0,"text":"a","logprobs":null,"finish_reason":null}}]}}"#)
        );
        let price = Rates::of_tokens(1_000_000, 3_000_000).into();
        assert_eq!(
            shape.whole("a", Finish::Stop, usage(Some(price))),
            format!(
                r#"{head}{{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"}}],"usage":{{{COUNTS},"cost":0.000000011}}}}"#
            )
        );
    }
}
