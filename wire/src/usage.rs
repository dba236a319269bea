//! Token counts of one request.

use serde::{Deserialize, Serialize};

/// Counts in tokens, besides `images`. `cached`, `cache_write` and `audio_prompt` are parts of `prompt`, `reasoning` and
/// `audio_completion` are parts of `completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub prompt: u64,
    /// Read from a cache.
    pub cached: u64,
    /// Written to a cache, where the provider has a price for it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_write: u64,
    /// Part of `cache_write`: written for an hour, which Anthropic has another price for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_write_1h: u64,
    /// Of audio, besides what was read from a cache.
    #[serde(default, skip_serializing_if = "is_none")]
    pub audio_prompt: u64,
    pub completion: u64,
    pub reasoning: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    pub audio_completion: u64,
    /// How many images were generated.
    #[serde(default, skip_serializing_if = "is_none")]
    pub images: u64,
}

impl Usage {
    /// The larger of both in each number.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        Self {
            prompt: self.prompt.max(other.prompt),
            cached: self.cached.max(other.cached),
            cache_write: self.cache_write.max(other.cache_write),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            audio_prompt: self.audio_prompt.max(other.audio_prompt),
            completion: self.completion.max(other.completion),
            reasoning: self.reasoning.max(other.reasoning),
            audio_completion: self.audio_completion.max(other.audio_completion),
            images: self.images.max(other.images),
        }
    }

    /// With each part no larger than what it is part of.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.cached = self.cached.min(self.prompt);
        self.cache_write = self.cache_write.min(self.prompt - self.cached);
        self.cache_write_1h = self.cache_write_1h.min(self.cache_write);
        self.audio_prompt = self.audio_prompt.min(self.prompt);
        self.reasoning = self.reasoning.min(self.completion);
        self.audio_completion = self.audio_completion.min(self.completion);
        self
    }
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
