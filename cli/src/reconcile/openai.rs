//! What OpenAI's dashboard exports as CSV: usage and costs.
//!
//! The usage export has a line for each bucket of time and group, with the members of the usage API's results as columns
//! (<https://platform.openai.com/docs/api-reference/usage>: `input_tokens` "including cached tokens"). A real one, with counts
//! as `10.0` and empty buckets as lines without a model: github.com/xavierjflanagan/Guardian,
//! `openai-usage-and-cost-report-2025-10-12.md`.
//!
//! The cost export has the members of the costs API's results (`amount_value`, `amount_currency`, `line_item`, `quantity`;
//! <https://platform.openai.com/docs/api-reference/usage/costs>). Amounts have up to 30 decimal places, and line items are
//! texts such as `gpt-4o-mini-2024-07-18, cached input`.

use super::figures::{Figures, What};
use super::invoice::{Format, Line};
use super::table::Record;

pub(super) const USAGE: Format = Format {
    title: "OpenAI's usage export",
    columns: &["start_time", "num_model_requests", "input_tokens"],
    measures: |table| {
        let mut measures = vec![What::Requests, What::Input];
        for (column, what) in OPTIONAL {
            if table.has(column) {
                measures.push(what);
            }
        }
        measures
    },
    line: |record| {
        let mut figures = Figures::default();
        figures.add(What::Requests, record.count("num_model_requests")?)?;
        figures.add(What::Input, record.count("input_tokens")?)?;
        for (column, what) in OPTIONAL {
            figures.add(what, record.count(column)?)?;
        }
        Ok(Line { day: day(record)?, model: record.text("model").to_owned(), figures })
    },
    check: |_| Ok(Vec::new()),
};

/// Usage of embeddings has no output; what is written to caches came to the export later.
const OPTIONAL: [(&str, What); 3] = [
    ("input_cached_tokens", What::Cached),
    ("input_cache_write_tokens", What::CacheWrite),
    ("output_tokens", What::Output),
];

pub(super) const COST: Format = Format {
    title: "OpenAI's cost export",
    columns: &["start_time", "amount_value", "amount_currency"],
    measures: |table| {
        // Tokens are compared only where every line item of tokens says how many.
        let mut kinds = Vec::new();
        let mut all_counted = true;
        for record in table.records() {
            if let Item::Tokens { what, .. } = item(record.text("line_item")) {
                all_counted &= record.cell("quantity").is_some();
                kinds.push(what);
            }
        }
        let tokens = [What::Input, What::Cached, What::CacheWrite, What::Output];
        let counted = tokens.into_iter().filter(|_| all_counted && !kinds.is_empty());
        counted.chain([What::Cost]).collect()
    },
    line: |record| {
        let day = day(record)?;
        let mut figures = Figures::default();
        let Some(currency) = record.cell("amount_currency") else {
            // A day without usage.
            return Ok(Line { day, model: String::new(), figures });
        };
        if !currency.text.eq_ignore_ascii_case("usd") {
            return Err(currency.problem("no currency that the ledger is kept in: usd"));
        }
        figures.add(What::Cost, record.dollars("amount_value")?)?;
        let model = match item(record.text("line_item")) {
            Item::Tokens { model, what } => {
                let quantity = record.count("quantity")?;
                figures.add(what, quantity)?;
                if matches!(what, What::Cached | What::CacheWrite) {
                    figures.add(What::Input, quantity)?;
                }
                model
            }
            Item::Other(text) => text,
        };
        Ok(Line { day, model: model.to_owned(), figures })
    },
    check: |_| Ok(Vec::new()),
};

/// What a line item is of.
#[derive(Debug, PartialEq, Eq)]
enum Item<'a> {
    /// Tokens of a model. What is cached or written is billed apart from the rest of the input.
    Tokens { model: &'a str, what: What },
    /// Anything else, such as `web search tool calls`; empty where costs are not grouped by line item.
    Other(&'a str),
}

/// `[tier | ]model[ modality], kind[, more]`.
fn item(text: &str) -> Item<'_> {
    let mut parts = text.split(',').map(str::trim);
    let head = parts.next().unwrap_or_default();
    let what = match parts.next() {
        Some("input" | "input_tokens") => What::Input,
        Some("cached input" | "cached_input_tokens" | "input_cached_tokens") => What::Cached,
        Some("cache writes" | "cache write") => What::CacheWrite,
        Some("output" | "output_tokens") => What::Output,
        _ => return Item::Other(text),
    };
    let head = head.rsplit_once(" | ").map_or(head, |(_, head)| head);
    let model = head.split_whitespace().next().unwrap_or_default();
    Item::Tokens { model, what }
}

/// # Errors
/// The bucket is longer than a day, or says no time.
fn day(record: &Record<'_>) -> Result<String, String> {
    let day = record.day(&["start_time", "start_time_iso"])?;
    let seconds = record.count("end_time")? - record.count("start_time")?;
    if seconds > 86_400 {
        return Err(format!(
            "line {}: a bucket of {seconds} seconds; days are compared: export by day",
            record.line()
        ));
    }
    Ok(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_items() {
        let tokens = |model, what| Item::Tokens { model, what };
        for (text, expected) in [
            ("gpt-4o-mini-2024-07-18, cached input", tokens("gpt-4o-mini-2024-07-18", What::Cached)),
            ("gpt-5-nano, input_tokens", tokens("gpt-5-nano", What::Input)),
            ("priority | gpt-5.6-sol, output, long context", tokens("gpt-5.6-sol", What::Output)),
            ("gpt-audio-mini-2025-12-15 audio, input", tokens("gpt-audio-mini-2025-12-15", What::Input)),
            ("gpt-5.6-sol, cache writes", tokens("gpt-5.6-sol", What::CacheWrite)),
            ("web search tool calls", Item::Other("web search tool calls")),
            ("assistants api | file search", Item::Other("assistants api | file search")),
            ("whisper-1, audio", Item::Other("whisper-1, audio")),
            ("", Item::Other("")),
        ] {
            assert_eq!(item(text), expected, "{text}");
        }
    }
}
