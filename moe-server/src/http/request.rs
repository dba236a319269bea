//! The bodies of `POST /v1/chat/completions` and `/v1/completions`, read and checked.
//!
//! What would change the answer and is not supported is refused; what is harmless or unknown is ignored.

use super::error::ApiError;
use super::fields::{Fields, wrong};
use super::resume;
use super::text::mended;
use crate::engine::TokenId;
use crate::json_kind;
use crate::schedule::sample::Sampling;
use axum::http::StatusCode;
use moegate_wire::resume::Handle;
use serde_json::{Value, json};

/// Which of the two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Chat,
    Completions,
}

impl Endpoint {
    /// As `gen_ai.operation.name` (OpenTelemetry's semantic conventions).
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "text_completion",
        }
    }
}

/// What to continue.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Messages as the chat template wants them: `[{"role", "content": "text"}]`.
    Messages(Value),
    Text(String),
    Tokens(Vec<TokenId>),
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    pub model: String,
    pub input: Input,
    pub stream: bool,
    /// Whether a stream ends with a chunk of usage.
    pub include_usage: bool,
    /// `None` takes what the context leaves.
    pub max_tokens: Option<usize>,
    pub sampling: Sampling,
    /// Whether `sampling.seed` was given.
    pub seeded: bool,
    pub stop: Vec<String>,
    /// Only requests with the same one share keys and values.
    pub cache_salt: Option<String>,
    /// What there is of the answer already; not checked against the model.
    pub resume: Option<Handle>,
}

/// `OpenAI`'s default for `/v1/completions`.
const COMPLETION_TOKENS: usize = 16;
const MAX_STOPS: usize = 4;
/// As deep as `serde_json` goes.
const DEEPEST: usize = 127;
const MAX_NAME_CHARS: usize = 128;
const MAX_SALT_BYTES: usize = 256;

impl GenerationRequest {
    /// Reads a body for a server that serves `models`, with token ids below `vocab_size`.
    ///
    /// # Errors
    /// 400 with the path to what is wrong; 404 for a model that is not served.
    pub fn parse(
        endpoint: Endpoint,
        body: &[u8],
        models: &[String],
        vocab_size: usize,
    ) -> Result<Self, ApiError> {
        let bad = |code, message: String| Err(ApiError::new(StatusCode::BAD_REQUEST, code, message));
        let value: Value = match serde_json::from_slice(&mended(body)) {
            Ok(value) => value,
            // serde_json has no other name for it.
            Err(error) if error.to_string().starts_with("recursion limit exceeded") => {
                return bad(
                    "nested_too_deeply",
                    format!(
                        "the body is nested more deeply than {DEEPEST} levels: leave out the field that is, or flatten it"
                    ),
                );
            }
            Err(error) => return bad("invalid_json", format!("the body is not JSON: {error}")),
        };
        let Value::Object(map) = &value else {
            return bad(
                "invalid_type",
                format!("the body must be a JSON object, and is {}", json_kind::of(&value)),
            );
        };
        let fields = Fields { path: "", map };
        let model = fields.string("model")?.ok_or_else(|| missing("model", "name the model to use"))?;
        if !models.iter().any(|served| served == model) {
            return Err(unknown_model(model, models));
        }
        refuse_unsupported(&fields)?;
        let input = match endpoint {
            Endpoint::Chat => Input::Messages(messages(&fields)?),
            Endpoint::Completions => prompt(&fields, vocab_size)?,
        };
        let options = fields.get("stream_options");
        let include_usage = match options {
            Some(Value::Object(map)) => Fields { path: "stream_options", map }.boolean("include_usage")?,
            Some(other) => return Err(wrong("stream_options", "an object", other)),
            None => None,
        };
        let seed = fields.integer("seed", i64::MIN)?;
        Ok(Self {
            model: model.to_owned(),
            input,
            stream: fields.boolean("stream")?.unwrap_or(false),
            include_usage: include_usage.unwrap_or(false),
            max_tokens: max_tokens(&fields, endpoint)?,
            sampling: sampling(&fields, seed)?,
            seeded: seed.is_some(),
            stop: stops(&fields)?,
            cache_salt: cache_salt(&fields)?,
            resume: resume::parse(&fields)?,
        })
    }
}

/// 404 for a model that is not among `models`.
#[must_use]
pub fn unknown_model(model: &str, models: &[String]) -> ApiError {
    // What a client sent comes back no longer than any name is.
    let model: String = model.chars().take(MAX_NAME_CHARS).collect();
    let message = format!("the model `{model}` is not served here; there is: {}", models.join(", "));
    let error = ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message);
    ApiError { param: Some("model".into()), ..error }
}

fn missing(name: &str, remedy: &str) -> ApiError {
    ApiError {
        code: "missing_required_parameter",
        ..ApiError::invalid(name, format!("`{name}` is missing: {remedy}"))
    }
}

fn max_tokens(fields: &Fields<'_>, endpoint: Endpoint) -> Result<Option<usize>, ApiError> {
    let read = |name| {
        let tokens = fields.integer(name, 1)?;
        Ok::<_, ApiError>(tokens.map(|tokens| usize::try_from(tokens).unwrap_or(usize::MAX)))
    };
    let given = read("max_completion_tokens")?.or(read("max_tokens")?);
    Ok(match endpoint {
        Endpoint::Chat => given,
        Endpoint::Completions => given.or(Some(COMPLETION_TOKENS)),
    })
}

fn sampling(fields: &Fields<'_>, seed: Option<i64>) -> Result<Sampling, ApiError> {
    let default = Sampling::default();
    let number = |name, range| {
        let number = fields.number(name, range)?;
        #[expect(clippy::cast_possible_truncation, reason = "a small number; f32 is what logits are")]
        Ok::<_, ApiError>(number.map(|number| number as f32))
    };
    Ok(Sampling {
        temperature: number("temperature", 0.0..=2.0)?.unwrap_or(default.temperature),
        top_p: fields.number("top_p", 0.0..=1.0)?.unwrap_or(default.top_p),
        // Other servers take -1 for "all".
        top_k: usize::try_from(fields.integer("top_k", -1)?.unwrap_or(0)).unwrap_or(0),
        frequency_penalty: number("frequency_penalty", -2.0..=2.0)?.unwrap_or(default.frequency_penalty),
        presence_penalty: number("presence_penalty", -2.0..=2.0)?.unwrap_or(default.presence_penalty),
        seed: seed.unwrap_or_default().cast_unsigned(),
    })
}

fn stops(fields: &Fields<'_>) -> Result<Vec<String>, ApiError> {
    let expected = "a string or an array of at most four strings";
    match fields.get("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.clone()]),
        Some(Value::Array(stops)) if stops.len() > MAX_STOPS => Err(ApiError::invalid(
            "stop",
            format!("`stop` must be {expected}, and has {} strings", stops.len()),
        )),
        Some(Value::Array(stops)) => {
            let text = |(index, stop): (usize, &Value)| {
                let text = stop.as_str().map(str::to_owned);
                text.ok_or_else(|| wrong(&format!("stop[{index}]"), "a string", stop))
            };
            stops.iter().enumerate().map(text).collect()
        }
        Some(other) => Err(wrong("stop", expected, other)),
    }
}

/// By vLLM's name. An empty one is an error there, too: it would protect nothing.
fn cache_salt(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    match fields.string("cache_salt")? {
        Some(salt) if salt.is_empty() || salt.len() > MAX_SALT_BYTES => Err(ApiError::invalid(
            "cache_salt",
            format!("`cache_salt` must be a string of 1 to {MAX_SALT_BYTES} bytes, and has {}", salt.len()),
        )),
        salt => Ok(salt.map(str::to_owned)),
    }
}

/// Fields that would change the answer, with the values that leave it as it is (besides null).
fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), ApiError> {
    let none = || vec![json!(false), json!([]), json!({}), json!("")];
    let table = [
        ("tools", none(), "tool calls"),
        ("functions", none(), "function calls"),
        ("tool_choice", vec![json!("none"), json!("auto")], "tool calls"),
        ("function_call", vec![json!("none"), json!("auto")], "function calls"),
        ("response_format", vec![json!({"type": "text"})], "structured output"),
        ("n", vec![json!(1)], "more than one choice"),
        ("best_of", vec![json!(1)], "more than one choice"),
        ("top_logprobs", vec![json!(0)], "log probabilities"),
        ("prompt_logprobs", vec![], "log probabilities"),
        ("logit_bias", none(), "a logit bias"),
        ("modalities", vec![json!(["text"])], "other modalities than text"),
        ("audio", vec![], "audio"),
        ("prediction", vec![], "predicted outputs"),
        ("web_search_options", vec![], "web search"),
        ("suffix", none(), "a suffix"),
        ("echo", none(), "echoing the prompt"),
        ("min_p", vec![json!(0)], "min_p"),
        ("repetition_penalty", vec![json!(1)], "this penalty; there is frequency_penalty"),
        ("min_tokens", vec![json!(0)], "a least length"),
        ("ignore_eos", none(), "going on after the end"),
        ("grammar", none(), "structured output"),
        ("json_schema", none(), "structured output"),
        ("guided_json", none(), "structured output"),
        // A boolean for chat; for completions a number, of which even 0 asks for something.
        ("logprobs", vec![json!(false)], "log probabilities"),
    ];
    for (name, neutral, what) in table {
        if let Some(value) = fields.get(name)
            && !neutral.iter().any(|neutral| same(neutral, value))
        {
            let message = format!("`{name}`: this server does not support {what}; leave it out");
            return Err(ApiError::unsupported(name, message));
        }
    }
    Ok(())
}

/// Whether two values mean the same: some clients write whole numbers with a fraction.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn messages(fields: &Fields<'_>) -> Result<Value, ApiError> {
    let messages = match fields.get("messages") {
        Some(Value::Array(messages)) if !messages.is_empty() => messages,
        Some(Value::Array(_)) => {
            return Err(ApiError::invalid("messages", "`messages` is empty: send at least one message"));
        }
        Some(other) => return Err(wrong("messages", "an array of messages", other)),
        None => return Err(missing("messages", "send an array of messages")),
    };
    let read = |(index, value): (usize, &Value)| {
        let path = format!("messages[{index}]");
        match value {
            Value::Object(map) => message(&Fields { path: &path, map }),
            other => Err(wrong(&path, "an object", other)),
        }
    };
    messages.iter().enumerate().map(read).collect()
}

fn message(fields: &Fields<'_>) -> Result<Value, ApiError> {
    let path = fields.path_to("role");
    let role = match fields.string("role")? {
        Some(role @ ("system" | "user" | "assistant")) => role,
        // The newer name for the same thing.
        Some("developer") => "system",
        Some("tool" | "function") => {
            return Err(ApiError::unsupported(
                path.clone(),
                format!("`{path}`: this server does not support tool calls; leave their messages out"),
            ));
        }
        Some(_) => {
            return Err(ApiError::invalid(
                path.clone(),
                format!("`{path}` must be one of system, developer, user and assistant"),
            ));
        }
        None => return Err(missing(&path, "say who speaks: system, user or assistant")),
    };
    for name in ["tool_calls", "function_call", "audio"] {
        if fields.get(name).is_some_and(|value| *value != json!([])) {
            let path = fields.path_to(name);
            let message = format!("`{path}`: this server does not support {name}; leave the message out");
            return Err(ApiError::unsupported(path, message));
        }
    }
    let path = fields.path_to("content");
    let content = match fields.map.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let text = |(index, part)| text_part(&format!("{path}[{index}]"), part);
            parts.iter().enumerate().map(text).collect::<Result<_, _>>()?
        }
        // A turn that said nothing: some clients send null for that, others leave it out.
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None => return Err(missing(&path, "send the message's text")),
        Some(other) => return Err(wrong(&path, "a string or an array of text parts", other)),
    };
    Ok(json!({"role": role, "content": content}))
}

fn text_part(path: &str, part: &Value) -> Result<String, ApiError> {
    let Value::Object(map) = part else { return Err(wrong(path, "an object", part)) };
    let fields = Fields { path, map };
    match fields.string("type")? {
        Some("text") => fields
            .string("text")?
            .map(str::to_owned)
            .ok_or_else(|| missing(&fields.path_to("text"), "a text part holds its text here")),
        Some(_) => {
            let path = fields.path_to("type");
            let message = format!("`{path}`: this server takes parts of type `text` only");
            Err(ApiError::unsupported(path, message))
        }
        None => Err(missing(&fields.path_to("type"), "say what the part is: `text`")),
    }
}

fn prompt(fields: &Fields<'_>, vocab_size: usize) -> Result<Input, ApiError> {
    let expected = "a string or an array of token ids";
    let values = match fields.get("prompt") {
        Some(Value::String(text)) => return Ok(Input::Text(text.clone())),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(wrong("prompt", expected, other)),
        None => return Err(missing("prompt", "send the text to continue")),
    };
    match values.as_slice() {
        [] => Err(ApiError::invalid("prompt", "`prompt` is empty: send the text or the tokens to continue")),
        [Value::String(text)] => Ok(Input::Text(text.clone())),
        [Value::String(_) | Value::Array(_), ..] => {
            Err(ApiError::unsupported("prompt", "`prompt`: this server takes one prompt per request"))
        }
        _ => {
            let token = |(index, value): (usize, &Value)| {
                let path = format!("prompt[{index}]");
                let id = value.as_u64().ok_or_else(|| wrong(&path, "a token id", value))?;
                TokenId::try_from(id).ok().filter(|&id| (id as usize) < vocab_size).ok_or_else(|| {
                    let message =
                        format!("`{path}` is {id}, and the model's token ids end at {}", vocab_size - 1);
                    ApiError::invalid(path, message)
                })
            };
            Ok(Input::Tokens(values.iter().enumerate().map(token).collect::<Result<_, _>>()?))
        }
    }
}
