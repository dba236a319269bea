//! The APIs of the matrix.

use serde_json::{Value, json};

/// As clients speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientApi {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    AiSdk,
}

/// As origins speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginApi {
    Chat,
    Anthropic,
    Gemini,
    Bedrock,
}

/// A request to the gateway.
pub struct ClientCall {
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl ClientApi {
    pub const ALL: [Self; 5] = [Self::Chat, Self::Responses, Self::Anthropic, Self::Gemini, Self::AiSdk];

    /// The folder of its fixtures.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::AiSdk => "ai_sdk",
        }
    }

    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Chat => "OpenAI chat completions",
            Self::Responses => "OpenAI Responses",
            Self::Anthropic => "Anthropic Messages",
            Self::Gemini => "Gemini generateContent",
            Self::AiSdk => "the AI SDK's gateway provider",
        }
    }

    /// The request as that API's client sends it. `fixture`: with `MODEL` for the model's name.
    #[must_use]
    pub fn call(self, fixture: &Value, model: &str, stream: bool, key: &str) -> ClientCall {
        let mut body = fixture.clone();
        let has_model = !matches!(self, Self::Gemini | Self::AiSdk);
        if let (Some(members), true) = (body.as_object_mut(), has_model) {
            members.insert("model".to_owned(), json!(model));
            if stream {
                members.insert("stream".to_owned(), json!(true));
            }
            if stream && self == Self::Chat {
                members.insert("stream_options".to_owned(), json!({"include_usage": true}));
            }
        }
        let path = match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".to_owned(),
            (Self::Responses, _) => "/v1/responses".to_owned(),
            (Self::Anthropic, _) => "/v1/messages".to_owned(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Self::AiSdk, _) => "/v4/ai/language-model".to_owned(),
        };
        let headers = match self {
            Self::Chat | Self::Responses => vec![("authorization", format!("Bearer {key}"))],
            Self::Anthropic => {
                vec![("x-api-key", key.to_owned()), ("anthropic-version", "2023-06-01".to_owned())]
            }
            Self::Gemini => vec![("x-goog-api-key", key.to_owned())],
            Self::AiSdk => vec![
                ("authorization", format!("Bearer {key}")),
                ("ai-language-model-id", model.to_owned()),
                ("ai-language-model-specification-version", "4".to_owned()),
                ("ai-language-model-streaming", stream.to_string()),
            ],
        };
        ClientCall { path, headers, body: body.to_string().into_bytes() }
    }
}

impl OriginApi {
    pub const ALL: [Self; 4] = [Self::Chat, Self::Anthropic, Self::Gemini, Self::Bedrock];

    /// The folder of its fixtures, and the name of its origin.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
        }
    }

    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Chat => "`openai` and compatible kinds",
            Self::Anthropic => "`anthropic`",
            Self::Gemini => "`gemini`",
            Self::Bedrock => "`bedrock`",
        }
    }
}
