//! The draft as the text of a `moegate.toml`, with comments beside what somebody must look at.

use super::draft::{Draft, Model, Note, Origin, Route, Sort};
use super::rule::{Condition, Rule};
use moegate_config::Action;
use std::fmt::Write;

/// Longer inline rules are broken over lines where TOML 1.0 lets them.
const WIDTH: usize = 100;

/// The list for the person, by sort; one line an entry, each behind `margin`.
pub(super) fn list(notes: &[Note], margin: &str) -> String {
    let mut text = String::new();
    for (sort, title) in [
        (Sort::Secret, "Secrets to set on the platform"),
        (Sort::FillIn, "To fill in"),
        (Sort::Differs, "Taken over, but look at it"),
        (Sort::Missing, "Without a counterpart, left out"),
    ] {
        let notes: Vec<_> = notes.iter().filter(|note| note.sort == sort).collect();
        if !notes.is_empty() {
            let _ = writeln!(text, "{margin}{title}:");
            for note in notes {
                let line = one_line(&format!("{}: {}", note.path, note.text));
                let _ = writeln!(text, "{margin}  {line}");
            }
        }
    }
    text
}

/// Control characters escaped: a path may hold any text, and a comment must not end early.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Writing to a String cannot fail.
pub(super) fn toml(draft: &Draft, from: &str) -> String {
    let mut text =
        format!("# Imported from {from} by `moegate import`. Reference: docs/reference/configuration.md\n");
    if !draft.notes.is_empty() {
        text.push_str("#\n");
        text.push_str(&list(&draft.notes, "# "));
    }
    draft.origins.iter().for_each(|one| origin(&mut text, one));
    draft.routes.iter().for_each(|one| route(&mut text, one));
    for (name, secret) in &draft.keys {
        let _ = write!(text, "\n[[keys]]\nname = {}\nsha256_secret = {}\n", quoted(name), quoted(secret));
    }
    if let Some(secret) = &draft.admin {
        let _ = write!(text, "\n[admin]\nsha256_secret = {}\n", quoted(secret));
    }
    text
}

/// A basic string (TOML 1.0). JSON's escapes are TOML's too, but for DEL, which JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn origin(text: &mut String, origin: &Origin) {
    let Origin { name, place, secret, aws, limits, models } = origin;
    let _ = write!(
        text,
        "\n[[origins]]\nname = {}\nkind = {}\nurl = {}\n",
        quoted(name),
        quoted(place.kind),
        quoted(&place.url)
    );
    for (field, value) in [("api_version", &place.api_version), ("secret", secret)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{field} = {}", quoted(value));
        }
    }
    if let Some(aws) = aws {
        let token = aws.session_token.iter().map(|name| format!(", session_token = {}", quoted(name)));
        let _ = writeln!(
            text,
            "aws = {{ region = {}, access_key_id = {}{} }}",
            quoted(&aws.region),
            quoted(&aws.access_key_id),
            token.collect::<String>()
        );
    }
    if let Some(seconds) = limits.first_byte_timeout_s {
        let _ = writeln!(text, "first_byte_timeout_s = {seconds}");
    }
    let breaker = [("failures", limits.breaker_failures), ("open_s", limits.breaker_open_s)];
    let breaker: Vec<_> =
        breaker.iter().filter_map(|(name, value)| value.map(|value| format!("{name} = {value}"))).collect();
    if !breaker.is_empty() {
        let _ = writeln!(text, "breaker = {{ {} }}", breaker.join(", "));
    }
    models.iter().for_each(|one| model(text, one));
}

fn model(text: &mut String, model: &Model) {
    let Model { path: _, name, price, context_tokens, max_output_tokens } = model;
    let _ = write!(text, "\n[[origins.models]]\nname = {}\n", quoted(name));
    for (field, value) in [("input", &price.input), ("output", &price.output)] {
        let _ = match value {
            Some(value) => writeln!(text, "{field} = {}", quoted(value)),
            None => writeln!(text, "{field} = \"0\" # FILL IN: the source has no price"),
        };
    }
    for (field, value) in [("cached_input", &price.cached_input), ("cache_write", &price.cache_write)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{field} = {}", quoted(value));
        }
    }
    for (field, value) in [("context_tokens", context_tokens), ("max_output_tokens", max_output_tokens)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{field} = {value}");
        }
    }
}

fn route(text: &mut String, route: &Route) {
    let _ = write!(text, "\n[[routes]]\nmodel = {}\n", quoted(&route.model));
    if !route.aliases.is_empty() {
        let _ = writeln!(text, "aliases = {}", quoted_list(&route.aliases));
    }
    if route.drop_unsupported {
        text.push_str("drop_unsupported = true\n");
    }
    if let Some(attempts) = route.attempts {
        let _ = writeln!(text, "budget = {{ attempts = {attempts} }}");
    }
    if let Some(seconds) = route.first_byte_s {
        let _ = writeln!(text, "timeouts = {{ first_byte_s = {seconds} }}");
    }
    if !route.on.is_empty() {
        let actions = route.on.iter().map(|(failure, action)| {
            let action = match action {
                Action::Next => "next",
                Action::Retry => "retry",
                Action::Stop => "stop",
            };
            format!("{} = \"{action}\"", failure.name())
        });
        let _ = writeln!(text, "on = {{ {} }}", actions.collect::<Vec<_>>().join(", "));
    }
    match &route.rule {
        Rule::To { origin, model } => {
            let _ = writeln!(text, "origin = {}", quoted(origin));
            if let Some(model) = model.as_ref().filter(|model| **model != route.model) {
                let _ = writeln!(text, "origin_model = {}", quoted(model));
            }
        }
        rule => {
            let line = inline(rule, &route.model);
            if line.len() <= WIDTH {
                let _ = writeln!(text, "rule = {line}");
            } else {
                section(text, "routes.rule", rule, &route.model);
            }
        }
    }
}

/// A rule as a table of its own; what is below it inline where it fits, else as a table too.
fn section(text: &mut String, path: &str, rule: &Rule, model: &str) {
    let _ = writeln!(text, "[{path}]");
    match rule {
        Rule::To { origin, model: own } => {
            let _ = writeln!(text, "origin = {}", quoted(origin));
            if let Some(own) = own.as_ref().filter(|own| *own != model) {
                let _ = writeln!(text, "model = {}", quoted(own));
            }
        }
        Rule::Order(rules) => array(text, "order", rules.iter().map(|rule| inline(rule, model))),
        Rule::Cheapest(rules) => array(text, "cheapest", rules.iter().map(|rule| inline(rule, model))),
        Rule::Split(parts) => {
            array(text, "split", parts.iter().map(|(weight, rule)| weighted(&inline(rule, model), *weight)));
        }
        Rule::When { when, then, otherwise } => {
            let _ = writeln!(text, "when = {}", condition(when));
            let branches = [("then", Some(then)), ("otherwise", otherwise.as_ref())];
            let mut below = Vec::new();
            for (name, rule) in branches.into_iter().filter_map(|(name, rule)| Some((name, rule?))) {
                let line = inline(rule, model);
                if line.len() <= WIDTH {
                    let _ = writeln!(text, "{name} = {line}");
                } else {
                    below.push((name, rule));
                }
            }
            for (name, rule) in below {
                section(text, &format!("{path}.{name}"), rule, model);
            }
        }
    }
}

fn array(text: &mut String, name: &str, entries: impl Iterator<Item = String>) {
    let _ = writeln!(text, "{name} = [");
    for entry in entries {
        let _ = writeln!(text, "  {entry},");
    }
    text.push_str("]\n");
}

/// The rule in one line. A model's name that is the route's own is left out.
fn inline(rule: &Rule, route_model: &str) -> String {
    let all = |name: &str, rules: &[Rule]| {
        let rules: Vec<_> = rules.iter().map(|rule| inline(rule, route_model)).collect();
        format!("{{ {name} = [{}] }}", rules.join(", "))
    };
    match rule {
        Rule::To { origin, model } => match model.as_ref().filter(|model| *model != route_model) {
            Some(model) => format!("{{ origin = {}, model = {} }}", quoted(origin), quoted(model)),
            None => format!("{{ origin = {} }}", quoted(origin)),
        },
        Rule::Order(rules) => all("order", rules),
        Rule::Cheapest(rules) => all("cheapest", rules),
        Rule::Split(parts) => {
            let parts = parts.iter().map(|(weight, rule)| weighted(&inline(rule, route_model), *weight));
            format!("{{ split = [{}] }}", parts.collect::<Vec<_>>().join(", "))
        }
        Rule::When { when, then, otherwise } => {
            let otherwise =
                otherwise.iter().map(|rule| format!(", otherwise = {}", inline(rule, route_model)));
            format!(
                "{{ when = {}, then = {}{} }}",
                condition(when),
                inline(then, route_model),
                otherwise.collect::<String>()
            )
        }
    }
}

/// A part of a split. Weight 1 is what counts where there is none.
fn weighted(rule: &str, weight: u32) -> String {
    match rule.strip_suffix(" }") {
        Some(rule) if weight != 1 => format!("{rule}, weight = {weight} }}"),
        _ => rule.to_owned(),
    }
}

fn condition(when: &Condition) -> String {
    let mut parts = Vec::new();
    if !when.model.is_empty() {
        parts.push(format!("model = {}", quoted_list(&when.model)));
    }
    if !when.header.is_empty() {
        let headers =
            when.header.iter().map(|(name, values)| format!("{} = {}", quoted(name), quoted_list(values)));
        parts.push(format!("header = {{ {} }}", headers.collect::<Vec<_>>().join(", ")));
    }
    if let Some(stream) = when.stream {
        parts.push(format!("stream = {stream}"));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn quoted_list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}
