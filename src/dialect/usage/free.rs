//! Answers that are given again without a cost.

use crate::dialect::json::{list, pick, span};
use crate::payload::{Edit, edited, sort_edits};
use serde_json::value::RawValue;

/// Objects with counts, and objects that hold one as `usage`.
const COUNTS: [&str; 4] = ["usage", "usageMetadata", "timings", "amazon-bedrock-invocationMetrics"];
const AROUND: [&str; 3] = ["message", "response", "x_groq"];

/// The answer, an object, a list of events or a stream of them, whose cost is 0. Everything else stays as it is.
#[must_use]
pub fn without_cost(body: &str) -> String {
    let mut edits = Vec::new();
    let mut documents = |text: &str| match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(events) => events.into_iter().for_each(|event| costs(body, event.get(), &mut edits)),
        Err(_) => costs(body, text, &mut edits),
    };
    if body.trim_start().starts_with(['{', '[']) {
        documents(body);
    } else {
        let events = body.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
        events.filter(|data| data.contains("\"cost\"")).for_each(documents);
    }
    sort_edits(&mut edits);
    String::from_utf8(edited(body.as_bytes(), edits)).unwrap_or_else(|_| body.to_owned())
}

/// `document`: a part of the body.
fn costs<'d>(body: &str, document: &'d str, edits: &mut Vec<Edit>) {
    let Some(counts) = pick(document, &COUNTS) else { return };
    let around = pick(document, &AROUND).unwrap_or_default();
    let choices = pick(document, &["choices"]).and_then(|[choices]| list(choices?)).unwrap_or_default();
    let inner = around.into_iter().flatten().chain(choices);
    let inner = inner.filter_map(|outer| pick(outer.get(), &["usage"]).and_then(|[usage]| usage));
    let within = |outer: Option<&'d RawValue>, name| pick(outer?.get(), &[name]).and_then(|[inner]| inner);
    // What the AI SDK's gateway protocol says of an answer, twice.
    let [usage, ..] = counts;
    let [metadata] = pick(document, &["providerMetadata"]).unwrap_or_default();
    let told = [within(usage, "raw"), within(metadata, "gateway")];
    for object in counts.into_iter().chain(told).flatten().chain(inner) {
        if let Some([Some(cost)]) = pick(object.get(), &["cost"]) {
            let text = if cost.get().starts_with('"') { "\"0\"" } else { "0" };
            edits.push(Edit { span: span(body.as_bytes(), cost), text: text.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_stand_in_many_places() {
        for (body, expected) in [
            (
                r#"{"a":"\"usage\":{\"cost\":1}","usage": {"cost": 0.00003, "x":1},"cost":5}"#,
                r#"{"a":"\"usage\":{\"cost\":1}","usage": {"cost": 0, "x":1},"cost":5}"#,
            ),
            (
                "[{\"usageMetadata\":{\"cost\":1e-5}},\n{\"usageMetadata\":{\"cost\":2}}]",
                "[{\"usageMetadata\":{\"cost\":0}},\n{\"usageMetadata\":{\"cost\":0}}]",
            ),
            (
                "data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}]}\n\ndata: {\"usage\":{\"cost\":0.5}}\r\n\r\ndata: [DONE]\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}]}\n\ndata: {\"usage\":{\"cost\":0}}\r\n\r\ndata: [DONE]\n\n",
            ),
            (
                "event: message_start\ndata: {\"message\":{\"usage\":{\"cost\":3}}}\n\n",
                "event: message_start\ndata: {\"message\":{\"usage\":{\"cost\":0}}}\n\n",
            ),
            (
                "data:{\"response\":{\"usage\":{\"a\":[],\"cost\":3}},\"x_groq\":{\"usage\":{\"cost\":{\"total_cost\":1}}}}",
                "data:{\"response\":{\"usage\":{\"a\":[],\"cost\":0}},\"x_groq\":{\"usage\":{\"cost\":0}}}",
            ),
            ("{\"choices\":[{\"usage\":{\"cost\":2}}]}", "{\"choices\":[{\"usage\":{\"cost\":0}}]}"),
            (
                r#"data: {"type":"finish","usage":{"raw":{"cost":0.5}},"providerMetadata":{"gateway":{"cost":"0.5","generationId":"g"}}}"#,
                r#"data: {"type":"finish","usage":{"raw":{"cost":0}},"providerMetadata":{"gateway":{"cost":"0","generationId":"g"}}}"#,
            ),
            ("{\"usage\":{\"prompt_tokens\":2}}", "{\"usage\":{\"prompt_tokens\":2}}"),
            ("no JSON", "no JSON"),
            ("{\"usage\":{\"cost\":1}", "{\"usage\":{\"cost\":1}"),
        ] {
            assert_eq!(without_cost(body), expected);
        }
    }
}
