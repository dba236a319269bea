//! What an origin speaks.

use serde::{Deserialize, Serialize};

/// What an origin speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Our own `moe-server`: streams are relayed unread and metered by signed receipts.
    Moegate,
    /// OpenAI, and anything with an OpenAI-compatible API.
    Openai,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API, with an API key.
    Gemini,
    /// Azure OpenAI, with an API key.
    AzureOpenai,
    /// Amazon Bedrock's Converse API.
    Bedrock,
    /// Google's Vertex AI, with a service account: Gemini, and Claude by models whose name begins with `claude`.
    Vertex,
    /// OpenRouter.
    Openrouter,
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    Llamacpp,
    /// Ollama.
    Ollama,
    /// Hugging Face's Text Generation Inference.
    Tgi,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Moegate,
        Self::Openai,
        Self::Anthropic,
        Self::Gemini,
        Self::AzureOpenai,
        Self::Bedrock,
        Self::Vertex,
        Self::Openrouter,
        Self::Vllm,
        Self::Sglang,
        Self::Llamacpp,
        Self::Ollama,
        Self::Tgi,
    ];

    /// As in `kind` of moegate.toml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Moegate => "moegate",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::AzureOpenai => "azure-openai",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::Openrouter => "openrouter",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Llamacpp => "llamacpp",
            Self::Ollama => "ollama",
            Self::Tgi => "tgi",
        }
    }

    /// Whether it has OpenAI's `/chat/completions`.
    #[must_use]
    pub fn is_openai_compatible(self) -> bool {
        !matches!(self, Self::Anthropic | Self::Gemini | Self::Bedrock | Self::Vertex)
    }
}
