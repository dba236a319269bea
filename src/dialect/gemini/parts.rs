//! Parts of an answer, and what a candidate says beside them.

use super::signature::{SKIP, marked};
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::Citation;
use crate::dialect::json::{list, on_one_line, pick};
use crate::dialect::json_writer::JsonWriter;
use serde_json::value::RawValue;

pub(super) fn text(json: &mut JsonWriter, text: &str) {
    json.object(|json| json.member("text", text));
}

/// With the signature of a thought; Google's own may be of a text, which has no words then.
pub(super) fn thought(json: &mut JsonWriter, text: &str, signature: Option<(Signer, &str)>, redacted: bool) {
    let is_thought = !text.is_empty() || signature.is_none_or(|(signer, _)| signer != Signer::Google);
    part(json, text, is_thought, signature, redacted);
}

/// The signature of a thought whose words are out.
pub(super) fn thought_end(json: &mut JsonWriter, signature: Option<(Signer, &str)>) {
    part(json, "", true, signature, false);
}

fn part(
    json: &mut JsonWriter,
    text: &str,
    is_thought: bool,
    signature: Option<(Signer, &str)>,
    redacted: bool,
) {
    json.object(|json| {
        json.member("text", text);
        if is_thought {
            json.key("thought").bool(true);
        }
        if let Some(text) = signature.and_then(|(signer, text)| marked(signer, text, redacted)) {
            json.member("thoughtSignature", &text);
        }
    });
}

pub(super) struct Call<'c> {
    pub(super) id: &'c str,
    pub(super) name: &'c str,
    pub(super) arguments: &'c str,
    pub(super) signature: Option<&'c str>,
}

/// A call, if its arguments are an object: whether they are. `is_first`: of the answer.
pub(super) fn call(json: &mut JsonWriter, call: &Call<'_>, is_first: bool) -> bool {
    let arguments = if call.arguments.trim_ascii().is_empty() { "{}" } else { call.arguments.trim_ascii() };
    if !arguments.starts_with('{') || serde_json::from_str::<&RawValue>(arguments).is_err() {
        return false;
    }
    json.object(|json| {
        json.key("functionCall").object(|json| {
            json.member("id", call.id);
            json.member("name", call.name);
            // It stands on a line of an event.
            json.key("args").raw(&on_one_line(arguments));
        });
        // So that a model of Google's can go on with a conversation that another one began.
        if let Some(signature) = call.signature.or_else(|| is_first.then_some(SKIP)) {
            json.member("thoughtSignature", signature);
        }
    });
    true
}

pub(super) fn media(json: &mut JsonWriter, media_type: &str, base64: &str) {
    json.object(|json| {
        json.key("inlineData").object(|json| {
            json.member("mimeType", media_type);
            json.member("data", base64);
        });
    });
}

/// `groundingMetadata`; sources without a URL are the client's own documents. `said`: the answer's text.
pub(super) fn grounding(json: &mut JsonWriter, cited: &[Citation<'_>], said: &str) {
    let cited: Vec<_> = cited.iter().filter(|own| !own.url.is_empty()).collect();
    if cited.is_empty() {
        return;
    }
    // Characters as bytes.
    let bytes = |at: u64| {
        let at = usize::try_from(at).ok()?;
        let ends = said.char_indices().map(|(start, _)| start).chain([said.len()]);
        ends.take(at.saturating_add(1)).nth(at)
    };
    json.key("groundingMetadata").object(|json| {
        json.key("groundingChunks").array(|json| {
            for own in &cited {
                json.object(|json| {
                    json.key("web").object(|json| {
                        json.member("uri", &own.url);
                        json.member("title", &own.title);
                    });
                });
            }
        });
        json.key("groundingSupports").array(|json| {
            for (index, own) in cited.iter().enumerate() {
                let Some((start, end)) = own.range else { continue };
                let Some((start, end)) = bytes(start).zip(bytes(end)).filter(|(start, end)| start <= end)
                else {
                    continue;
                };
                json.object(|json| {
                    json.key("segment").object(|json| {
                        json.key("startIndex").number(start as u64);
                        json.key("endIndex").number(end as u64);
                        json.member("text", &said[start..end]);
                    });
                    json.key("groundingChunkIndices").array(|json| json.number(index as u64));
                });
            }
        });
    });
}

/// `logprobsResult`. `elements`: of OpenAI's list.
pub(super) fn logprobs(json: &mut JsonWriter, elements: &str) {
    let all = format!("[{elements}]");
    let Ok(all) = serde_json::from_str::<&RawValue>(&all) else { return };
    let elements = list(all).unwrap_or_default();
    let token = |json: &mut JsonWriter, element: &RawValue| {
        let [token, logprob] = pick(element.get(), &["token", "logprob"]).unwrap_or_default();
        json.object(|json| {
            json.optional("token", token);
            json.optional("logProbability", logprob);
        });
    };
    json.key("logprobsResult").object(|json| {
        json.key("topCandidates").array(|json| {
            for element in &elements {
                json.object(|json| {
                    let tops = pick(element.get(), &["top_logprobs"]).and_then(|[tops]| list(tops?));
                    json.key("candidates")
                        .array(|json| tops.unwrap_or_default().into_iter().for_each(|own| token(json, own)));
                });
            }
        });
        json.key("chosenCandidates").array(|json| elements.iter().for_each(|own| token(json, own)));
    });
}
