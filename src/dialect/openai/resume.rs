//! The request that has another origin go on with a partial answer.

use super::request::Request;
use super::to_json;
use crate::config::Prefill;
use crate::dialect::ClientRequest;
use crate::dialect::json::{span, whole_number};
use crate::dialect::partial::Partial;
use crate::dialect::request::{CannotEncode, Resume};
use crate::payload::Edit;
use moegate_wire::resume::{FIELD, Handle};
use serde::Serialize;

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefix: bool,
}

impl Request<'_> {
    pub(super) fn resume_edits(&self, resume: Resume<'_>, edits: &mut Vec<Edit>) -> Result<(), CannotEncode> {
        match resume {
            Resume::Tokens(partial) if partial.tokens.is_empty() => Ok(()),
            Resume::Tokens(partial) => {
                let handle = Handle { tokens: partial.tokens.clone(), vocab: partial.vocabulary.clone() };
                edits.push(self.new_member(&format!("\"{FIELD}\":{}", to_json(&handle))));
                Ok(())
            }
            // Nothing but thoughts so far, if anything: the answer begins anew.
            Resume::Text(partial, _) if partial.text.is_empty() => Ok(()),
            Resume::Text(partial, prefill) => self.by_text(partial, prefill, edits),
        }
    }

    fn by_text(
        &self,
        partial: &Partial,
        prefill: Prefill,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotEncode> {
        let text = partial.text.as_str();
        // Every choice would go on with the text of one.
        let several = self.facts().size.choices != 1;
        // Twice in one body they would mean whatever the origin makes of it.
        let twice = prefill == Prefill::ContinueFinalMessage
            && (self.has("continue_final_message") || self.has("add_generation_prompt"));
        if prefill == Prefill::None || several || twice {
            return Err(CannotEncode::Resume);
        }
        if let Some(messages) = self.messages() {
            let prefix = prefill == Prefill::Prefix;
            let message = to_json(&Message { role: "assistant", content: text, prefix });
            edits.push(self.appended(messages, &message).ok_or(CannotEncode::Resume)?);
            if prefill == Prefill::ContinueFinalMessage {
                edits.push(self.new_member(r#""continue_final_message":true,"add_generation_prompt":false"#));
            }
        } else {
            let prompt = self.prompt().ok_or(CannotEncode::Resume)?;
            let old: String = serde_json::from_str(prompt.get()).map_err(|_| CannotEncode::Resume)?;
            edits.push(Edit { span: span(self.body, prompt), text: to_json(&(old + text)) });
        }
        // What the first origin wrote counts too; an event is about a token.
        for limit in self.limits() {
            if let Some(most) = whole_number(limit) {
                let left = most.saturating_sub(partial.events).max(1);
                edits.push(Edit { span: span(self.body, limit), text: left.to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::edited;

    fn resumed(body: &str, resume: Resume<'_>) -> Result<String, CannotEncode> {
        let request = Request::parse("/chat/completions", body.as_bytes()).unwrap();
        let mut edits = Vec::new();
        request.resume_edits(resume, &mut edits)?;
        edits.sort_by_key(|edit| edit.span.start);
        Ok(String::from_utf8(edited(body.as_bytes(), edits)).unwrap())
    }

    fn partial() -> Partial {
        let mut partial = Partial::default();
        (partial.text, partial.tokens, partial.vocabulary) = ("On\"e".into(), vec![4, 5], "v".into());
        partial.events = 3;
        partial
    }

    #[test]
    fn by_text() {
        let partial = partial();
        for (body, prefill, expected) in [
            (
                r#"{"model":"m","messages":[{"role":"user","content":"é"}],"max_tokens": 9}"#,
                Prefill::Assistant,
                Ok(
                    r#"{"model":"m","messages":[{"role":"user","content":"é"},{"role":"assistant","content":"On\"e"}],"max_tokens": 6}"#,
                ),
            ),
            (
                r#"{"model":"m","messages":[ ],"max_completion_tokens":2}"#,
                Prefill::Prefix,
                Ok(
                    r#"{"model":"m","messages":[ {"role":"assistant","content":"On\"e","prefix":true}],"max_completion_tokens":1}"#,
                ),
            ),
            (
                r#"{"model":"m","messages":[]}"#,
                Prefill::ContinueFinalMessage,
                Ok(
                    r#"{"continue_final_message":true,"add_generation_prompt":false,"model":"m","messages":[{"role":"assistant","content":"On\"e"}]}"#,
                ),
            ),
            (r#"{"model":"m","prompt":"a"}"#, Prefill::Assistant, Ok(r#"{"model":"m","prompt":"aOn\"e"}"#)),
            (r#"{"model":"m","prompt":["a"]}"#, Prefill::Assistant, Err(CannotEncode::Resume)),
            (r#"{"model":"m"}"#, Prefill::Assistant, Err(CannotEncode::Resume)),
            (r#"{"model":"m","messages":{}}"#, Prefill::Assistant, Err(CannotEncode::Resume)),
            (r#"{"model":"m","messages":[]}"#, Prefill::None, Err(CannotEncode::Resume)),
            (r#"{"model":"m","messages":[],"n":2}"#, Prefill::Assistant, Err(CannotEncode::Resume)),
            (
                r#"{"model":"m","messages":[],"n":1}"#,
                Prefill::Assistant,
                Ok(r#"{"model":"m","messages":[{"role":"assistant","content":"On\"e"}],"n":1}"#),
            ),
            (
                r#"{"model":"m","messages":[],"add_generation_prompt":true}"#,
                Prefill::ContinueFinalMessage,
                Err(CannotEncode::Resume),
            ),
        ] {
            let got = resumed(body, Resume::Text(&partial, prefill));
            assert_eq!(got.as_deref(), expected.as_ref().map(|text| *text), "{body}");
        }
    }

    #[test]
    fn by_tokens() {
        let body = r#"{"model":"m","messages":[]}"#;
        assert_eq!(
            resumed(body, Resume::Tokens(&partial())).unwrap(),
            format!(r#"{{"{FIELD}":{{"tokens":[4,5],"vocab":"v"}},"model":"m","messages":[]}}"#)
        );
        assert_eq!(resumed(body, Resume::Tokens(&Partial::default())).unwrap(), body);
        assert_eq!(resumed(body, Resume::Text(&Partial::default(), Prefill::Assistant)).unwrap(), body);
    }
}
