//! What Anthropic's models take, by their names (Anthropic's guides "Extended thinking", "Effort", "Structured outputs" and
//! "Migration guide"; the catalog in npm `@ai-sdk/anthropic`). A name that says no version is one of the newest; a model of
//! somebody else behind the same API takes what the API's first models took.

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) struct Abilities {
    /// `thinking: adaptive`, with `output_config.effort`.
    pub(super) adaptive: bool,
    /// `thinking: enabled`, with a budget.
    pub(super) budget: bool,
    /// `output_config.effort` of `xhigh`.
    pub(super) xhigh: bool,
    /// Temperature, `top_p` and `top_k`.
    pub(super) sampling: bool,
    /// Temperature and `top_p` together.
    pub(super) both: bool,
    /// A tool choice that forces a call.
    pub(super) forced_tools: bool,
    /// `output_config.format`, and `strict` tools.
    pub(super) native_format: bool,
    /// An assistant's message at the end, to go on with.
    pub(in crate::dialect) prefill: bool,
}

impl Abilities {
    pub(in crate::dialect) fn of(model: &str) -> Self {
        let is_claude = model.contains("claude");
        let version = if is_claude { version(model).unwrap_or((99, 0)) } else { (3, 7) };
        let is = |family| model.contains(family);
        let is_largest = is_claude && (is("fable") || is("mythos"));
        Self {
            adaptive: version >= (4, 6),
            budget: version < (5, 5) && !is_largest,
            xhigh: version >= (4, 7),
            sampling: version < (4, 7),
            both: version < (4, 1),
            forced_tools: version < (5, 1) || is("haiku") && version < (6, 0),
            native_format: version >= (4, 5) || version == (4, 1),
            prefill: version < (4, 6),
        }
    }
}

/// `claude-opus-4-1-20250805`: 4 and 1. Numbers of more than two digits are dates.
fn version(model: &str) -> Option<(u32, u32)> {
    let mut numbers = model
        .split(['-', '@', '.', ':', '/'])
        .map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2))
        .skip_while(Option::is_none);
    let major = numbers.next()??;
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (model, expected) in [
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-opus-4-1-20250805", Some((4, 1))),
            ("claude-sonnet-4@20250514", Some((4, 0))),
            ("claude-haiku-4-5", Some((4, 5))),
            ("claude-fable-5-2", Some((5, 2))),
            ("claude-mythos-preview", None),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }

    #[test]
    fn abilities() {
        let old = Abilities::of("claude-haiku-4-5");
        assert!(old.budget && old.sampling && old.forced_tools && old.prefill && old.native_format);
        assert!(!old.adaptive && !old.both && !old.xhigh);
        let middle = Abilities::of("claude-opus-4-6");
        assert!(middle.budget && middle.adaptive && middle.sampling && !middle.prefill);
        let new = Abilities::of("claude-sonnet-5-5");
        assert!(new.adaptive && new.xhigh && new.native_format);
        assert!(!new.budget && !new.sampling && !new.forced_tools && !new.prefill);
        assert!(Abilities::of("claude-haiku-5-5").forced_tools);
        assert!(!Abilities::of("claude-fable-5").budget);
        let foreign = Abilities::of("kimi-k2.5");
        assert!(foreign.budget && foreign.both && !foreign.adaptive && !foreign.native_format);
    }
}
