//! What a client key may read of its own account, as the AI SDK's gateway provider asks for it at the host's root:
//! `GET /v1/credits` (`getCredits`), `GET /v1/generation` (`getGenerationInfo`), `GET /v1/report` (`getSpendReport`).

use super::admin::needs_ledger;
use super::ledger::ask;
use super::{Gateway, authenticate, reply};
use crate::config::{Day, LedgerStore, Limit};
use crate::error::{ApiError, shown_name};
use crate::ledger::operation::{By, Filter, Sums, Totals};
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::{tenant_shard, window};
use crate::metering::record::{Record, moment};
use crate::metering::{DAY_MS, HOUR_MS};
use crate::platform::Platform;
use crate::routing::decode_name;
use http::{Method, Request};
use moegate_wire::Nanodollars;
use serde_json::{Map, Value, json};

const PATHS: [&str; 3] = ["/v1/credits", "/v1/generation", "/v1/report"];

/// Serves such a path; `None` where it is none of them.
pub(super) async fn serve<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    path: &str,
) -> Option<Result<(), ApiError>> {
    let at = PATHS.into_iter().position(|own| own == path)?;
    Some(answer(platform, gateway, head, at).await)
}

async fn answer<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    at: usize,
) -> Result<(), ApiError> {
    if !matches!(*head.method(), Method::GET | Method::HEAD) {
        return Err(ApiError::method("GET, HEAD"));
    }
    let caller = authenticate::client(platform, gateway, head).await?;
    if gateway.config.ledger.store == LedgerStore::KeyValue {
        return Err(needs_ledger());
    }
    let query = head.uri().query().unwrap_or("");
    let account = Account { platform, shard: tenant_shard(caller.tenant_or_name()) };
    let filter = Filter { key: Some(caller.name.clone()), ..Filter::default() };
    let body = match at {
        0 => {
            let tenant = gateway.config.tenants.iter().find(|own| Some(&own.name) == caller.tenant.as_ref());
            let maker = caller.maker();
            let of_maker = Filter { key: maker.map(|own| own.name.clone()), ..Filter::default() };
            let budgets = [
                (&caller.limits[..], filter),
                (maker.map_or(&[][..], |own| &own.limits), of_maker),
                (tenant.map_or(&[][..], |own| &own.limits), Filter::default()),
            ];
            account.credits(budgets).await?
        }
        1 => account.generation(&parameter(query, "id").unwrap_or_default(), &caller.name).await?,
        _ => account.report(filter, query).await?,
    };
    reply::json(platform, gateway.allowed(head), body.to_string()).await;
    Ok(())
}

/// A parameter's value. Forms write a space as `+`.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    decode_name(&value.replace('+', " ")).filter(|value| !value.is_empty())
}

struct Account<'p, P: Platform> {
    platform: &'p P,
    shard: String,
}

/// Nano-dollars as a JSON number.
fn dollars(nanodollars: u64) -> Value {
    serde_json::from_str(&Nanodollars(nanodollars).to_dollars()).unwrap_or_default()
}

// Places in the numbers of sums.
const REQUESTS: usize = 0;
const PROMPT: usize = 4;
const CACHED: usize = 5;
const CACHE_WRITE: usize = 6;
const COMPLETION: usize = 7;
const REASONING: usize = 8;
const COST: usize = 9;

impl<P: Platform> Account<'_, P> {
    async fn sums(&self, totals: Totals) -> Result<Vec<Sums>, ApiError> {
        match ask(self.platform, &self.shard, &Operation::Totals(totals)).await {
            Ok(Outcome::Totals { sums }) => Ok(sums),
            _ => Err(ApiError::ledger_unavailable()),
        }
    }

    /// Of the budget of which the least is left now. What is reserved by requests under way does not count yet.
    async fn credits(&self, budgets: [(&[Limit], Filter); 3]) -> Result<Value, ApiError> {
        let now_ms = self.platform.now_ms();
        let mut least = None;
        for (limits, filter) in budgets {
            for limit in limits {
                let (Some(most), Some(per)) = (limit.dollars, limit.per) else { continue };
                let (from_ms, to_ms) = window(per, now_ms);
                // Sums are by the hour.
                let from_ms = from_ms / HOUR_MS * HOUR_MS;
                let totals = Totals { from_ms, to_ms, by: None, filter: filter.clone() };
                let used: u64 = self.sums(totals).await?.iter().map(|own| own.numbers[COST]).sum();
                let left = most.nanodollars().saturating_sub(used);
                if least.is_none_or(|(known, _)| left < known) {
                    least = Some((left, used));
                }
            }
        }
        let Some((left, used)) = least else {
            let text = "this key has no budget: `limits` with `dollars`, of the key or of its tenant, in moegate.toml";
            return Err(ApiError::new(404, "not_found", "no_budget", text));
        };
        Ok(json!({
            "balance": Nanodollars(left).to_dollars(),
            "total_used": Nanodollars(used).to_dollars(),
        }))
    }

    /// The request of that id, of the same key: its last attempt, with the cost of all.
    async fn generation(&self, id: &str, key: &str) -> Result<Value, ApiError> {
        let id = id.strip_prefix("gen_").unwrap_or(id);
        let operation = Operation::Request { id: id.to_owned() };
        let records = match ask(self.platform, &self.shard, &operation).await {
            Ok(Outcome::Rows { records }) => records,
            _ => return Err(ApiError::ledger_unavailable()),
        };
        let own: Vec<_> = records.into_iter().filter(|record| record.key == key).collect();
        let Some(last) = own.last() else {
            let unknown = ApiError::unknown_request();
            return Err(ApiError { kind: "not_found", ..unknown });
        };
        let cost = own.iter().map(|record| record.cost_nanodollars.0).sum();
        let upstream =
            own.iter().filter_map(|record| record.upstream_cost_nanodollars).map(|cost| cost.0).sum();
        Ok(json!({ "data": generation(last, own[0].started_ms, cost, upstream) }))
    }

    async fn report(&self, mut filter: Filter, query: &str) -> Result<Value, ApiError> {
        let query = |name: &str| parameter(query, name);
        let day = |name: &'static str| {
            let day = query(name).and_then(|text| Day::parse(&text).ok());
            let text = format!("`{name}` must be a day in UTC, such as 2026-11-21");
            day.map(Day::start_ms).ok_or_else(|| ApiError::invalid("invalid_time", Some(name), text))
        };
        let (from_ms, to_ms) = (day("start_date")?, day("end_date")? + DAY_MS);
        let group = query("group_by").unwrap_or_else(|| "day".to_owned());
        let hourly = query("date_part").as_deref() == Some("hour");
        let by = match &*group {
            "day" if hourly => Some(By::Hour),
            "day" => Some(By::Day),
            "user" => Some(By::User),
            "tag" => Some(By::Tag),
            "model" | "provider" | "credential_type" => None,
            other => {
                let text = format!(
                    "`group_by` is {:?}, but must be one of: day, user, model, tag, provider, credential_type",
                    shown_name(other)
                );
                return Err(ApiError::invalid("invalid_by", Some("group_by"), text));
            }
        };
        (filter.user, filter.model, filter.origin) = (query("user_id"), query("model"), query("provider"));
        filter.tag = query("tags");
        // No key of a caller's own is ever used.
        let is_none = query("credential_type").is_some_and(|kind| kind != "system");
        let sums = match is_none {
            true => Vec::new(),
            false => self.sums(Totals { from_ms, to_ms, by, filter }).await?,
        };
        Ok(json!({ "results": rows(&group, hourly, &sums) }))
    }
}

/// As `getGenerationInfo` wants it: every number is there.
fn generation(last: &Record, started_ms: u64, cost: u64, upstream: u64) -> Value {
    let usage = &last.usage;
    let before_ms = last.started_ms.saturating_sub(started_ms);
    let texts = [
        ("id", format!("gen_{}", last.request())),
        ("created_at", moment(started_ms)),
        ("model", last.model.clone()),
        ("provider_name", last.origin.clone()),
        ("finish_reason", last.ending_name().to_owned()),
    ];
    let numbers = [
        ("latency", before_ms + last.head_after_ms),
        ("generation_time", before_ms + last.ended_after_ms),
        ("native_tokens_prompt", usage.prompt),
        ("native_tokens_completion", usage.completion),
        ("native_tokens_reasoning", usage.reasoning),
        ("native_tokens_cached", usage.cached),
        ("native_tokens_cache_creation", usage.cache_write),
        ("billable_web_search_calls", 0),
    ];
    let costs = [("total_cost", cost), ("usage", cost), ("upstream_inference_cost", upstream)];
    let flags = [("is_byok", false), ("streamed", last.stream)];
    let texts = texts.into_iter().map(|(name, text)| (name, Value::from(text)));
    let numbers = numbers.into_iter().map(|(name, number)| (name, Value::from(number)));
    let costs = costs.into_iter().map(|(name, cost)| (name, dollars(cost)));
    let flags = flags.into_iter().map(|(name, flag)| (name, Value::from(flag)));
    let all = texts.chain(numbers).chain(costs).chain(flags);
    Value::Object(all.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// One row for each value of the dimension.
fn rows(group: &str, hourly: bool, sums: &[Sums]) -> Vec<Value> {
    let mut rows: std::collections::BTreeMap<String, [u64; 10]> = std::collections::BTreeMap::new();
    for own in sums {
        let value = match group {
            "model" => own.model.clone(),
            "provider" => own.origin.clone(),
            "credential_type" => "system".to_owned(),
            "day" => {
                let text = moment(own.by.parse().unwrap_or(0));
                if hourly { text } else { text[..10].to_owned() }
            }
            _ => own.by.clone(),
        };
        let row = rows.entry(value).or_default();
        row.iter_mut().zip(&own.numbers).for_each(|(sum, number)| *sum += number);
    }
    let row = |(value, numbers): (String, [u64; 10])| {
        let mut row = Map::new();
        let name = if hourly && group == "day" { "hour" } else { group };
        row.insert(name.to_owned(), value.into());
        row.insert("total_cost".to_owned(), dollars(numbers[COST]));
        for (name, at) in [
            ("input_tokens", PROMPT),
            ("output_tokens", COMPLETION),
            ("cached_input_tokens", CACHED),
            ("cache_creation_input_tokens", CACHE_WRITE),
            ("reasoning_tokens", REASONING),
            ("request_count", REQUESTS),
        ] {
            row.insert(name.to_owned(), numbers[at].into());
        }
        Value::Object(row)
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        for (query, value) in [
            ("id=gen_1", Some("gen_1")),
            ("x=1&id=a%20b+c", Some("a b c")),
            ("identity=1", None),
            ("id=", None),
            ("", None),
        ] {
            assert_eq!(parameter(query, "id").as_deref(), value, "{query}");
        }
    }

    #[test]
    fn sums_are_grouped() {
        let sums = |model: &str, origin: &str, by: &str, cost: u64| Sums {
            key: "k".to_owned(),
            tenant: "k".to_owned(),
            model: model.to_owned(),
            origin: origin.to_owned(),
            route: model.to_owned(),
            ending: "complete".to_owned(),
            by: by.to_owned(),
            numbers: [1, 1, 0, 0, 5, 2, 0, 3, 1, cost, 0, 0, 0],
        };
        let all = [
            sums("a", "x", "1795219200000", 1_000_000_000),
            sums("a", "y", "1795219200000", 500_000_000),
            sums("b", "x", "1795222800000", 0),
        ];
        let seen = rows("model", false, &all);
        assert_eq!(seen[0]["total_cost"], json!(1.5));
        assert_eq!(
            (&seen[0]["model"], &seen[0]["request_count"], &seen[0]["input_tokens"]),
            (&json!("a"), &json!(2), &json!(10))
        );
        assert_eq!(seen.len(), 2);
        assert_eq!(rows("provider", false, &all)[1]["provider"], "y");
        assert_eq!(rows("day", false, &all)[0]["day"], "2026-11-21");
        assert_eq!(rows("day", true, &all)[1]["hour"], "2026-11-21T01:00:00Z");
    }
}
