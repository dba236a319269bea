//! What one object with counts says, under whatever names.

use crate::dialect::json::{list, pick, pick_with_null, string, whole_number};
use moegate_wire::Nanodollars;
use serde_json::value::RawValue;

/// Numbers by what they mean. Where several names mean the same, the larger one.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    /// The whole prompt, what was cached included.
    pub(super) prompt: Option<u64>,
    /// Gemini's `toolUsePromptTokenCount`: of what its own tools brought in, beside the prompt.
    pub(super) tool_use: Option<u64>,
    /// Anthropic's `input_tokens`: what was neither read from a cache nor written to one. In OpenAI's Responses the whole.
    pub(super) input: Option<u64>,
    pub(super) completion: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) reasoning: Option<u64>,
    /// Part of the prompt.
    pub(super) cached: Option<u64>,
    /// Anthropic's, llama.cpp's: beside `input`.
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    /// Part of `cache_write`.
    pub(super) cache_write_1h: Option<u64>,
    /// Parts of prompt and completion. Gemini counts in the prompt what of it was cached, which is told apart.
    pub(super) audio_prompt: Option<u64>,
    pub(super) audio_cached: Option<u64>,
    pub(super) audio_completion: Option<u64>,
    /// DeepSeek's, whose prompt is hits and misses.
    pub(super) cache_miss: Option<u64>,
    /// It may be null.
    pub(super) cost: Option<&'a RawValue>,
    /// Of a gateway before this one.
    pub(super) cost_of_upstream: Option<&'a RawValue>,
    ticks: Option<u64>,
    estimated_cost: Option<&'a RawValue>,
}

#[derive(Clone, Copy)]
enum Means {
    Prompt,
    ToolUse,
    Input,
    Completion,
    Total,
    Reasoning,
    Cached,
    CacheRead,
    CacheWrite,
    CacheMiss,
    CacheWrite1h,
    AudioPrompt,
    AudioCached,
    AudioCompletion,
}
use Means::{
    AudioCached, AudioCompletion, AudioPrompt, CacheMiss, CacheRead, CacheWrite, CacheWrite1h, Cached,
    Completion, Input, Prompt, Reasoning, ToolUse, Total,
};

/// Beside each: whose name it is.
const NUMBERS: [(&str, Means); 28] = [
    ("prompt_tokens", Prompt),
    ("completion_tokens", Completion),
    ("total_tokens", Total),
    ("reasoning_tokens", Reasoning),         // Perplexity, beside the others
    ("cached_tokens", Cached),               // Moonshot: vercel/ai#12352
    ("prompt_cache_hit_tokens", Cached),     // DeepSeek
    ("prompt_cache_miss_tokens", CacheMiss), // DeepSeek
    ("input_tokens", Input),                 // Anthropic, OpenAI's Responses
    ("output_tokens", Completion),           // Anthropic, OpenAI's Responses
    ("cache_read_input_tokens", CacheRead),  // Anthropic, LiteLLM
    ("cache_creation_input_tokens", CacheWrite), // Anthropic, LiteLLM
    ("inputTokens", Input),                  // Bedrock
    ("outputTokens", Completion),            // Bedrock
    ("totalTokens", Total),                  // Bedrock
    ("cacheReadInputTokens", CacheRead),     // Bedrock
    ("cacheWriteInputTokens", CacheWrite),   // Bedrock
    ("inputTokenCount", Input),              // Bedrock's metrics: langchain#14120
    ("outputTokenCount", Completion),        // the same
    ("promptTokenCount", Prompt),            // Gemini
    ("toolUsePromptTokenCount", ToolUse),    // Gemini
    ("candidatesTokenCount", Completion),    // Gemini
    ("thoughtsTokenCount", Reasoning),       // Gemini
    ("cachedContentTokenCount", Cached),     // Gemini
    ("totalTokenCount", Total),              // Gemini
    ("prompt_n", Input),                     // llama.cpp's `timings`, without what was cached
    ("cache_n", CacheRead),                  // llama.cpp: ggml-org/llama.cpp#15827
    ("predicted_n", Completion),             // llama.cpp
    ("num_cached_tokens", Cached),           // Mistral
];

/// Objects within.
const DETAILS: [(&str, &[(&str, Means)]); 5] = [
    ("prompt_tokens_details", OF_PROMPT),
    ("input_tokens_details", OF_PROMPT),
    ("completion_tokens_details", OF_COMPLETION),
    ("output_tokens_details", OF_COMPLETION),
    // Anthropic: "Prompt caching", 1-hour cache duration.
    ("cache_creation", &[("ephemeral_1h_input_tokens", CacheWrite1h)]),
];
const OF_PROMPT: &[(&str, Means)] = &[
    ("cached_tokens", Cached),
    ("audio_tokens", AudioPrompt),
    ("cache_write_tokens", CacheWrite), // OpenRouter
];
const OF_COMPLETION: &[(&str, Means)] = &[
    ("reasoning_tokens", Reasoning),
    ("audio_tokens", AudioCompletion),
    ("thinking_tokens", Reasoning), // Anthropic
];

/// Lists of objects: the name, the member that tells what kind an entry is, the kind, the member with its count.
const LISTS: [(&str, &str, &str, &str, Means); 4] = [
    // Gemini: `ModalityTokenCount`.
    ("promptTokensDetails", "modality", "AUDIO", "tokenCount", AudioPrompt),
    ("cacheTokensDetails", "modality", "AUDIO", "tokenCount", AudioCached),
    ("candidatesTokensDetails", "modality", "AUDIO", "tokenCount", AudioCompletion),
    // Bedrock: `TokenUsage` of Converse.
    ("cacheDetails", "ttl", "1h", "inputTokens", CacheWrite1h),
];

const OTHERS: [&str; 4] = ["cost", "upstream_cost", "cost_in_usd_ticks", "estimated_cost"];

/// All names, in that order.
const NAMES: [&str; LISTS_AT + LISTS.len()] = {
    let mut names = [""; LISTS_AT + LISTS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < OTHERS_AT {
            NUMBERS[at].0
        } else if at < DETAILS_AT {
            OTHERS[at - OTHERS_AT]
        } else if at < LISTS_AT {
            DETAILS[at - DETAILS_AT].0
        } else {
            LISTS[at - LISTS_AT].0
        };
        at += 1;
    }
    names
};
const OTHERS_AT: usize = NUMBERS.len();
const DETAILS_AT: usize = OTHERS_AT + OTHERS.len();
const LISTS_AT: usize = DETAILS_AT + DETAILS.len();

/// A tick is 10⁻¹⁰ dollars (xAI: docs.x.ai, cost tracking).
const TICKS_PER_NANODOLLAR: u64 = 10;

impl<'a> Told<'a> {
    /// `None` where it is no object, or what it says of prompt or answer is no count.
    pub(super) fn read(object: &'a RawValue) -> Option<Self> {
        let found = pick_with_null(object.get(), &NAMES)?;
        let mut told = Self::default();
        for ((_, means), raw) in NUMBERS.iter().zip(found) {
            told.put(*means, raw)?;
        }
        for ((_, parts), raw) in DETAILS.iter().zip(&found[DETAILS_AT..]) {
            let Some(raw) = raw else { continue };
            for (name, means) in *parts {
                told.put(*means, pick(raw.get(), &[*name]).and_then(|[part]| part))?;
            }
        }
        for ((_, of, kind, count, means), raw) in LISTS.iter().zip(&found[LISTS_AT..]) {
            for entry in raw.and_then(list).unwrap_or_default() {
                let Some([own, count]) = pick(entry.get(), &[*of, *count]) else { continue };
                if own.and_then(string).is_some_and(|own| own == *kind) {
                    told.put(*means, count)?;
                }
            }
        }
        let [cost, upstream, ticks, estimated] = *found[OTHERS_AT..].first_chunk()?;
        (told.cost, told.cost_of_upstream) = (cost, upstream);
        (told.ticks, told.estimated_cost) = (ticks.and_then(whole_number), estimated);
        Some(told)
    }

    fn put(&mut self, means: Means, raw: Option<&RawValue>) -> Option<()> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Some(()) };
        let number = whole_number(raw);
        if number.is_none() && matches!(means, Prompt | Input | Completion) {
            return None;
        }
        let slot = match means {
            Prompt => &mut self.prompt,
            ToolUse => &mut self.tool_use,
            Input => &mut self.input,
            Completion => &mut self.completion,
            Total => &mut self.total,
            Reasoning => &mut self.reasoning,
            Cached => &mut self.cached,
            CacheRead => &mut self.cache_read,
            CacheWrite => &mut self.cache_write,
            CacheMiss => &mut self.cache_miss,
            CacheWrite1h => &mut self.cache_write_1h,
            AudioPrompt => &mut self.audio_prompt,
            AudioCached => &mut self.audio_cached,
            AudioCompletion => &mut self.audio_completion,
        };
        *slot = (*slot).max(number);
        Some(())
    }

    /// What the origin says that it cost.
    pub(super) fn upstream_cost(&self) -> Option<Nanodollars> {
        let ticks = self.ticks.map(|ticks| Nanodollars(ticks / TICKS_PER_NANODOLLAR));
        // Perplexity's is an object.
        let total = || pick(self.cost?.get(), &["total_cost"]).and_then(|[total]| nanodollars(total?));
        ticks.or_else(|| nanodollars(self.cost?)).or_else(total).or_else(|| nanodollars(self.estimated_cost?))
    }
}

/// Dollars as a JSON number.
pub(super) fn nanodollars(raw: &RawValue) -> Option<Nanodollars> {
    let dollars: f64 = serde_json::from_str(raw.get()).ok()?;
    let nano = (dollars * 1e9).round();
    (0.0..=(1_u64 << 53) as f64).contains(&nano).then_some(Nanodollars(nano as u64))
}
