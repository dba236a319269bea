//! The rule tree, walked for one request.

use super::{Target, TargetIndex};
use crate::config::{Condition, Config, Key, Part, Route, Rule};
use crate::dialect::request::RequestSize;
use crate::rng::{Rng, hash};
use crate::sort::sort_by_key;
use http::HeaderMap;
use moegate_wire::Usage;
use std::fmt::Write;

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct RouteContext<'a> {
    /// As the client asked for it.
    pub model: &'a str,
    pub key: &'a Key,
    pub stream: bool,
    pub size: RequestSize,
    /// The raw JSON of `messages` or `prompt`.
    pub conversation: &'a [u8],
    /// At least the headers that rules name.
    pub headers: &'a HeaderMap,
    /// Unix milliseconds: prices may change.
    pub now_ms: u64,
}

impl RouteContext<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
    }
}

/// Nano-dollars that an attempt at the target costs that begins at that time, by estimate: of its tokens, not of its time.
#[must_use]
pub fn estimate(size: RequestSize, target: &Target<'_>, ms: u64) -> u64 {
    let usage =
        Usage { prompt: size.prompt_tokens(), completion: size.completion_tokens(), ..Usage::default() };
    target.price_at(ms).cost(&usage, 0).0
}

/// The targets of one request, in the order in which they are to be tried; each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    pub route: &'a Route,
    pub targets: Vec<Target<'a>>,
}

/// Walks the route's rule. `is_open` tells whether a target's breaker is open. `explain` takes a line for each decision, for people.
#[must_use]
pub fn plan<'a>(
    config: &'a Config,
    route: &'a Route,
    context: &RouteContext<'_>,
    is_open: &dyn Fn(TargetIndex) -> bool,
    rng: &mut Rng,
    explain: Option<&mut String>,
) -> Plan<'a> {
    let mut walk = Walk { config, route, context, is_open, rng, explain, depth: 0, splits: 0 };
    let mut targets = Vec::new();
    match (&route.rule, &route.origin) {
        (Some(rule), _) => walk.rule(rule, &mut targets),
        (None, Some(origin)) => walk.leaf(origin, None, &mut targets),
        (None, None) => {}
    }
    Plan { route, targets }
}

struct Walk<'a, 'w> {
    config: &'a Config,
    route: &'a Route,
    context: &'w RouteContext<'w>,
    is_open: &'w dyn Fn(TargetIndex) -> bool,
    rng: &'w mut Rng,
    explain: Option<&'w mut String>,
    depth: usize,
    /// Splits above the rule.
    splits: u8,
}

impl<'a> Walk<'a, '_> {
    fn say(&mut self, line: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(text) = &mut self.explain {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:width$}{}", "", line(), width = depth * 2);
        }
    }

    fn deeper(&mut self, rule: &'a Rule, targets: &mut Vec<Target<'a>>) {
        self.depth += 1;
        self.rule(rule, targets);
        self.depth -= 1;
    }

    fn leaf(&mut self, origin: &str, model: Option<&str>, targets: &mut Vec<Target<'a>>) {
        let name = self.route.model_at(model);
        let Some(target) = Target::of(self.config, self.route, origin, name) else { return };
        if targets.iter().any(|known| known.index == target.index) {
            self.say(|| format!("{origin}, model {name}: is in the plan already"));
        } else {
            targets.push(target);
            let at = targets.len();
            self.say(|| format!("{at}. {origin}, model {name}"));
        }
    }

    fn rule(&mut self, rule: &'a Rule, targets: &mut Vec<Target<'a>>) {
        match rule {
            Rule::To(leaf) => self.leaf(&leaf.origin, leaf.model.as_deref(), targets),
            Rule::Order(rules) => {
                self.say(|| "order: one after the other".to_owned());
                for rule in rules {
                    self.deeper(rule, targets);
                }
            }
            Rule::Split { parts, sticky } => self.split(parts, sticky.as_deref(), targets),
            Rule::Cheapest(rules) => self.cheapest(rules, targets),
            Rule::Replicas { of, prefix_bytes } => self.replicas(of, *prefix_bytes as usize, targets),
            Rule::When { when, then, otherwise } => match (misses(when, self.context), otherwise) {
                (None, _) => {
                    self.say(|| "when: holds, so `then`".to_owned());
                    self.deeper(then, targets);
                }
                (Some(reason), Some(otherwise)) => {
                    self.say(|| format!("when: {reason}, so `otherwise`"));
                    self.deeper(otherwise, targets);
                }
                (Some(reason), None) => self.say(|| format!("when: {reason}, so nothing")),
            },
        }
    }

    fn split(&mut self, parts: &'a [Part], sticky: Option<&str>, targets: &mut Vec<Target<'a>>) {
        let sum: u64 = parts.iter().map(|part| u64::from(part.weight)).sum();
        let by = match sticky {
            None => None,
            Some("key") => Some(self.context.key.name.as_str()),
            Some(header) => self.context.header(header),
        };
        let draw = match by {
            // A split within a split draws anew: else the same half would always meet the same half.
            Some(name) => hash(&[self.route.model.as_bytes(), name.as_bytes(), &[self.splits]]) % sum.max(1),
            None => self.rng.below(sum),
        };
        let mut rest = draw;
        let chosen = parts.iter().position(|part| {
            let weight = u64::from(part.weight);
            let here = rest < weight;
            rest = rest.saturating_sub(weight);
            here
        });
        self.say(|| {
            let number = chosen.map_or(0, |at| at + 1);
            let percent = percent(chosen.map_or(0, |at| parts[at].weight.into()), sum);
            let why = by.map_or("drawn for each request".to_owned(), |name| format!("always for {name:?}"));
            format!("split: part {number} of {}, {percent} % ({why})", parts.len())
        });
        let mut others: Vec<_> =
            (0..parts.len()).filter(|at| Some(*at) != chosen && parts[*at].weight > 0).collect();
        sort_by_key(&mut others, |&at| std::cmp::Reverse(parts[at].weight));
        self.splits += 1;
        for at in chosen.into_iter().chain(others) {
            self.deeper(&parts[at].rule, targets);
        }
        self.splits -= 1;
    }

    fn estimate(&self, target: &Target<'_>) -> u64 {
        estimate(self.context.size, target, self.context.now_ms)
    }

    fn cheapest(&mut self, rules: &'a [Rule], targets: &mut Vec<Target<'a>>) {
        let mut found = Vec::new();
        let explain = self.explain.take();
        for rule in rules {
            self.rule(rule, &mut found);
        }
        self.explain = explain;
        let shut = |target: &Target<'_>| (self.is_open)(target.index);
        sort_by_key(&mut found, |target| (shut(target), self.estimate(target)));
        self.say(|| "cheapest: by price for this request, those with an open breaker last".to_owned());
        self.depth += 1;
        for target in found {
            let cost = moegate_wire::Nanodollars(self.estimate(&target)).to_dollars();
            self.say(|| format!("{}: about {cost} dollars", target.origin.name));
            self.leaf(&target.origin.name, Some(&target.model.name), targets);
        }
        self.depth -= 1;
    }

    /// Rendezvous hashing (Thaler, Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996): where a replica comes
    /// or goes, only its own conversations move.
    fn replicas(&mut self, rules: &'a [Rule], prefix: usize, targets: &mut Vec<Target<'a>>) {
        let conversation = self.context.conversation;
        let beginning = &conversation[..prefix.min(conversation.len())];
        let mut ranked: Vec<_> = rules
            .iter()
            .map(|rule| {
                let leaves = rule.leaves();
                let names = leaves
                    .iter()
                    .flat_map(|leaf| [leaf.origin.as_str(), leaf.model.as_deref().unwrap_or("")]);
                let name = names.collect::<Vec<_>>().join(",");
                (std::cmp::Reverse(hash(&[beginning, name.as_bytes()])), rule)
            })
            .collect();
        sort_by_key(&mut ranked, |(rank, _)| *rank);
        self.say(|| format!("replicas: by the conversation's first {} bytes", beginning.len()));
        for (_, rule) in ranked {
            self.deeper(rule, targets);
        }
    }
}

/// A share in percent, with a digit behind the point where there is one.
fn percent(share: u64, of: u64) -> String {
    let thousandths = (share * 1000 + of / 2).checked_div(of).unwrap_or(0);
    let text = format!("{}.{}", thousandths / 10, thousandths % 10);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Exhausted the condition does not hold; `None` if it does.
fn misses(when: &Condition, context: &RouteContext<'_>) -> Option<String> {
    let among = |list: &[String], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|one| one == value))
    };
    if !among(&when.model, Some(context.model)) {
        return Some(format!("the model is {:?}", context.model));
    }
    if !among(&when.key, Some(&context.key.name)) {
        return Some(format!("the key is {:?}", context.key.name));
    }
    if !among(&when.tenant, context.key.tenant.as_deref()) {
        return Some(format!("the tenant is {:?}", context.key.tenant.as_deref().unwrap_or("")));
    }
    for (name, values) in &when.header {
        let value = context.header(name);
        if !among(values, value) {
            return Some(format!("the header {name} is {:?}", value.unwrap_or("")));
        }
    }
    let tokens = context.size.prompt_tokens();
    if when.prompt_at_least.is_some_and(|least| tokens < u64::from(least))
        || when.prompt_below.is_some_and(|below| tokens >= u64::from(below))
    {
        return Some(format!("the prompt has about {tokens} tokens"));
    }
    if when.stream.is_some_and(|stream| stream != context.stream) {
        return Some(format!("the request is {}", if context.stream { "streamed" } else { "not streamed" }));
    }
    None
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
