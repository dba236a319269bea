//! Providers by the names that LiteLLM and Portkey have for them, and where each one's API is.

use super::draft::{Draft, Place};
use super::value::problem;
use moegate_config::{Authority, Problem};

pub(super) struct Provider {
    /// The first one names the origin.
    pub(super) names: &'static [&'static str],
    /// As in `kind` of moegate.toml.
    pub(super) kind: &'static str,
    /// The public API's base, where there is one. From the provider's API reference.
    pub(super) url: Option<&'static str>,
    /// The environment variable that LiteLLM reads its key from; `None`: it needs no key.
    pub(super) variable: Option<&'static str>,
}

const fn hosted(names: &'static [&'static str], url: &'static str, variable: &'static str) -> Provider {
    Provider { names, kind: "openai", url: Some(url), variable: Some(variable) }
}

/// Without a key, at an address that the source must have.
const fn own(names: &'static [&'static str], kind: &'static str) -> Provider {
    Provider { names, kind, url: None, variable: None }
}

pub(super) const PROVIDERS: &[Provider] = &[
    hosted(&["openai", "open-ai", "text-completion-openai"], "https://api.openai.com/v1", "OPENAI_API_KEY"),
    Provider {
        names: &["anthropic"],
        kind: "anthropic",
        url: Some("https://api.anthropic.com/v1"),
        variable: Some("ANTHROPIC_API_KEY"),
    },
    Provider {
        names: &["gemini", "google"],
        kind: "gemini",
        url: Some("https://generativelanguage.googleapis.com/v1beta"),
        variable: Some("GEMINI_API_KEY"),
    },
    Provider {
        names: &["azure", "azure-openai"],
        kind: "azure-openai",
        url: None,
        variable: Some("AZURE_API_KEY"),
    },
    Provider {
        names: &["bedrock", "bedrock_converse"],
        kind: "bedrock",
        url: None,
        variable: Some("AWS_SECRET_ACCESS_KEY"),
    },
    Provider {
        names: &["vertex", "vertex_ai", "vertex-ai", "vertex_ai_beta"],
        kind: "vertex",
        url: None,
        variable: Some("VERTEX_SERVICE_ACCOUNT"),
    },
    Provider {
        names: &["openrouter"],
        kind: "openrouter",
        url: Some("https://openrouter.ai/api/v1"),
        variable: Some("OPENROUTER_API_KEY"),
    },
    hosted(&["groq"], "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    hosted(&["together", "together_ai", "together-ai"], "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    hosted(&["mistral", "mistral-ai"], "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    hosted(&["deepseek"], "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    hosted(
        &["fireworks", "fireworks_ai", "fireworks-ai"],
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
    ),
    hosted(&["perplexity", "perplexity-ai"], "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    hosted(&["xai", "x-ai"], "https://api.x.ai/v1", "XAI_API_KEY"),
    hosted(&["cerebras"], "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    hosted(&["sambanova"], "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    hosted(&["deepinfra"], "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    hosted(&["nvidia", "nvidia_nim"], "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    hosted(&["moonshot"], "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    hosted(&["nebius"], "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    hosted(&["novita", "novita-ai"], "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    hosted(&["hyperbolic"], "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    hosted(&["cohere", "cohere_chat"], "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    hosted(&["dashscope"], "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    hosted(&["zai", "z-ai"], "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
    hosted(&["siliconflow"], "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY"),
    hosted(
        &["featherless", "featherless_ai", "featherless-ai"],
        "https://api.featherless.ai/v1",
        "FEATHERLESS_AI_API_KEY",
    ),
    hosted(&["huggingface"], "https://router.huggingface.co/v1", "HUGGINGFACE_API_KEY"),
    Provider {
        names: &["ollama", "ollama_chat"],
        kind: "ollama",
        url: Some("http://localhost:11434/v1"),
        variable: None,
    },
    own(&["vllm", "hosted_vllm"], "vllm"),
    own(&["sglang"], "sglang"),
    own(&["llamacpp", "llamafile"], "llamacpp"),
    own(&["tgi"], "tgi"),
    own(
        &["lm_studio", "lmstudio", "custom_openai", "openai_like", "litellm_proxy", "xinference", "modal"],
        "openai",
    ),
    Provider {
        names: &["azure_ai", "azure-ai"],
        kind: "openai",
        url: None,
        variable: Some("AZURE_AI_API_KEY"),
    },
];

pub(super) fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.names.contains(&name))
}

impl Provider {
    pub(super) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Where it is: at the source's URL, or at the public one.
    ///
    /// # Errors
    /// There is no URL, or what stands at `path` is none.
    pub(super) fn place(&self, draft: &mut Draft, path: &str, url: Option<&str>) -> Result<Place, Problem> {
        let Some(url) = url else {
            let Some(url) = self.url else {
                return Err(problem(
                    path,
                    format!("is missing: `{}` has no address of its own", self.name()),
                ));
            };
            return Ok(Place { kind: self.kind, url: url.to_owned(), api_version: None });
        };
        // The router of the hosted service speaks like OpenAI; a server at another address is the inference server.
        let kind = if self.name() == "huggingface" { "tgi" } else { self.kind };
        let url = plain_url(draft, path, url)?;
        Ok(Place { kind, url: with_version(kind, url), api_version: None })
    }
}

/// Bases that the other gateways write without the version, which they add.
fn with_version(kind: &str, url: String) -> String {
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    match kind {
        "anthropic" | "ollama" | "llamacpp" | "sglang" | "tgi" | "vllm" if !has_path => url + "/v1",
        "gemini" if !has_path => url + "/v1beta",
        _ => url,
    }
}

/// A URL as `moegate.toml` takes it. Where the key would go in the clear, `https` is written and listed.
///
/// # Errors
/// It is no plain absolute URL.
pub(super) fn plain_url(draft: &mut Draft, path: &str, url: &str) -> Result<String, Problem> {
    let url = url.trim().trim_end_matches('/');
    let (scheme, rest) = url.split_once("://").ok_or_else(|| not_a_url(path))?;
    let (host, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut url = format!("{}://{}{tail}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    // Every address of this machine: as a place to call, this machine.
    if let Some(rest) = url.strip_prefix("http://0.0.0.0") {
        url = format!("http://127.0.0.1{rest}");
        draft.differs(path, "0.0.0.0 is no address to call: 127.0.0.1 is written");
    }
    let authority = Authority::of(&url).ok_or_else(|| not_a_url(path))?;
    if authority.scheme == "http" && !authority.is_loopback() {
        draft.differs(
            path,
            "is http, by which the key would go in the clear: https is written; let the server have TLS, by a tunnel or proxy",
        );
        url = url.replacen("http://", "https://", 1);
    }
    Ok(url)
}

fn not_a_url(path: &str) -> Problem {
    problem(
        path,
        "is no plain URL: write it as https://host[:port]/path, without user name, password and placeholders",
    )
}

/// The provider whose models are called so, and which part of a name says it.
pub(super) fn by_model(model: &str) -> Option<&'static Provider> {
    const BEGINNINGS: &[(&str, &str)] = &[
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("text-embedding-", "openai"),
        ("dall-e-", "openai"),
        ("whisper-", "openai"),
        ("tts-", "openai"),
        ("omni-moderation-", "openai"),
        ("text-moderation-", "openai"),
        ("ft:gpt-", "openai"),
        ("claude-", "anthropic"),
        ("gemini-", "vertex_ai"),
        ("command-", "cohere"),
        ("anthropic.", "bedrock"),
        ("amazon.", "bedrock"),
        ("meta.", "bedrock"),
    ];
    BEGINNINGS.iter().find(|(start, _)| model.starts_with(start)).and_then(|(_, name)| provider(name))
}

/// The provider that a vault's entry is named after: `openai-prod-4f2a` → OpenAI. Longer names first.
pub(super) fn by_slug(slug: &str) -> Option<&'static Provider> {
    let slug = slug.to_ascii_lowercase();
    let names =
        PROVIDERS.iter().flat_map(|provider| provider.names.iter().map(move |name| (*name, provider)));
    let begins = |name: &str| {
        slug.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    names.filter(|(name, _)| begins(name)).max_by_key(|(name, _)| name.len()).map(|(_, provider)| provider)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_provider_s_each_and_urls_are_plain() {
        let mut names: Vec<_> = PROVIDERS.iter().flat_map(|provider| provider.names).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for provider in PROVIDERS {
            assert!(provider.url.is_none_or(|url| Authority::of(url).is_some()), "{}", provider.name());
        }
    }

    #[test]
    fn slugs() {
        let of = |slug| by_slug(slug).map(Provider::name);
        assert_eq!(of("openai-258f4d"), Some("openai"));
        assert_eq!(of("azure-openai-eu"), Some("azure"));
        assert_eq!(of("OpenAI_prod"), Some("openai"));
        assert_eq!(of("openaiish"), None);
        assert_eq!(of("main-258f4d"), None);
    }

    #[test]
    fn urls() {
        let of = |url: &str| {
            let mut draft = Draft::default();
            plain_url(&mut draft, "x", url)
                .map(|url| (url, draft.notes.len()))
                .map_err(|problem| problem.path)
        };
        for (url, expected) in [
            ("https://A.example/V1/", Ok(("https://a.example/V1".to_owned(), 0))),
            ("http://localhost:11434", Ok(("http://localhost:11434".to_owned(), 0))),
            ("http://0.0.0.0:8000/v1", Ok(("http://127.0.0.1:8000/v1".to_owned(), 1))),
            ("http://vllm:8000/v1", Ok(("https://vllm:8000/v1".to_owned(), 1))),
            ("https://user:secret@a.example", Err("x".to_owned())),
            ("<your-endpoint>", Err("x".to_owned())),
        ] {
            assert_eq!(of(url), expected, "{url}");
        }
    }
}
