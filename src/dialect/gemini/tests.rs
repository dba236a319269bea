//! Both sides against requests and answers of the public references; `tests/dialects` crosses the same fixtures with other
//! APIs.

use super::*;
use crate::config::authoring;
use crate::dialect::canonical::Signer;
use crate::dialect::canonical::answer::AnswerPart;
use crate::dialect::canonical::stop::Stop;
use crate::dialect::request::{CannotEncode, Changes, EncodedBody, Resume};
use crate::dialect::{StreamOptions, partial::Partial};
use crate::payload::edited;
use crate::stream::{Close, Forward, Scanner};
use serde_json::{Value, json};

mod client;
mod origin;

fn config() -> crate::config::Config {
    let origin = |name: &str, kind: &str, url: &str, models: &[&str]| {
        let models: String = models
            .iter()
            .map(|model| format!("[[origins.models]]\nname = \"{model}\"\ninput = \"1\"\noutput = \"2\"\n"))
            .collect();
        let secret = name.to_uppercase();
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n{models}"
        )
    };
    let models =
        ["gemini-3.5-flash", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "gemma-3-27b-it"];
    let route = "[[routes]]\nmodel = \"m\"\norigin = \"g\"\norigin_model = \"gemini-3.5-flash\"\n";
    let key = "[[keys]]\nname = \"k\"\nsha256_secret = \"K\"\n";
    let vertex = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/l";
    let text = [
        origin("g", "gemini", "https://generativelanguage.googleapis.com/v1beta", &models),
        origin("v", "vertex", vertex, &["gemini-3.5-flash"]),
        origin("chat", "openai", "https://chat.example/v1", &["gpt"]),
        route.to_owned(),
        key.to_owned(),
    ];
    authoring::parse(&text.concat()).unwrap()
}

/// Those of these features, in their order.
macro_rules! fixtures {
    ($file:literal: $($feature:literal)*) => {
        [$((
            $feature,
            include_str!(concat!("../../../tests/dialects/fixtures/gemini/", $feature, "/", $file)),
        )),*]
    };
}

static REQUESTS: [(&str, &str); 23] = fixtures! { "request.json":
    "audio_inline" "cache" "file_inline" "forced_tool" "image_inline" "image_url"
    "json_object" "json_schema" "length" "logprobs" "multi_turn" "parallel_tools" "penalties"
    "reasoning" "search" "seed" "several_answers" "stop_sequence" "system" "text"
    "tool_result_image" "tool_round_trip" "tools"
};
static ANSWERS: [(&str, &str); 10] = fixtures! { "answer.json":
    "cache" "citations" "json_schema" "length" "logprobs" "parallel_tools" "reasoning"
    "refusal" "text" "tools"
};
static STREAMS: [(&str, &str); 10] = fixtures! { "stream.sse":
    "cache" "citations" "json_schema" "length" "logprobs" "parallel_tools" "reasoning"
    "refusal" "text" "tools"
};

/// An answer, whole and as a stream, for each feature that has one.
fn answers() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ANSWERS.iter().zip(&STREAMS).map(|((feature, answer), (_, stream))| (*feature, *answer, *stream))
}

fn stream(feature: &str) -> &'static str {
    STREAMS.iter().find(|(own, _)| *own == feature).unwrap().1
}

/// A request of one of Google's clients as that origin gets it.
fn sent(
    origin: &str,
    model: &str,
    endpoint: &'static str,
    body: &str,
) -> Result<(String, String), CannotEncode> {
    with(origin, model, endpoint, body, None)
}

fn with(
    origin: &str,
    model: &str,
    endpoint: &'static str,
    body: &str,
    resume: Option<&Partial>,
) -> Result<(String, String), CannotEncode> {
    let config = config();
    let origin = config.origins.iter().find(|own| own.name == origin).unwrap();
    let model = origin.models.iter().find(|own| own.name == model).unwrap();
    let call = Call { endpoint, model: Some("m".to_owned()) };
    let request = Gemini.parse(&call, body.as_bytes()).unwrap();
    let resume = resume.map(|partial| Resume::Text(partial, crate::config::Prefill::Assistant));
    let changes = Changes { origin, model, ask_usage: true, drop_unsupported: false, resume };
    let encoded = request.encode(&changes)?;
    let body = match encoded.body {
        EncodedBody::Own(bytes) => bytes,
        EncodedBody::Edited(edits) | EncodedBody::Form(edits) => edited(body.as_bytes(), edits),
    };
    Ok((encoded.path.into_owned(), String::from_utf8(body).unwrap()))
}

/// What Gemini's client asks, said anew in its own API.
fn anew(origin: &str, model: &str, body: &Value) -> (Value, Vec<String>) {
    let config = config();
    let origin = config.origins.iter().find(|own| own.name == origin).unwrap();
    let model = origin.models.iter().find(|own| own.name == model).unwrap();
    let text = body.to_string();
    let edits = parse::schema_edits(&text).unwrap();
    let text = String::from_utf8(edited(text.as_bytes(), edits)).unwrap();
    let request = parse::parse(&text).unwrap();
    let mut unsupported = Unsupported::default();
    unsupported.extend(&request.others);
    let to = Destination { origin, model, ask_usage: false };
    let bytes = GenerateContent.encode(&request, &to, &mut unsupported);
    (serde_json::from_slice(&bytes).unwrap(), unsupported.into_paths())
}

fn context() -> AnswerContext {
    AnswerContext {
        price: config().origins[0].price_at(&config().origins[0].models[0], 0),
        request_id: "r1".to_owned(),
        created_s: 1_795_262_400,
        model: "gemini-3.5-flash".to_owned(),
        echo: None,
        ..AnswerContext::default()
    }
}

/// A stream in pieces of so many bytes, as the client gets it.
fn streamed(exchange: &'static dyn Exchange, stream: &str, piece: usize, options: StreamOptions) -> String {
    let mut scanner = Scanner::new(exchange.stream(options));
    let mut out = Vec::new();
    for chunk in stream.as_bytes().chunks(piece) {
        match scanner.push(chunk) {
            Forward::Whole => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    out.extend_from_slice(scanner.end(Close::Clean).last.as_bytes());
    String::from_utf8(out).unwrap()
}

fn options() -> StreamOptions {
    StreamOptions { context: context(), include_usage: true, ..StreamOptions::default() }
}

/// The deltas of a stream, gathered as a whole answer.
fn gathered(stream: &str) -> Answer {
    let through = crate::dialect::through::Through { client: &GenerateContent, origin: &GenerateContent };
    through.gather(stream.as_bytes()).unwrap()
}
