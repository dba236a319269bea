//! Groups of deployments, with what they fall back to, as routes.

use super::deployment::Deployment;
use super::settings::{Fallback, Settings, Strategy};
use crate::decimal::{Decimal, weights};
use crate::import::draft::{Draft, Route};
use crate::import::rule::Rule;
use crate::import::value::problem;
use moegate_config::{Action, Failure, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// # Errors
/// Weights that do not fit, aliases that are groups, nothing to route.
pub(super) fn build(
    draft: &mut Draft,
    settings: &Settings,
    deployments: Vec<Deployment>,
) -> Result<(), Problem> {
    let mut groups: Vec<(String, Vec<Deployment>)> = Vec::new();
    for deployment in deployments {
        match groups.iter_mut().find(|(name, _)| *name == deployment.group) {
            Some((_, group)) => group.push(deployment),
            None => groups.push((deployment.group.clone(), vec![deployment])),
        }
    }
    if groups.is_empty() {
        return Err(problem("model_list", "has no entry that can be taken over: there is nothing to route"));
    }
    let mut rules = BTreeMap::new();
    for (name, group) in &groups {
        rules.insert(name.clone(), group_rule(draft, settings, group)?);
    }
    let mut chains = Chains { settings, rules: &rules, circles: BTreeSet::new(), unknown: BTreeMap::new() };
    let chained: Vec<_> = groups.iter().map(|(name, _)| chains.of(name)).collect();
    let Chains { circles, unknown, .. } = chains;
    for path in circles {
        draft.differs(path, "closes a circle of fallbacks: each group is tried once a request");
    }
    for (path, name) in unknown {
        draft.missing(path, format!("there is no group {name:?} to fall back to"));
    }
    for ((name, _), chain) in groups.iter().zip(chained) {
        let route = route(draft, settings, &rules, name, &chain);
        draft.routes.push(route);
    }
    special(
        draft,
        &settings.context_fallbacks,
        "are tried after other errors too, and last; `context_tokens` of the models says which hold more",
    );
    special(
        draft,
        &settings.policy_fallbacks,
        "are tried after other errors too, and last; after a content filter all of the route's others are",
    );
    aliases(draft, settings)
}

fn special(draft: &mut Draft, fallbacks: &[Fallback], text: &str) {
    for fallback in fallbacks {
        draft.differs(&fallback.path, text);
    }
}

/// One group's own deployments: by `order`, and within one place by the strategy.
fn group_rule(draft: &mut Draft, settings: &Settings, group: &[Deployment]) -> Result<Rule, Problem> {
    let mut places: BTreeMap<u32, Vec<&Deployment>> = BTreeMap::new();
    for deployment in group {
        places.entry(deployment.order.unwrap_or(u32::MAX)).or_default().push(deployment);
    }
    let rules = places.into_values().map(|place| place_rule(draft, settings.strategy, &place));
    let mut rules = rules.collect::<Result<Vec<_>, _>>()?;
    for deployment in group {
        for (name, limit) in [("rpm", deployment.rpm), ("tpm", deployment.tpm)] {
            if limit.is_some() {
                let path = format!("{}.litellm_params.{name}", deployment.path);
                draft.missing(path, "limits nothing here, it is at most a share: the provider's own limit answers 429, after which another origin is tried");
            }
        }
    }
    Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::Order(rules) })
}

fn place_rule(draft: &mut Draft, strategy: Strategy, place: &[&Deployment]) -> Result<Rule, Problem> {
    // The same model at the same origin twice is one place to go, with both shares.
    let shares = shares(draft, place)?;
    let mut parts: Vec<(u32, Rule)> = Vec::new();
    for (deployment, share) in place.iter().zip(shares) {
        match parts.iter_mut().find(|(_, rule)| *rule == deployment.leaf) {
            Some((weight, _)) => *weight = weight.saturating_add(share),
            None => parts.push((share, deployment.leaf.clone())),
        }
    }
    if parts.len() == 1 {
        return Ok(parts.remove(0).1);
    }
    Ok(match strategy {
        Strategy::Cheapest => Rule::Cheapest(parts.into_iter().map(|(_, rule)| rule).collect()),
        Strategy::Shuffle => Rule::Split(parts),
    })
}

/// As LiteLLM's `simple_shuffle`: by `weight` if the first one has it, else `rpm`, else `tpm`, else alike.
fn shares(draft: &mut Draft, place: &[&Deployment]) -> Result<Vec<u32>, Problem> {
    let first = place.first();
    let by: Option<fn(&Deployment) -> Option<Decimal>> = match first {
        Some(one) if one.weight.is_some() => Some(|one| one.weight),
        Some(one) if one.rpm.is_some() => Some(|one| one.rpm),
        Some(one) if one.tpm.is_some() => Some(|one| one.tpm),
        _ => None,
    };
    let Some(by) = by else {
        for deployment in place.iter().filter(|deployment| deployment.weight.is_some()) {
            let path = format!("{}.litellm_params.weight", deployment.path);
            draft.differs(path, "counts only if the group's first deployment has one: all share alike");
        }
        return Ok(vec![1; place.len()]);
    };
    let path = first.map_or_else(String::new, |one| format!("{}.litellm_params", one.path));
    let parts: Vec<_> = place.iter().map(|deployment| by(deployment).unwrap_or(Decimal::ZERO)).collect();
    let whole = weights(&parts)
        .ok_or_else(|| problem(&path, "these weights are too far apart: use numbers below 4294967296"))?;
    if whole.iter().all(|weight| *weight == 0) {
        draft.differs(path, "all weights of the group are 0: all share alike");
        return Ok(vec![1; place.len()]);
    }
    Ok(whole)
}

struct Chains<'a> {
    settings: &'a Settings,
    rules: &'a BTreeMap<String, Rule>,
    /// Paths of fallbacks that lead back.
    circles: BTreeSet<String>,
    unknown: BTreeMap<String, String>,
}

impl Chains<'_> {
    /// The group, then what it falls back to, each followed by its own fallbacks first, as LiteLLM's router does it; then
    /// those for prompts that are too long or not liked.
    fn of(&mut self, group: &str) -> Vec<String> {
        let mut chain = Vec::new();
        self.add(group, &mut chain, &mut Vec::new());
        let settings = self.settings;
        for fallbacks in [&settings.context_fallbacks, &settings.policy_fallbacks] {
            for fallback in fallbacks.iter().filter(|fallback| fallback.from == group) {
                for name in &fallback.to {
                    if !self.is_known(&fallback.path, name) || chain.contains(name) {
                        continue;
                    }
                    chain.push(name.clone());
                }
            }
        }
        chain
    }

    fn add(&mut self, group: &str, chain: &mut Vec<String>, above: &mut Vec<String>) {
        chain.push(group.to_owned());
        above.push(group.to_owned());
        let own = self.settings.fallbacks.iter().find(|fallback| fallback.from == group);
        let is_own = own.is_some();
        if let Some(fallback) = own.or(self.settings.default_fallbacks.as_ref()) {
            for name in &fallback.to {
                if !self.is_known(&fallback.path, name) {
                    continue;
                }
                if above.contains(name) && is_own {
                    self.circles.insert(fallback.path.clone());
                }
                if !chain.contains(name) {
                    self.add(name, chain, above);
                }
            }
        }
        above.pop();
    }

    fn is_known(&mut self, path: &str, name: &str) -> bool {
        let known = self.rules.contains_key(name);
        if !known {
            self.unknown.insert(path.to_owned(), name.to_owned());
        }
        known
    }
}

fn route(
    draft: &mut Draft,
    settings: &Settings,
    rules: &BTreeMap<String, Rule>,
    name: &str,
    chain: &[String],
) -> Route {
    let mut order = Vec::new();
    for rule in chain.iter().filter_map(|group| rules.get(group)) {
        match rule {
            Rule::Order(rules) => order.extend(rules.iter().cloned()),
            rule => order.push(rule.clone()),
        }
    }
    let rule = if order.len() == 1 { order.remove(0) } else { Rule::Order(order) };
    let leaves = u32::try_from(rule.leaves()).unwrap_or(u32::MAX);
    let groups = u32::try_from(chain.len()).unwrap_or(u32::MAX);
    let attempts = match &settings.retries {
        Some((path, retries)) => {
            let wanted = retries.saturating_add(1).saturating_mul(groups);
            let attempts = wanted.clamp(1, 10);
            if attempts != wanted {
                draft.differs(path, "ten attempts a request are the most, over all groups together");
            }
            draft.differs(path, "counted per group there; `budget.attempts` counts every call of a request, so it is one more, times the groups of the route");
            Some(attempts)
        }
        // Else the default of three would never reach the last ones.
        None if leaves > 3 => Some(leaves.min(10)),
        None => None,
    };
    let mut on = BTreeMap::new();
    if settings.policy_fallbacks.iter().any(|fallback| fallback.from == name) {
        on.insert(Failure::ContentFilter, Action::Next);
    }
    Route {
        model: name.to_owned(),
        aliases: Vec::new(),
        rule,
        attempts,
        first_byte_s: settings.first_byte_s,
        drop_unsupported: settings.drop_unsupported,
        on,
    }
}

fn aliases(draft: &mut Draft, settings: &Settings) -> Result<(), Problem> {
    for (alias, group, path) in &settings.aliases {
        if draft.routes.iter().any(|route| route.model == *alias) {
            return Err(problem(
                path,
                "is the name of a group too: clients asking for it could mean either; rename one",
            ));
        }
        if !crate::import::draft::is_model_name(alias) {
            return Err(problem(path, "must be 1 to 200 visible ASCII characters without blanks"));
        }
        match draft.routes.iter_mut().find(|route| route.model == *group) {
            Some(route) => route.aliases.push(alias.clone()),
            None => draft.missing(path, format!("there is no group {group:?} for the alias")),
        }
    }
    for (what, fallbacks) in [
        ("fallbacks", &settings.fallbacks),
        ("context_window_fallbacks", &settings.context_fallbacks),
        ("content_policy_fallbacks", &settings.policy_fallbacks),
    ] {
        for fallback in fallbacks {
            if !draft.routes.iter().any(|route| route.model == fallback.from) {
                draft.missing(
                    &fallback.path,
                    format!("there is no group {:?}, so its {what} are nobody's", fallback.from),
                );
            }
        }
    }
    Ok(())
}
