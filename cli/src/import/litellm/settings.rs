//! `router_settings` and `litellm_settings`: most of what governs routing may stand in either.

use crate::import::draft::{Draft, Limits};
use crate::import::source::{Item, Table};
use crate::import::value::problem;
use moegate_config::Problem;

/// What holds for all models.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) strategy: Strategy,
    /// Calls beyond the first one in a group, with their place.
    pub(super) retries: Option<(String, u32)>,
    pub(super) limits: Limits,
    pub(super) first_byte_s: Option<u32>,
    pub(super) drop_unsupported: bool,
    pub(super) fallbacks: Vec<Fallback>,
    pub(super) default_fallbacks: Option<Fallback>,
    pub(super) context_fallbacks: Vec<Fallback>,
    pub(super) policy_fallbacks: Vec<Fallback>,
    /// Alias, group, place.
    pub(super) aliases: Vec<(String, String, String)>,
}

/// How one of a group's deployments is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Strategy {
    #[default]
    Shuffle,
    Cheapest,
}

/// Groups to go to after `from`; for the default ones `from` is empty.
pub(super) struct Fallback {
    pub(super) path: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

/// The two tables; what stands in both counts as `router_settings` has it, which LiteLLM hands its router.
struct Both<'a>(Vec<Table<'a>>);

impl<'a> Both<'a> {
    fn take(&mut self, draft: &mut Draft, name: &str) -> Option<Item<'a>> {
        let mut found: Option<Item<'a>> = None;
        for table in &mut self.0 {
            match (table.take(name), &found) {
                (Some(item), Some(first)) => {
                    draft.missing(item.path, format!("{} stands for it", first.path));
                }
                (Some(item), None) => found = Some(item),
                (None, _) => {}
            }
        }
        found
    }
}

impl Settings {
    /// # Errors
    /// A value of the wrong type.
    pub(super) fn read(draft: &mut Draft, top: &mut Table<'_>) -> Result<Self, Problem> {
        let tables =
            ["router_settings", "litellm_settings"].map(|name| top.take(name).map(|item| item.table()));
        let mut both = Both(tables.into_iter().flatten().collect::<Result<_, _>>()?);
        let mut settings = Self::default();
        if let Some(item) = both.take(draft, "routing_strategy") {
            settings.strategy = strategy(draft, &item)?;
        }
        settings.retries(draft, &mut both)?;
        settings.limits(draft, &mut both)?;
        if let Some(item) = both.take(draft, "drop_params") {
            settings.drop_unsupported = item.flag()?;
        }
        if let Some(item) = both.take(draft, "enable_pre_call_checks")
            && item.flag()?
        {
            draft.differs(item.path, "a prompt's length is not checked before the call: after the error only models with a larger `context_tokens` are tried; `prompt_at_least` in a rule sends long prompts elsewhere at once");
        }
        if let Some(item) = both.take(draft, "fallbacks") {
            settings.fallbacks = fallbacks(draft, &item)?;
        }
        if let Some(item) = both.take(draft, "default_fallbacks") {
            let to = item.texts()?.into_iter().map(str::to_owned).collect();
            settings.default_fallbacks = Some(Fallback { path: item.path, from: String::new(), to });
        }
        if let Some(at) = settings.fallbacks.iter().position(|fallback| fallback.from == "*") {
            settings.default_fallbacks = Some(settings.fallbacks.remove(at));
        }
        if let Some(item) = both.take(draft, "context_window_fallbacks") {
            settings.context_fallbacks = fallbacks(draft, &item)?;
        }
        if let Some(item) = both.take(draft, "content_policy_fallbacks") {
            settings.policy_fallbacks = fallbacks(draft, &item)?;
        }
        if let Some(item) = both.take(draft, "model_group_alias") {
            settings.aliases = aliases(draft, &item)?;
        }
        for item in both.0.iter().flat_map(Table::rest) {
            let name = item.path.rsplit('.').next().unwrap_or_default();
            draft.missing(&item.path, advice(name));
        }
        Ok(settings)
    }

    fn retries(&mut self, draft: &mut Draft, both: &mut Both<'_>) -> Result<(), Problem> {
        if let Some(item) = both.take(draft, "num_retries") {
            self.retries = Some((item.path.clone(), item.whole()?));
        }
        if let Some(item) = both.take(draft, "retry_policy") {
            let counts = item.table()?.all();
            let counts = counts.iter().map(|(_, item)| item.whole()).collect::<Result<Vec<_>, _>>()?;
            let most = counts.into_iter().max().unwrap_or(0);
            let text = "retries have no counts by error: `on` says what follows an error, the largest count here went into `budget.attempts`";
            draft.differs(&item.path, text);
            if self.retries.as_ref().is_none_or(|(_, retries)| *retries < most) {
                self.retries = Some((item.path, most));
            }
        }
        Ok(())
    }

    fn limits(&mut self, draft: &mut Draft, both: &mut Both<'_>) -> Result<(), Problem> {
        let timeouts = ["timeout", "request_timeout"].map(|name| both.take(draft, name));
        for item in timeouts.into_iter().flatten() {
            if self.first_byte_s.is_some() {
                draft.missing(item.path, "the other timeout stands for it");
            } else {
                self.first_byte_s = Some(draft.within(&item.path, item.whole()?, 1, 600));
                draft.differs(item.path, "limits an unstreamed answer; of a stream the first content, then 60 s of silence (`timeouts.idle_s`)");
            }
        }
        if let Some(item) = both.take(draft, "allowed_fails") {
            let failures = item.whole()?.saturating_add(1);
            self.limits.breaker_failures = Some(draft.within(&item.path, failures, 1, 1000));
            draft.differs(
                item.path,
                "counted within a minute there, in a row here (`breaker.failures`, one more than is allowed)",
            );
        }
        if let Some(item) = both.take(draft, "cooldown_time") {
            self.limits.breaker_open_s = Some(draft.within(&item.path, item.whole()?, 1, 60));
        }
        if let Some(item) = both.take(draft, "disable_cooldowns")
            && item.flag()?
        {
            self.limits.breaker_failures = Some(0);
            draft.differs(item.path, "no number of failures in a row opens the breaker; half of at least twenty attempts in 30 s still does (`breaker.percent`)");
        }
        Ok(())
    }
}

fn strategy(draft: &mut Draft, item: &Item<'_>) -> Result<Strategy, Problem> {
    Ok(match item.text()? {
        "simple-shuffle" => Strategy::Shuffle,
        "cost-based-routing" => {
            draft.differs(
                &item.path,
                "goes by the prices in moegate.toml: those that are to fill in make an origin look free",
            );
            Strategy::Cheapest
        }
        "least-busy" | "latency-based-routing" | "usage-based-routing" | "usage-based-routing-v2" => {
            draft.missing(&item.path, "no rule goes by load or latency: the deployments share by weight, and breakers take out those that fail");
            Strategy::Shuffle
        }
        _ => {
            draft.missing(&item.path, "no such rule: the deployments share by weight");
            Strategy::Shuffle
        }
    })
}

/// `[{group: [group, …]}, …]`, or one table of that form.
fn fallbacks(draft: &mut Draft, item: &Item<'_>) -> Result<Vec<Fallback>, Problem> {
    let tables = match item.table() {
        Ok(table) => vec![table],
        Err(_) => item.list()?.iter().map(Item::table).collect::<Result<_, _>>()?,
    };
    let mut all: Vec<Fallback> = Vec::new();
    for (from, item) in tables.into_iter().flat_map(|mut table| table.all()) {
        let mut to = Vec::new();
        for entry in item.list()? {
            match entry.table() {
                Ok(_) => draft.missing(entry.path, "a fallback with parameters of its own: name a group, and let clients send the parameters"),
                Err(_) => to.push(entry.text()?.to_owned()),
            }
        }
        if to.iter().any(|name| name == from) {
            return Err(problem(
                &item.path,
                "is a circle of one: the group falls back to itself; take its name out of the list",
            ));
        }
        if let Some(first) = all.iter().find(|other| other.from == from) {
            return Err(problem(
                &item.path,
                format!("the group has fallbacks already, at {}: put them into one list", first.path),
            ));
        }
        all.push(Fallback { path: item.path, from: from.to_owned(), to });
    }
    Ok(all)
}

/// `{alias: group}`, or `{alias: {model: group, hidden: true}}`.
fn aliases(draft: &mut Draft, item: &Item<'_>) -> Result<Vec<(String, String, String)>, Problem> {
    let mut aliases = Vec::new();
    for (alias, item) in item.table()?.all() {
        let group = match item.table() {
            Ok(mut table) => {
                let group = table.text("model")?.ok_or_else(|| problem(&item.path, "names no `model`"))?;
                for item in table.rest() {
                    draft.missing(item.path, "`/v1/models` lists every alias");
                }
                group
            }
            Err(_) => item.text()?,
        };
        aliases.push((alias.to_owned(), group.to_owned(), item.path));
    }
    Ok(aliases)
}

/// What to do instead of a setting.
fn advice(name: &str) -> &'static str {
    match name {
        "callbacks"
        | "success_callback"
        | "failure_callback"
        | "service_callback"
        | "callback_settings"
        | "langfuse_default_tags" => {
            "nothing is sent to logging services: each attempt has a record, `/usage` adds them up, the platform has the logs"
        }
        "cache"
        | "cache_params"
        | "cache_responses"
        | "enable_caching_on_provider_specific_optional_params" => {
            "it is not taken over: `cache = { seconds = 300 }` under `[[routes]]` gives an answer again to the very same request of the same tenant; providers cache prefixes themselves"
        }
        "set_verbose"
        | "json_logs"
        | "turn_off_message_logging"
        | "redact_user_api_key_info"
        | "debug_level"
        | "telemetry"
        | "disable_error_logs" => {
            "prompts and keys are never logged; the platform decides what becomes of logs"
        }
        "redis_host" | "redis_port" | "redis_password" | "redis_url" => {
            "state lies in the platform's key-value store: nothing to set"
        }
        "max_budget"
        | "budget_duration"
        | "default_internal_user_params"
        | "default_team_settings"
        | "provider_budget_config" => {
            "there are no budgets over time: `budget.dollars` of a route limits a request; set limits at the provider too"
        }
        "model_group_retry_policy" | "allowed_fails_policy" => {
            "what follows an error is said per route: `on`, `budget.attempts`; when an origin is left out: `breaker`"
        }
        "retry_after" => {
            "pauses follow `Retry-After`, else up to 0.5 s and doubling; the longest is `budget.longest_wait_s`"
        }
        "stream_timeout" => {
            "the first content of a stream is limited by `timeouts.first_byte_s`, silence by `timeouts.idle_s`"
        }
        "max_fallbacks" => "`budget.attempts` limits all attempts together",
        "num_retries_per_request" => "`budget.attempts` of a route",
        "modify_params" | "add_function_to_prompt" => {
            "requests are not rewritten for a model; what an API cannot say is refused or, with `drop_unsupported`, left out"
        }
        "routing_strategy_args" => "no rule takes them",
        _ => "has no counterpart",
    }
}
