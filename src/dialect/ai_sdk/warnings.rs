//! `warnings` of an answer: what of the request its origin was not told.

use crate::dialect::AnswerContext;
use crate::dialect::json_writer::JsonWriter;
use std::borrow::Cow;

/// What must not be left out silently: parts of the conversation, and what the answer is made to be.
const NEEDED: [&str; 6] = ["messages", "prompt", "a file", "input_audio", "tool_choice", "response_format"];

/// Whether a request may be sent without that member, with a warning. The SDK's own providers do the same.
pub(super) fn may_be_dropped(path: &str) -> bool {
    !NEEDED.iter().any(|needed| path.starts_with(needed))
}

/// The setting's name in the SDK.
fn setting(path: &str) -> Cow<'_, str> {
    Cow::Borrowed(match path {
        "max_tokens" => "maxOutputTokens",
        "stop" => "stopSequences",
        "reasoning_effort" => "reasoning",
        "top_p" => "topP",
        "top_k" => "topK",
        "presence_penalty" => "presencePenalty",
        "frequency_penalty" => "frequencyPenalty",
        "tool_choice" => "toolChoice",
        "response_format" => "responseFormat",
        path => path,
    })
}

/// The member `warnings`.
pub(super) fn write(json: &mut JsonWriter, context: &AnswerContext, version: usize) {
    json.key("warnings").array(|json| {
        for path in &context.dropped {
            json.object(|json| {
                let (kind, name) = if version == 0 {
                    ("unsupported-setting", "setting")
                } else {
                    ("unsupported", "feature")
                };
                json.member("type", kind);
                json.member(name, &setting(path));
            });
        }
    });
}
