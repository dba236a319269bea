//! Requests and answers of the AI SDK's gateway provider. Bodies are as ai 5, 6 and 7 send them.

use super::*;
use crate::config::{Config, authoring};
use crate::dialect::StreamOptions;
use crate::dialect::request::{CannotEncode, Changes, Encoded, EncodedBody};
use crate::stream::{Close, Forward, Scanner};
use serde_json::{Value, json};

mod answers;
mod requests;

fn config() -> Config {
    let origin = |name: &str, kind: &str, model: &str| {
        let host = if name == "far" { "api.openai.com".to_owned() } else { format!("{name}.example") };
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"https://{host}/v1\"\nsecret = \"{}\"\n\
             models = [{{ name = \"{model}\", input = \"1\", output = \"2\" }}]\n",
            name.to_uppercase()
        )
    };
    let all = [
        origin("far", "openai", "gpt"),
        origin("vllm", "vllm", "qwen"),
        origin("claude", "anthropic", "claude-haiku-4-5"),
        origin("google", "gemini", "gemini-2.5-flash"),
    ];
    authoring::parse(&all.concat()).unwrap()
}

fn endpoint(version: usize, streams: bool) -> &'static str {
    LANGUAGE[version][usize::from(streams)]
}

/// What the origin gets.
fn encoded(origin: &str, endpoint: &'static str, body: &str) -> Result<Encoded, CannotEncode> {
    let config = config();
    let origin = config.origins.iter().find(|own| own.name == origin).unwrap();
    let call = Call { endpoint, model: Some("m".to_owned()) };
    let request = V4.parse(&call, body.as_bytes()).map_err(CannotEncode::Invalid)?;
    let model = &origin.models[0];
    request.encode(&Changes { origin, model, ask_usage: true, drop_unsupported: false, resume: None })
}

fn sent(origin: &str, body: &Value) -> (Value, Vec<String>) {
    let encoded = encoded(origin, endpoint(2, false), &body.to_string()).unwrap();
    let EncodedBody::Own(bytes) = encoded.body else { panic!("it is said anew") };
    (serde_json::from_slice(&bytes).unwrap(), encoded.dropped)
}

fn context() -> AnswerContext {
    let config = config();
    AnswerContext {
        price: config.origins[0].price_at(&config.origins[0].models[0], 0),
        request_id: "r1".to_owned(),
        created_s: 1_795_262_400,
        model: "gpt".to_owned(),
        ..AnswerContext::default()
    }
}
