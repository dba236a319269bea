//! `providerOptions`: those of `gateway` are wishes of where a request goes, all others belong to the provider that serves it.

use crate::config::{DeniedAction, Kind, is_harmless};
use crate::dialect::canonical::fields::{Fields, client_list, wrong};
use crate::dialect::canonical::request::{Format, Reasoning, Request};
use crate::dialect::format::Destination;
use crate::dialect::json::{pick, says_something, string, whole_number};
use crate::dialect::request::{CannotEncode, LONGEST_USER, Wishes};
use crate::error::ApiError;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A provider's option.
pub(super) fn look<'a>(options: Option<&'a RawValue>, provider: &str, name: &str) -> Option<&'a RawValue> {
    let [own] = pick(options?.get(), &[provider])?;
    let [value] = pick(own?.get(), &[name])?;
    value
}

/// Anthropic's mark at which a prompt is worth caching: its `ttl`, or an empty text. Bedrock's has none.
pub(super) fn cache(options: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let own =
        look(options, "anthropic", "cacheControl").or_else(|| look(options, "anthropic", "cache_control"));
    match own {
        Some(own) => Some(pick(own.get(), &["ttl"]).and_then(|[ttl]| string(ttl?)).unwrap_or_default()),
        None => look(options, "bedrock", "cachePoint").map(|_| Cow::Borrowed("")),
    }
}

/// What the gateway would have to know of its origins, or be given, to do it: a request that counts on it must not go
/// where it does not hold.
const REFUSED: [&str; 5] = ["byok", "zeroDataRetention", "disallowPromptTraining", "headquarters", "has"];

/// What changes neither where a request goes nor what it costs: it is left out, with a warning.
const IGNORED: [&str; 4] = ["caching", "serviceTier", "quotaEntityId", "idempotencyKey"];

fn texts(options: &mut Fields<'_>, name: &str) -> Result<Option<Vec<String>>, ApiError> {
    let path = options.path(name);
    let Some(raw) = options.take(name) else { return Ok(None) };
    let must = "must be an array of strings";
    let texts = client_list(raw, &path, must)?.into_iter().map(|raw| string(raw).map(Cow::into_owned));
    texts.collect::<Option<_>>().map(Some).ok_or_else(|| wrong(&path, must))
}

/// What `providerOptions.gateway` wishes, and who the user is.
///
/// # Errors
/// 400 that names an option of the wrong type, or one that the gateway cannot honour.
pub(super) fn wishes(options: &RawValue) -> Result<(Wishes, Option<String>), ApiError> {
    let mut wishes = Wishes::default();
    let Some(mut own) = Fields::of(options, "providerOptions")?.object("gateway")? else {
        return Ok((wishes, None));
    };
    for name in REFUSED {
        if own.take(name).is_some_and(says_something) {
            return Err(refused(&own.path(name)));
        }
    }
    wishes.order = texts(&mut own, "order")?.unwrap_or_default();
    wishes.only = texts(&mut own, "only")?;
    wishes.models = texts(&mut own, "models")?.unwrap_or_default();
    match own.text("sort")?.as_deref() {
        Some("cost") => wishes.cheapest = true,
        None => {}
        // The others would need measurements.
        Some(_) => wishes.ignored.push(own.path("sort")),
    }
    let tags = texts(&mut own, "tags")?.unwrap_or_default().join(",");
    wishes.tag = (!tags.is_empty()).then_some(tags);
    let user = own.text("user")?.map(|user| user.chars().take(LONGEST_USER).collect());
    if let Some(mut timeouts) = own.object("providerTimeouts")? {
        // The only member that there is.
        if let Some(own) = timeouts.object("byok")? {
            for (name, value) in own.into_members() {
                wishes.timeouts_ms.extend(whole_number(value).map(|ms| (name.into_owned(), ms)));
            }
        }
    }
    for name in IGNORED {
        if own.take(name).is_some_and(says_something) {
            wishes.ignored.push(own.path(name));
        }
    }
    let mut others = Vec::new();
    own.rest(&mut others);
    match others.first() {
        Some(path) => Err(refused(path)),
        None => Ok((wishes, user)),
    }
}

fn refused(path: &str) -> ApiError {
    let message = format!(
        "`{path}` is not honoured by this gateway, and may change where data goes: leave it out, and choose among the origins of moegate.toml by `order` and `only`"
    );
    ApiError {
        param: Some(Cow::Owned(path.to_owned())),
        ..ApiError::invalid("unsupported_option", None, message)
    }
}

/// By which names the SDK's packages call that provider.
fn names<'d>(to: &Destination<'d>) -> [&'d str; 3] {
    let [first, second] = match to.origin.kind {
        Kind::AzureOpenai => ["openai", "azure"],
        Kind::Gemini => ["google", ""],
        Kind::Vertex if to.model.name.starts_with("claude") => ["anthropic", "vertex"],
        Kind::Vertex => ["google", "vertex"],
        Kind::Bedrock => ["anthropic", "bedrock"],
        kind => [kind.name(), ""],
    };
    [first, second, &to.origin.name]
}

/// Members for an OpenAI-compatible body.
pub(super) type Extra<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Reads the options of the provider that serves the request into it. What has no canonical form goes into the body of an
/// OpenAI-compatible origin, and is told as left out elsewhere. What is not as that provider's package for the SDK writes it
/// says nothing.
pub(super) fn of_provider<'a>(
    options: Option<&'a RawValue>,
    to: &Destination<'_>,
    request: &mut Request<'a>,
) -> Extra<'a> {
    let mut extra = Vec::new();
    for name in names(to) {
        let own = options.and_then(|all| pick(all.get(), &[name])).and_then(|[own]| own);
        let path = format!("providerOptions.{name}");
        let Some(mut own) = own.and_then(|own| Fields::of(own, path).ok()) else { continue };
        reasoning(&mut own, request);
        for (name, no) in [("parallelToolCalls", "false"), ("disableParallelToolUse", "true")] {
            if let Some(said) = own.take(name) {
                request.parallel_tool_calls = Some(said.get() != no);
            }
        }
        if let (Some(wanted), Some(Format::Schema { strict, .. })) =
            (own.take("strictJsonSchema"), &mut request.format)
        {
            *strict = Some(wanted.get() == "true");
        }
        if let Some(user) = own.take("user").and_then(string) {
            request.user.get_or_insert(user);
        }
        // Of the SDK's own packages: how they write a request.
        own.skip(&["structuredOutputs", "sendReasoning", "cacheControl", "forceReasoning", "include"]);
        if !to.origin.kind.is_openai_compatible() {
            own.rest(&mut request.others);
            continue;
        }
        let is_camel = matches!(name, "openai" | "azure");
        for (member, value) in own.into_members() {
            extra.push((if is_camel { snake(member) } else { member }, value));
        }
    }
    extra
}

/// `reasoningEffort` of OpenAI and its like, `thinking` and `effort` of Anthropic, `thinkingConfig` of Google,
/// `reasoningConfig` of Bedrock.
fn reasoning<'a>(own: &mut Fields<'a>, request: &mut Request<'a>) {
    let mut said = Reasoning::default();
    for name in ["reasoningEffort", "effort"] {
        said.effort = said.effort.or(own.take(name).and_then(string));
    }
    said.shown = own.take("reasoningSummary").map(|_| true);
    for name in ["thinking", "reasoningConfig", "thinkingConfig"] {
        let Some(all) = own.take(name) else { continue };
        let found = pick(
            all.get(),
            &[
                "type",
                "budgetTokens",
                "thinkingBudget",
                "maxReasoningEffort",
                "thinkingLevel",
                "includeThoughts",
            ],
        );
        let Some([kind, tokens, budget, effort, level, shown]) = found else { continue };
        let budget = tokens.or(budget);
        match kind.map(RawValue::get) {
            Some("\"disabled\"") => said.budget = Some(0),
            Some("\"adaptive\"") => said.adaptive = true,
            _ => said.budget = budget.and_then(whole_number),
        }
        said.adaptive |= budget.is_some_and(|own| own.get() == "-1");
        said.effort = said.effort.or(effort.or(level).and_then(string));
        said.shown = said.shown.or(shown.map(|own| own.get() == "true"));
    }
    let is_amount = said.effort.is_some() || said.budget.is_some() || said.adaptive;
    if is_amount || said.shown.is_some() {
        if !is_amount {
            said.effort = request.reasoning.take().and_then(|own| own.effort);
        }
        request.reasoning = Some(said);
    }
}

/// `serviceTier` as `service_tier`.
fn snake(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains(|c: char| c.is_ascii_uppercase()) {
        return name;
    }
    let mut own = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            own.push('_');
        }
        own.push(c.to_ascii_lowercase());
    }
    Cow::Owned(own)
}

/// Puts members into a body that is an object; those that it has stay.
///
/// # Errors
/// The first one that the origin's configuration refuses.
pub(super) fn add_members(
    body: &mut Vec<u8>,
    extra: Extra<'_>,
    to: &Destination<'_>,
    dropped: &mut Vec<String>,
) -> Result<(), CannotEncode> {
    for (name, value) in extra {
        if to.origin.denies(&name) && !is_harmless(&name, value.get()) {
            match to.origin.denied_action() {
                DeniedAction::Refuse => return Err(CannotEncode::Field(name.into_owned())),
                DeniedAction::Drop => {
                    dropped.push(name.into_owned());
                    continue;
                }
            }
        }
        let text = String::from_utf8_lossy(body);
        if pick(&text, &[&*name]).is_some_and(|[own]| own.is_none()) && body.ends_with(b"}") {
            body.pop();
            let quoted = serde_json::Value::from(&*name).to_string();
            body.extend_from_slice(format!(",{quoted}:{}}}", value.get()).as_bytes());
        }
    }
    Ok(())
}
