//! The items of an answer's output (*The response object*, `output`).

use crate::dialect::canonical::Signer;
use crate::dialect::canonical::delta::Citation;
use crate::dialect::json_writer::JsonWriter;
use std::borrow::Cow;

/// Between a signer's name and its data, for a thought that is encrypted as a whole.
const REDACTED: &str = "+redacted";

/// `encrypted_content`: OpenAI's as it is; of others after their name, so that it finds its way back.
pub(super) fn encrypted(signer: Signer, data: &str, redacted: bool) -> Cow<'_, str> {
    match (signer, redacted) {
        (Signer::OpenAi, _) => Cow::Borrowed(data),
        (signer, true) => Cow::Owned(format!("{}{REDACTED}:{data}", signer.name())),
        (signer, false) => Cow::Owned(format!("{}:{data}", signer.name())),
    }
}

/// Whose thought it is, its signature or data, and whether it is encrypted as a whole.
pub(super) fn signature_of(encrypted: Cow<'_, str>) -> (Signer, Cow<'_, str>, bool) {
    let tagged = |text: &str| {
        let (tag, _) = text.split_once(':')?;
        let name = tag.strip_suffix(REDACTED);
        Some((Signer::of_name(name.unwrap_or(tag))?, tag.len() + 1, name.is_some()))
    };
    let Some((signer, from, redacted)) = tagged(&encrypted) else { return (Signer::OpenAi, encrypted, true) };
    let data = match encrypted {
        Cow::Borrowed(text) => Cow::Borrowed(&text[from..]),
        Cow::Owned(mut text) => {
            text.drain(..from);
            Cow::Owned(text)
        }
    };
    (signer, data, redacted)
}

fn object(fill: &mut dyn FnMut(&mut JsonWriter)) -> String {
    let mut json = JsonWriter::with_capacity(256);
    json.object(fill);
    json.into_string()
}

/// `parts`: as JSON.
pub(super) fn message(id: &str, status: &str, parts: &[String]) -> String {
    object(&mut |json| {
        json.member("id", id);
        json.member("type", "message");
        json.member("status", status);
        json.member("role", "assistant");
        json.key("content").array(|json| parts.iter().for_each(|part| json.raw(part)));
    })
}

/// `annotations`: as JSON. `logprobs`: elements with commas between them.
pub(super) fn output_text(text: &str, annotations: &[String], logprobs: &str) -> String {
    object(&mut |json| {
        json.member("type", "output_text");
        json.key("annotations").array(|json| annotations.iter().for_each(|own| json.raw(own)));
        json.key("logprobs").raw(&format!("[{logprobs}]"));
        json.member("text", text);
    })
}

pub(super) fn refusal(text: &str) -> String {
    object(&mut |json| {
        json.member("type", "refusal");
        json.member("refusal", text);
    })
}

pub(super) fn summary(text: &str) -> String {
    object(&mut |json| {
        json.member("type", "summary_text");
        json.member("text", text);
    })
}

/// `text`: `None` before there is any.
pub(super) fn reasoning(id: &str, text: Option<&str>, encrypted: Option<&str>, status: &str) -> String {
    object(&mut |json| {
        json.member("id", id);
        json.member("type", "reasoning");
        json.member("status", status);
        json.key("summary").array(|json| text.iter().for_each(|text| json.raw(&summary(text))));
        match encrypted {
            Some(data) => json.member("encrypted_content", data),
            None => json.key("encrypted_content").raw("null"),
        }
    })
}

pub(super) fn function_call(id: &str, call_id: &str, name: &str, arguments: &str, status: &str) -> String {
    object(&mut |json| {
        json.member("id", id);
        json.member("type", "function_call");
        json.member("status", status);
        json.member("call_id", call_id);
        json.member("name", name);
        json.member("arguments", arguments);
    })
}

/// `base64`: `None` before it is there.
pub(super) fn image(id: &str, format: &str, base64: Option<&str>) -> String {
    object(&mut |json| {
        json.member("id", id);
        json.member("type", "image_generation_call");
        json.member("status", if base64.is_some() { "completed" } else { "in_progress" });
        match base64 {
            Some(data) => json.member("result", data),
            None => json.key("result").raw("null"),
        }
        json.member("output_format", format);
    })
}

/// A source of a text of that many characters. Clients want a place for it: all of the text, where none is said.
pub(super) fn annotation(citation: &Citation<'_>, characters: u64) -> String {
    object(&mut |json| {
        if citation.url.is_empty() {
            json.member("type", "file_citation");
            let document = citation.document.unwrap_or(0);
            json.member("file_id", &format!("document_{document}"));
            json.member("filename", &citation.title);
            json.key("index").number(citation.range.map_or(0, |(start, _)| start));
            return;
        }
        let (start, end) = citation.range.unwrap_or((0, characters));
        json.member("type", "url_citation");
        json.key("start_index").number(start);
        json.key("end_index").number(end);
        json.member("url", &citation.url);
        json.member("title", &citation.title);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_others_come_back() {
        for (signer, data, redacted) in [
            (Signer::Anthropic, "EqQB+/8=", false),
            (Signer::Anthropic, "EqQB", true),
            (Signer::Google, "a:b", false),
            (Signer::OpenAi, "gAAAAAB-_=", true),
        ] {
            let text = encrypted(signer, data, redacted).into_owned();
            assert_eq!(signature_of(text.clone().into()), (signer, data.into(), redacted), "{text}");
            assert_eq!(signature_of(Cow::Borrowed(&text)), (signer, data.into(), redacted), "{text}");
        }
        assert_eq!(signature_of("other:x".into()), (Signer::OpenAi, "other:x".into(), true));
    }
}
