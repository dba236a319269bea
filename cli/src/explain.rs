//! `moegate check --explain`: where one request would go, and why.

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use moegate::dialect::{Endpoint, Operation, registry};
use moegate::rng::Rng;
use moegate::routing::{self, Plan, RouteContext, Target, estimate};
use moegate_config::{Action, Config, Failure, Key, Route, StreamMode};
use moegate_wire::Nanodollars;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// The request, and who sends it.
pub(crate) struct Explain {
    /// The body, as a client sends it.
    pub(crate) request: PathBuf,
    /// The client key's name. Default: the first one that may use the model.
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

/// `NAME=VALUE`, the name in lower case as the gateway sees it.
///
/// # Errors
/// A sentence for the person who wrote it.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_ascii_lowercase(), value.to_owned())),
        _ => Err(format!("`{text}` is not a header: write --header NAME=VALUE")),
    }
}

/// No platform's randomness: the same answer each time.
const SEED: [u8; 8] = [0; 8];

/// The plan, in text.
///
/// # Errors
/// What the gateway would refuse the request for, or why it could not be read.
pub(crate) fn run(config: &Config, explain: &Explain) -> Result<String, String> {
    let name = explain.request.display();
    let body = fs::read(&explain.request).map_err(|error| format!("cannot read {name}: {error}"))?;
    let head = Request::post("/v1/chat/completions").body(()).map_err(|error| error.to_string())?;
    let endpoint = registry::endpoint(&head, head.uri().path());
    let Some(Ok(Endpoint { dialect, operation: Operation::Generate(endpoint) })) = endpoint else {
        return Err("the gateway has no chat completions".to_owned());
    };
    let request = dialect.parse(&endpoint, &body).map_err(|error| format!("{name}: {}", error.message))?;
    let facts = request.facts();
    let key = key(config, explain.key.as_deref(), &facts.model)?;
    let route = routing::find(config, key, &facts.model).map_err(|error| error.message.into_owned())?;
    let headers = headers(&explain.headers)?;
    let context = RouteContext {
        now_ms: now_ms(),
        model: &facts.model,
        key,
        stream: facts.stream,
        size: facts.size,
        conversation: &body[facts.conversation.clone()],
        headers: &headers,
    };
    let mut why = String::new();
    // Nothing has failed yet.
    let is_open = |_| false;
    let plan = routing::plan(config, route, &context, &is_open, &mut Rng::new(SEED), Some(&mut why));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = asked(&mut text, config, explain, &context);
    let _ = ruled(&mut text, route, &why);
    let _ = planned(&mut text, &plan, &context);
    let _ = afterwards(&mut text, route, &context);
    Ok(text)
}

/// Prices may hold from some day on.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, String> {
    let header = |(name, value): &(String, String)| {
        let unfit = || format!("no request can have the header `{name}` with that value");
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| unfit())?;
        Ok((HeaderName::try_from(name.as_str()).map_err(|_| unfit())?, value))
    };
    given.iter().map(header).collect()
}

fn key<'c>(config: &'c Config, name: Option<&str>, model: &str) -> Result<&'c Key, String> {
    let known = || config.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut keys = config.keys.iter();
    match name {
        Some(name) => keys
            .find(|key| key.name == name)
            .ok_or_else(|| format!("there is no key `{name}`; there are: {}", known())),
        None => keys.find(|key| routing::is_allowed(key, model)).or(config.keys.first()).ok_or_else(|| {
            "there is no key, so every request is answered 401: `moegate keys new` makes one".to_owned()
        }),
    }
}

fn asked(
    text: &mut String,
    config: &Config,
    explain: &Explain,
    context: &RouteContext<'_>,
) -> std::fmt::Result {
    let RouteContext { model, key, size, .. } = context;
    let tenant = key.tenant.as_ref().map(|tenant| format!(" of the tenant `{tenant}`")).unwrap_or_default();
    let stream = if context.stream { "streamed" } else { "not streamed" };
    let most = size.max_tokens.map(|most| format!(", at most {most} tokens of answer")).unwrap_or_default();
    let prompt = size.prompt_tokens();
    writeln!(
        text,
        "Request: model `{model}`, key `{}`{tenant}, {stream}, about {prompt} tokens of prompt{most}.",
        key.name
    )?;
    let looked_at = config.rule_headers();
    for (name, _) in explain.headers.iter().filter(|(name, _)| !looked_at.contains(name)) {
        writeln!(text, "No rule looks at the header `{name}`.")?;
    }
    Ok(())
}

fn ruled(text: &mut String, route: &Route, why: &str) -> std::fmt::Result {
    writeln!(text, "\nThe rule of the route `{}`:", route.model)?;
    for line in why.lines() {
        writeln!(text, "  {line}")?;
    }
    if why.contains("drawn for each request") {
        writeln!(text, "Draws are made with a fixed seed here; each request makes its own.")?;
    }
    if why.contains("open breaker") {
        writeln!(text, "All breakers are taken to be closed.")?;
    }
    Ok(())
}

fn planned(text: &mut String, plan: &Plan<'_>, context: &RouteContext<'_>) -> std::fmt::Result {
    writeln!(text, "\nThe plan:")?;
    if plan.targets.is_empty() {
        writeln!(text, "  no origin: such a request is answered 503 `no_origin`")?;
    }
    for (number, target) in (1..).zip(&plan.targets) {
        let kind = target.origin.kind.name();
        writeln!(text, "  {number}. {} ({kind}), model `{}`", target.origin.name, target.model.name)?;
        let cost = estimate(context.size, target, context.now_ms);
        let dear = plan.route.budget.dollars.is_some_and(|limit| cost > limit.nanodollars());
        let dear = if dear { ", more than the budget: it is left out" } else { "" };
        writeln!(text, "     price: about {} dollars{dear}", Nanodollars(cost).to_dollars())?;
        writeln!(text, "     time: {}", times(target, context.stream))?;
        if context.stream {
            writeln!(text, "     stream: {}", mode(target))?;
        }
        if !target.origin.spare_secrets.is_empty() {
            let keys = target.origin.spare_secrets.len() + 1;
            writeln!(text, "     keys: {keys}, the next one where one is refused or limited")?;
        }
    }
    let attempts = plan.route.budget.attempts as usize;
    if attempts < plan.targets.len() {
        writeln!(text, "  The budget's attempts ({attempts}) end before the last of them.")?;
    }
    Ok(())
}

fn times(target: &Target<'_>, stream: bool) -> String {
    let budget = &target.route.budget;
    let first = (target.first_byte_ms() / 1000).min(budget.seconds.into());
    match (stream, target.stream_mode()) {
        (false, _) => format!("{first} s for the whole answer"),
        (true, StreamMode::Relay) => format!("{first} s to the first content"),
        (true, StreamMode::Pump) => {
            format!("{first} s to the first content, {} s between chunks", target.idle_ms() / 1000)
        }
    }
}

fn mode(target: &Target<'_>) -> &'static str {
    match target.stream_mode() {
        StreamMode::Relay => "relayed unread once it has begun",
        StreamMode::Pump => "pumped, every event looked at",
    }
}

fn afterwards(text: &mut String, route: &Route, context: &RouteContext<'_>) -> std::fmt::Result {
    let budget = &route.budget;
    let dollars = budget.dollars.map(|limit| Nanodollars(limit.nanodollars()).to_dollars());
    let dollars = dollars.map(|limit| format!("money: {limit} dollars; ")).unwrap_or_default();
    writeln!(
        text,
        "\nBudget: attempts: {}; time: {} s; {dollars}longest wait: {} s.",
        budget.attempts, budget.seconds, budget.longest_wait_s
    )?;
    writeln!(text, "After a failure:")?;
    for (action, name) in [(Action::Next, "next "), (Action::Retry, "retry"), (Action::Stop, "stop ")] {
        let failures = Failure::ALL.iter().filter(|failure| route.action(**failure) == action);
        let failures: Vec<_> = failures.map(|failure| failure.name()).collect();
        if !failures.is_empty() {
            writeln!(text, "  {name}  {}", failures.join(", "))?;
        }
    }
    if context.stream {
        let then = if route.continues {
            "another origin that can goes on with it"
        } else {
            "the client gets an error event"
        };
        writeln!(text, "A stream that breaks off once it has begun: {then}.")?;
    }
    Ok(())
}
