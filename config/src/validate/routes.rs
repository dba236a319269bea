//! Routes and their rules.

use super::{Problems, headers};
use crate::{Action, Config, Failure, Kind, Leaf, Route, Rule, StreamMode};

/// Rules within rules: more than anybody reads, and few enough for any stack.
const DEEPEST: usize = 16;
/// The request's own and the gateway's headers, which say nothing that a rule may depend on.
const PRIVATE_HEADERS: &[&str] = &["authorization", "cookie", "proxy-authorization", "x-api-key"];

impl Problems {
    pub(super) fn routes(&mut self, config: &Config) {
        for (i, route) in config.routes.iter().enumerate() {
            self.route(&format!("routes[{i}]"), route, config);
        }
        let names = config.routes.iter().enumerate().flat_map(|(i, route)| {
            let aliases = route.aliases.iter().enumerate();
            let aliases =
                aliases.map(move |(j, alias)| (format!("routes[{i}].aliases[{j}]"), alias.as_str()));
            [(format!("routes[{i}].model"), route.model.as_str())].into_iter().chain(aliases)
        });
        self.unique(names);
    }

    fn route(&mut self, path: &str, route: &Route, config: &Config) {
        self.model_name(&format!("{path}.model"), &route.model);
        for (j, alias) in route.aliases.iter().enumerate() {
            self.model_name(&format!("{path}.aliases[{j}]"), alias);
        }
        for (name, value, least, most) in [
            ("budget.attempts", Some(route.budget.attempts), 1, 10),
            ("budget.seconds", Some(route.budget.seconds), 1, 3600),
            ("budget.longest_wait_s", Some(route.budget.longest_wait_s), 0, 60),
            ("timeouts.first_byte_s", route.timeouts.first_byte_s, 1, 600),
            ("timeouts.idle_s", route.timeouts.idle_s, 1, 600),
            ("cache.seconds", route.cache.as_ref().map(|cache| cache.seconds), 1, 604_800),
            ("cache.max_kib", route.cache.as_ref().map(|cache| cache.max_kib), 1, 512),
        ] {
            if let Some(value) = value {
                self.range(&format!("{path}.{name}"), value, least, most);
            }
        }
        if route.budget.dollars.is_some_and(|dollars| dollars.nanodollars() == 0) {
            self.add(format!("{path}.budget.dollars"), "is nothing: no request could be sent");
        }
        for (name, seconds) in
            [("first_byte_s", route.timeouts.first_byte_s), ("idle_s", route.timeouts.idle_s)]
        {
            if seconds.is_some_and(|seconds| seconds > route.budget.seconds) {
                let text = format!("is more than the {} seconds of the whole budget", route.budget.seconds);
                self.add(format!("{path}.timeouts.{name}"), text);
            }
        }
        self.actions(path, route);
        self.stream(path, route, config);
        match (&route.rule, &route.origin) {
            (Some(_), Some(_)) => {
                self.add(path, "has both `origin` and `rule`: put the origin into the rule");
            }
            (None, None) => self.add(
                path,
                "has no origin: write `origin = \"NAME\"`, or a `rule` such as { order = [{ origin = \"A\" }, { origin = \"B\" }] }",
            ),
            (Some(rule), None) => self.rule(&format!("{path}.rule"), rule, route, config, DEEPEST),
            (None, Some(origin)) => {
                let leaf = Leaf { origin: origin.clone(), model: None };
                self.leaf((&format!("{path}.origin"), &format!("{path}.origin_model")), &leaf, route, config);
            }
        }
    }

    fn actions(&mut self, path: &str, route: &Route) {
        for (failure, action) in &route.on {
            let path = format!("{path}.on.{}", failure.name());
            match (failure, action) {
                (Failure::Refused, _) => self.add(
                    path,
                    "cannot be changed: another origin would get a request that is at fault itself",
                ),
                (
                    Failure::BadKey
                    | Failure::ModelNotFound
                    | Failure::Unsupported
                    | Failure::ContextLength
                    | Failure::ContentFilter,
                    Action::Retry,
                ) => self.add(path, "the same again would fail the same way: write `next` or `stop`"),
                _ => {}
            }
        }
    }

    fn stream(&mut self, path: &str, route: &Route, config: &Config) {
        if route.continues && route.stream == Some(StreamMode::Relay) {
            self.add(
                format!("{path}.stream"),
                "`relay` passes a stream on unread, so nothing could go on with it: leave it out, or `continue`",
            );
        }
        if route.cache.is_some() && route.stream == Some(StreamMode::Relay) {
            self.add(
                format!("{path}.stream"),
                "`relay` passes a stream on unread, so no answer could be kept: leave it out, or `cache`",
            );
        }
        if route.continues && route.budget.attempts == 1 {
            self.add(format!("{path}.continue"), "needs a second attempt: raise `budget.attempts`");
        }
        if route.stream == Some(StreamMode::Relay)
            && let Some(other) = (route.rule().leaves().iter().filter_map(|leaf| config.origin(&leaf.origin)))
                .find(|origin| origin.kind != Kind::Moegate)
        {
            let text = format!(
                "`relay` needs origins of kind `moegate`, which `{}` is not: nothing else sends receipts, and an unread stream would not be metered; use `pump`",
                other.name
            );
            self.add(format!("{path}.stream"), text);
        }
    }

    fn rule(&mut self, path: &str, rule: &Rule, route: &Route, config: &Config, left: usize) {
        if left == 0 {
            self.add(path, format!("is nested more than {DEEPEST} deep"));
            return;
        }
        let all = |problems: &mut Self, name: &str, rules: &mut dyn Iterator<Item = &Rule>| {
            let mut count = 0;
            for (i, rule) in rules.enumerate() {
                problems.rule(&format!("{path}.{name}[{i}]"), rule, route, config, left - 1);
                count += 1;
            }
            if count == 0 {
                problems.add(
                    format!("{path}.{name}"),
                    "is empty: it needs a rule, such as { origin = \"NAME\" }",
                );
            }
        };
        match rule {
            Rule::To(leaf) => {
                self.leaf((&format!("{path}.origin"), &format!("{path}.model")), leaf, route, config);
            }
            Rule::Order(rules) => all(self, "order", &mut rules.iter()),
            Rule::Cheapest(rules) => all(self, "cheapest", &mut rules.iter()),
            Rule::Replicas { of, prefix_bytes } => {
                all(self, "replicas", &mut of.iter());
                self.range(&format!("{path}.prefix_bytes"), *prefix_bytes, 16, 65_536);
            }
            Rule::Split { parts, sticky } => {
                all(self, "split", &mut parts.iter().map(|part| &part.rule));
                let sum: u64 = parts.iter().map(|part| u64::from(part.weight)).sum();
                if sum == 0 && !parts.is_empty() {
                    self.add(format!("{path}.split"), "has no weight: give some part a `weight` above 0");
                }
                if let Some(name) = sticky.as_deref().filter(|name| *name != "key") {
                    self.rule_header(&format!("{path}.sticky"), name);
                }
            }
            Rule::When { when, then, otherwise } => {
                self.condition(&format!("{path}.when"), when, route, config);
                self.rule(&format!("{path}.then"), then, route, config, left - 1);
                if let Some(otherwise) = otherwise {
                    self.rule(&format!("{path}.otherwise"), otherwise, route, config, left - 1);
                }
            }
        }
    }

    fn condition(&mut self, path: &str, when: &crate::Condition, route: &Route, config: &Config) {
        if when.is_empty() {
            self.add(path, "asks for nothing, so it always holds: say what must hold, or leave `when` out");
        }
        for (i, name) in when.model.iter().enumerate() {
            if !route.has_name(name) {
                self.add(
                    format!("{path}.model[{i}]"),
                    format!("this route is not asked for `{name}`: add it to the route's `aliases`"),
                );
            }
        }
        for (i, name) in when.key.iter().enumerate() {
            if !config.keys.iter().any(|key| &key.name == name) {
                self.add(format!("{path}.key[{i}]"), format!("there is no key `{name}`"));
            }
        }
        for (i, name) in when.tenant.iter().enumerate() {
            if !config.keys.iter().any(|key| key.tenant.as_ref() == Some(name)) {
                self.add(format!("{path}.tenant[{i}]"), format!("no key is of the tenant `{name}`"));
            }
        }
        for (header, values) in &when.header {
            let path = format!("{path}.header.{}", header.escape_debug());
            self.rule_header(&path, header);
            if values.is_empty() {
                self.add(path, "names no value: write [\"VALUE\"]");
            } else if let Some(value) = values.iter().find(|value| !headers::is_value(value)) {
                self.add(
                    path,
                    format!(
                        "no header can have the value {value:?}: no control characters, no blanks at the ends"
                    ),
                );
            }
        }
        if when.prompt_at_least == Some(0) {
            self.add(format!("{path}.prompt_at_least"), "is 0, which every prompt has");
        }
        if when.prompt_below.is_some_and(|below| below <= when.prompt_at_least.unwrap_or(0)) {
            self.add(
                format!("{path}.prompt_below"),
                "is not above `prompt_at_least`, or 0 without one: no prompt fits",
            );
        }
    }

    fn rule_header(&mut self, path: &str, name: &str) {
        let lower = name.to_ascii_lowercase();
        if !headers::is_name(name) {
            self.add(path, format!("{name:?} is not a header name (RFC 9110, token)"));
        } else if PRIVATE_HEADERS.contains(&lower.as_str()) {
            self.add(path, format!("`{name}` holds a secret, which no rule reads: use the client key's name, or a header of your own"));
        }
    }

    /// `paths`: of the origin's name and of the model's.
    fn leaf(&mut self, paths: (&str, &str), leaf: &Leaf, route: &Route, config: &Config) {
        let Some(origin) = config.origin(&leaf.origin) else {
            let known: Vec<_> = config.origins.iter().map(|o| o.name.as_str()).collect();
            self.add(
                paths.0,
                format!("there is no origin `{}`; there are: {}", leaf.origin, known.join(", ")),
            );
            return;
        };
        let model = route.model_at(leaf.model.as_deref());
        if origin.model(model).is_none() {
            let known: Vec<_> = origin.models.iter().map(|m| m.name.as_str()).collect();
            let text = format!(
                "origin `{}` has no model `{model}` (without it there is no price); it has: {}",
                origin.name,
                known.join(", ")
            );
            self.add(paths.1, text);
        }
    }
}
