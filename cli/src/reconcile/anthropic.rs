//! What Anthropic's Console exports as CSV: tokens and costs.
//!
//! Anthropic documents only the API behind it (<https://docs.claude.com/en/api/usage-cost-api>); the columns are those of
//! exports in public repositories. Tokens (`claude_api_tokens_….csv`): `usage_date_utc,model_version,api_key,workspace,
//! usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,
//! usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed`; older ones have one column
//! `usage_input_tokens_cache_write`. Costs (`claude_api_cost_….csv`): `usage_date_utc,model,workspace,api_key,usage_type,
//! context_window,token_type,cost_usd,list_price_usd,cost_type,inference_geo,speed,…`, with the models' display names, and
//! amounts in cents.

use super::figures::{Figures, What};
use super::invoice::{Format, Line};
use super::table::Table;

const WRITES: [&str; 3] = [
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_write",
];
const READ: &str = "usage_input_tokens_cache_read";

pub(super) const USAGE: Format = Format {
    title: "Anthropic's token export",
    columns: &["usage_date_utc", "usage_input_tokens_no_cache", "usage_output_tokens"],
    measures: |table| {
        let mut measures = vec![What::Input];
        if table.has(READ) {
            measures.push(What::Cached);
        }
        if WRITES.iter().any(|column| table.has(column)) {
            measures.push(What::CacheWrite);
        }
        measures.push(What::Output);
        measures
    },
    line: |record| {
        let mut figures = Figures::default();
        let cached = record.count(READ)?;
        let mut input = record.count("usage_input_tokens_no_cache")? + cached;
        figures.add(What::Cached, cached)?;
        for column in WRITES {
            let written = record.count(column)?;
            figures.add(What::CacheWrite, written)?;
            input += written;
        }
        figures.add(What::Input, input)?;
        figures.add(What::Output, record.count("usage_output_tokens")?)?;
        let model = record.cell("model_version").or_else(|| record.cell("model"));
        Ok(Line {
            day: record.day(&["usage_date_utc"])?,
            model: model.map_or("", |cell| cell.text).to_owned(),
            figures,
        })
    },
    check: web_searches,
};

/// The ledger counts tokens.
fn web_searches(table: &Table) -> Result<Vec<String>, String> {
    let mut searches = 0;
    for record in table.records() {
        searches += record.count("web_search_count")?;
    }
    Ok(if searches == 0 {
        Vec::new()
    } else {
        vec![format!(
            "The invoice counts {searches} web searches, which are billed each; the ledger has no count of them."
        )]
    })
}

pub(super) const COST: Format = Format {
    title: "Anthropic's cost export",
    columns: &["usage_date_utc", "cost_usd"],
    measures: |_| vec![What::Cost],
    line: |record| {
        let mut figures = Figures::default();
        figures.add(What::Cost, record.dollars("cost_usd")?)?;
        // What is of no model, such as web searches, has another name at least.
        let named = ["model", "cost_type", "usage_type"].iter().find_map(|column| record.cell(column));
        Ok(Line {
            day: record.day(&["usage_date_utc"])?,
            model: named.map(|cell| id(cell.text)).unwrap_or_default(),
            figures,
        })
    },
    check: |_| Ok(Vec::new()),
};

/// The model's id, without its date, from the name that is displayed: `Claude Haiku 4.5`, `Claude 3.5 Sonnet 2024-10-22`.
fn id(displayed: &str) -> String {
    displayed.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-").replace('.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displayed_names() {
        assert_eq!(id("Claude Haiku 4.5"), "claude-haiku-4-5");
        assert_eq!(id("Claude 3.5 Sonnet 2024-10-22"), "claude-3-5-sonnet-2024-10-22");
        assert_eq!(id("claude-opus-4-1-20250805"), "claude-opus-4-1-20250805");
    }
}
