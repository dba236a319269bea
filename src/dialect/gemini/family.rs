//! What is known of Google's models by their names. New names get what the newest models have.

use crate::config::Kind;
use crate::dialect::format::Destination;

/// What a model takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    /// Gemini 3 and later: thoughts by level, signatures that are checked, files within a tool's result, structured output
    /// beside tools (<https://ai.google.dev/gemini-api/docs/gemini-3>).
    pub(super) is_three: bool,
    pub(super) thinking: Thinking,
    /// The most tokens of thoughts by budget, and the fewest.
    pub(super) budget: (u64, u64),
    /// The lowest level is `MINIMAL`; otherwise `LOW`.
    pub(super) has_minimal: bool,
    /// It takes files from any URL; Gemini 2.0 and earlier did not
    /// (<https://ai.google.dev/gemini-api/docs/file-input-methods>).
    pub(super) fetches: bool,
    /// The Gemini API refuses penalties for 2.5; Vertex AI takes them.
    pub(super) has_penalties: bool,
    /// Gemma 3 has no system prompt.
    pub(super) has_system: bool,
    pub(super) is_vertex: bool,
}

/// How a model is told how much to think (<https://ai.google.dev/gemini-api/docs/thinking>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    Never,
    Budget,
    Level,
}

impl Family {
    pub(super) fn of(to: &Destination<'_>) -> Self {
        let is_vertex = to.origin.kind == Kind::Vertex;
        let name = to.model.name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let is_gemini = name.starts_with("gemini-");
        let is_two = name.starts_with("gemini-2.5");
        let is_old = name.starts_with("gemini-1") || name.starts_with("gemini-2.0") || name == "gemini-pro";
        let is_three = is_gemini && !is_old && !is_two && !name.starts_with("gemini-robotics-er-1");
        let thinking = match () {
            () if is_two || name.starts_with("gemini-3-pro-image") => Thinking::Budget,
            () if is_three => Thinking::Level,
            () => Thinking::Never,
        };
        let budget = match () {
            () if name.contains("pro") => (32_768, if is_two { 128 } else { 0 }),
            () => (24_576, 0),
        };
        Self {
            is_three,
            thinking,
            budget,
            has_minimal: is_three && has_minimal(&name),
            fetches: !is_old,
            has_penalties: is_vertex || !is_two,
            has_system: !name.starts_with("gemma-3"),
            is_vertex,
        }
    }
}

/// Pro models, and Flash from 3.7 on, begin at `LOW`; so does what is not known.
fn has_minimal(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("gemini-3") else { return false };
    if name.contains("-pro") {
        return false;
    }
    let minor = rest.strip_prefix('.').and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    name.contains("-lite") || minor.unwrap_or(0) < 7
}
