//! Where in an answer or event the counts stand.

use super::{Reading, read};
use crate::dialect::json::pick;
use serde_json::value::RawValue;

/// Members beside `usage` and the choices that may hold counts: Groq's, llama.cpp's, Gemini's, Bedrock's.
pub(in crate::dialect) const OTHERS: [&str; 4] =
    ["x_groq", "timings", "usageMetadata", "amazon-bedrock-invocationMetrics"];

/// The counts of an answer or event.
pub(in crate::dialect) struct Found<'a> {
    pub(in crate::dialect) reading: Reading<'a>,
    /// They stand where OpenAI has them.
    pub(in crate::dialect) usual: bool,
}

/// The first place that says more than zeros: `usage`, the choices, the [`OTHERS`].
pub(in crate::dialect) fn find<'a>(
    usage: Option<&'a RawValue>,
    [x_groq, timings, metadata, metrics]: [Option<&'a RawValue>; 4],
    choices: &[&'a RawValue],
) -> Option<Found<'a>> {
    if let Some(reading) = usage.and_then(read) {
        return Some(Found { reading, usual: true });
    }
    let inner = |outer: &'a RawValue| pick(outer.get(), &["usage"]).and_then(|[usage]| usage);
    // Moonshot's and Groq's older streams, Gemini's names, llama.cpp without `usage`.
    let of_choices = choices.iter().filter_map(|choice| inner(choice));
    let others = [x_groq.and_then(inner), metadata, metrics, timings].into_iter().flatten();
    let reading = of_choices.chain(others).find_map(read)?;
    Some(Found { reading, usual: false })
}
