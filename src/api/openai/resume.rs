//! The request that has another origin go on with a partial answer.

use super::{Edit, NoResume, Request, Resume};
use crate::core::config::Prefill;
use crate::core::stream::Partial;
use crate::core::usage::span;
use moegate_wire::resume::{FIELD, Handle};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefix: bool,
}

/// What decides whether a partial answer's text can go along.
#[derive(Deserialize)]
struct Settings<'a> {
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    continue_final_message: Option<IgnoredAny>,
    add_generation_prompt: Option<IgnoredAny>,
}

impl Request<'_> {
    pub(super) fn resume_edits(&self, resume: Resume<'_>, edits: &mut Vec<Edit>) -> Result<(), NoResume> {
        match resume {
            Resume::Tokens(partial) if partial.tokens.is_empty() => Ok(()),
            Resume::Tokens(partial) => {
                let handle = Handle { tokens: partial.tokens.clone(), vocab: partial.vocabulary.clone() };
                edits.push(self.new_member(&format!("\"{FIELD}\":{}", super::to_json(&handle))));
                Ok(())
            }
            // Nothing but thoughts so far, if anything: the answer begins anew.
            Resume::Text(partial, _) if partial.text.is_empty() => Ok(()),
            Resume::Text(partial, prefill) => self.by_text(partial, prefill, edits),
        }
    }

    fn by_text(&self, partial: &Partial, prefill: Prefill, edits: &mut Vec<Edit>) -> Result<(), NoResume> {
        let text = partial.text.as_str();
        let settings: Settings<'_> = serde_json::from_slice(self.body).map_err(|_| NoResume)?;
        // Every choice would go on with the text of one.
        let several = settings.n.is_some_and(|n| !matches!(n.get(), "1" | "null"));
        // Twice in one body they would mean whatever the origin makes of it.
        let twice = prefill == Prefill::ContinueFinalMessage
            && (settings.continue_final_message.is_some() || settings.add_generation_prompt.is_some());
        if prefill == Prefill::None || several || twice {
            return Err(NoResume);
        }
        if let Some(messages) = self.messages {
            let prefix = prefill == Prefill::Prefix;
            let message = super::to_json(&Message { role: "assistant", content: text, prefix });
            edits.push(self.appended(messages, &message)?);
            if prefill == Prefill::ContinueFinalMessage {
                edits.push(self.new_member(r#""continue_final_message":true,"add_generation_prompt":false"#));
            }
        } else {
            let prompt = self.prompt.ok_or(NoResume)?;
            let old: String = serde_json::from_str(prompt.get()).map_err(|_| NoResume)?;
            edits.push((span(self.body, prompt), super::to_json(&(old + text))));
        }
        // What the first origin wrote counts too; an event is about a token.
        for limit in self.limits.iter().flatten() {
            if let Ok(most) = limit.get().parse::<u64>() {
                edits.push((span(self.body, limit), most.saturating_sub(partial.events).max(1).to_string()));
            }
        }
        Ok(())
    }

    /// One more element at the end of an array.
    fn appended(&self, array: &RawValue, element: &str) -> Result<Edit, NoResume> {
        let inner = array.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(NoResume)?;
        let at = span(self.body, array).end - 1;
        let comma = if inner.trim().is_empty() { "" } else { "," };
        Ok((at..at, format!("{comma}{element}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openai::Changes;

    fn resumed(body: &str, resume: Resume<'_>) -> Result<String, NoResume> {
        let request = Request::parse(body.as_bytes()).unwrap();
        let changes = Changes { served: "m", ask_usage: false, resume: Some(resume) };
        let bytes = request.rewritten(changes)?.unwrap_or_else(|| body.as_bytes().to_vec());
        Ok(String::from_utf8(bytes).unwrap())
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
            (r#"{"model":"m","prompt":["a"]}"#, Prefill::Assistant, Err(NoResume)),
            (r#"{"model":"m"}"#, Prefill::Assistant, Err(NoResume)),
            (r#"{"model":"m","messages":{}}"#, Prefill::Assistant, Err(NoResume)),
            (r#"{"model":"m","messages":[]}"#, Prefill::None, Err(NoResume)),
            (r#"{"model":"m","messages":[],"n":2}"#, Prefill::Assistant, Err(NoResume)),
            (
                r#"{"model":"m","messages":[],"n":1}"#,
                Prefill::Assistant,
                Ok(r#"{"model":"m","messages":[{"role":"assistant","content":"On\"e"}],"n":1}"#),
            ),
            (
                r#"{"model":"m","messages":[],"add_generation_prompt":true}"#,
                Prefill::ContinueFinalMessage,
                Err(NoResume),
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
