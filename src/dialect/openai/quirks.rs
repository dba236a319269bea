//! What is known of each kind of OpenAI-compatible server.

use crate::config::{Kind, Origin};

/// What a server takes.
pub(super) struct Quirks {
    /// OpenAI's own models: reasoning ones refuse `max_tokens`, and none knows `top_k`.
    pub(super) is_openai: bool,
    pub(super) is_openrouter: bool,
    /// A chat template decides whether to think (vLLM, SGLang).
    pub(super) has_template_switch: bool,
}

impl Quirks {
    /// Whether it is one of OpenAI's own models.
    pub(super) fn is_openai(origin: &Origin, model: &str) -> bool {
        Self::of(origin, model).is_openai
    }

    pub(super) fn of(origin: &Origin, model: &str) -> Self {
        let at_openai = || origin.authority().is_some_and(|own| own.authority == "api.openai.com");
        Self {
            is_openai: origin.kind == Kind::AzureOpenai
                || origin.kind == Kind::Openai && at_openai()
                || refuses_max_tokens(origin, model),
            is_openrouter: origin.kind == Kind::Openrouter,
            has_template_switch: matches!(origin.kind, Kind::Vllm | Kind::Sglang),
        }
    }
}

/// Whether the model is one of OpenAI's that think, which take `max_completion_tokens` only (API reference, "Create chat
/// completion" > `max_tokens`), at OpenAI or behind a proxy.
pub(super) fn refuses_max_tokens(origin: &Origin, model: &str) -> bool {
    let number =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|own| own.parse::<u32>().ok());
    let is_newer = match (model.strip_prefix("gpt-"), model.strip_prefix('o')) {
        (Some(version), _) => number(version).is_some_and(|own| own >= 5),
        (_, Some(version)) => number(version).is_some(),
        _ => false,
    };
    is_newer && matches!(origin.kind, Kind::Openai | Kind::AzureOpenai)
}
