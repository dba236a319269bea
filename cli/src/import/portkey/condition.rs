//! Queries of conditional routing: <https://portkey.ai/docs/product/ai-gateway/conditional-routing>.

use crate::import::draft::Draft;
use crate::import::rule::{Condition, Rule};
use crate::import::source::Item;
use crate::import::value::{Value, problem};
use moegate_config::Problem;

/// As `moegate check` has it, less what may stand around the conditions.
const DEEPEST: usize = 15;

/// What a query asks, with negations and alternatives kept apart: rules have none within a condition.
enum Query {
    Is(Condition),
    Not(Box<Query>),
    All(Vec<Query>),
    Any(Vec<Query>),
}

/// The rule that goes to `then` where the query holds. A query that cannot be said is listed, and counts as one that never
/// holds.
///
/// # Errors
/// The query is none.
pub(super) fn rule(
    draft: &mut Draft,
    item: &Item<'_>,
    then: Rule,
    otherwise: Option<Rule>,
) -> Result<Option<Rule>, Problem> {
    let Some(query) = query(draft, item)? else {
        draft.missing(&item.path, "the whole query is left out, as if it never held: let clients send a header that says which case it is, and write a rule with `when = { header = { … } }`");
        return Ok(otherwise);
    };
    let rule = build(&query, Some(then), otherwise).ok_or_else(|| {
        problem(
            &item.path,
            "asks for what is not so, which needs somewhere else to go: give the strategy a `default`",
        )
    })?;
    // Each part of a query may double what follows.
    if rule.depth() > DEEPEST {
        return Err(problem(
            &item.path,
            format!(
                "and what follows it nest more than {DEEPEST} conditions, the most a rule has: ask for less, or with `$in`"
            ),
        ));
    }
    Ok(Some(rule))
}

/// `None`: there is nowhere to go in either case.
fn build(query: &Query, then: Option<Rule>, otherwise: Option<Rule>) -> Option<Rule> {
    match query {
        Query::Is(when) => Some(match (then, otherwise) {
            (Some(then), otherwise) => {
                Rule::When { when: when.clone(), then: Box::new(then), otherwise: otherwise.map(Box::new) }
            }
            // A rule cannot say "not" without somewhere to go: the caller refuses it.
            (None, _) => return None,
        }),
        Query::Not(query) => build(query, otherwise, then),
        Query::All(queries) => {
            let rest = queries
                .iter()
                .rev()
                .try_fold(then, |then, query| build(query, then, otherwise.clone()).map(Some));
            rest.flatten()
        }
        Query::Any(queries) => {
            let rest = queries
                .iter()
                .rev()
                .try_fold(otherwise, |otherwise, query| build(query, then.clone(), otherwise).map(Some));
            rest.flatten()
        }
    }
}

/// `None`: some part of it has no counterpart, which is listed.
fn query(draft: &mut Draft, item: &Item<'_>) -> Result<Option<Query>, Problem> {
    let mut parts = Vec::new();
    for (name, item) in item.table()?.all() {
        let part = match name {
            "$and" | "$or" => {
                let list = item.list()?;
                let queries =
                    list.iter().map(|item| query(draft, item)).collect::<Result<Option<Vec<_>>, _>>()?;
                queries.map(|queries| if name == "$and" { all(queries) } else { Query::Any(queries) })
            }
            _ => field(draft, name, &item)?,
        };
        match part {
            Some(part) => parts.push(part),
            None => return Ok(None),
        }
    }
    if parts.is_empty() {
        return Err(problem(&item.path, "asks for nothing: write a field, such as \"metadata.plan\""));
    }
    Ok(Some(all(parts)))
}

/// What must hold together: one condition, where the fields differ.
fn all(parts: Vec<Query>) -> Query {
    let mut together = Condition::default();
    let mut rest = Vec::new();
    for part in parts.into_iter().flat_map(|part| match part {
        Query::All(more) => more,
        other => vec![other],
    }) {
        match part {
            Query::Is(when) if joins(&together, &when) => join(&mut together, when),
            part => rest.push(part),
        }
    }
    if together != Condition::default() {
        rest.insert(0, Query::Is(together));
    }
    if rest.len() == 1 { rest.remove(0) } else { Query::All(rest) }
}

fn joins(one: &Condition, other: &Condition) -> bool {
    (one.model.is_empty() || other.model.is_empty())
        && (one.stream.is_none() || other.stream.is_none())
        && other.header.keys().all(|name| !one.header.contains_key(name))
}

fn join(one: &mut Condition, other: Condition) {
    one.model.extend(other.model);
    one.stream = one.stream.or(other.stream);
    one.header.extend(other.header);
}

/// One field: what it must be, or a table of operators that must all hold.
fn field(draft: &mut Draft, name: &str, item: &Item<'_>) -> Result<Option<Query>, Problem> {
    let operators = match item.table() {
        Ok(mut table) => table.all(),
        Err(_) => vec![("$eq", item.clone())],
    };
    let mut queries = Vec::new();
    for (operator, item) in operators {
        let values = match operator {
            "$eq" | "$ne" => vec![item.word()?],
            "$in" | "$nin" => item.list()?.iter().map(Item::word).collect::<Result<_, _>>()?,
            _ => {
                draft.missing(&item.path, "conditions compare with given values only");
                return Ok(None);
            }
        };
        if values.is_empty() {
            return Err(problem(&item.path, "is an empty list, which nothing is in"));
        }
        let Some(condition) = condition(draft, name, &item, values) else { return Ok(None) };
        let is = Query::Is(condition);
        queries.push(if matches!(operator, "$ne" | "$nin") { Query::Not(Box::new(is)) } else { is });
    }
    if queries.is_empty() {
        return Err(problem(&item.path, "compares with nothing"));
    }
    Ok(Some(all(queries)))
}

fn condition(draft: &mut Draft, name: &str, item: &Item<'_>, values: Vec<String>) -> Option<Condition> {
    let mut when = Condition::default();
    match name.split_once('.') {
        Some(("params", "model")) => when.model = values,
        Some(("params", "stream")) if values.len() == 1 => when.stream = Some(values[0] == "true"),
        Some(("metadata", key)) => {
            let header: String = key
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                .collect();
            let header = format!("x-metadata-{header}");
            draft.differs(&item.path, format!("there is no metadata: clients send the header `{header}` instead; they can send any value, so for what they may not choose use the key's `tenant`"));
            when.header.insert(header, values);
        }
        _ => {
            draft
                .missing(&item.path, "conditions know the model, whether a stream is asked for, and headers");
            return None;
        }
    }
    Some(when)
}

/// The models that a query asks for.
pub(super) fn models(item: &Item<'_>, names: &mut Vec<String>) {
    let Ok(mut table) = item.table() else { return };
    for (name, item) in table.all() {
        match name {
            "$and" | "$or" => item.list().unwrap_or_default().iter().for_each(|item| models(item, names)),
            "params.model" => gather(item.value, names),
            _ => {}
        }
    }
}

fn gather(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Text(name) if !names.contains(name) => names.push(name.clone()),
        Value::List(values) => values.iter().for_each(|value| gather(value, names)),
        Value::Map(members) => {
            let compared = members
                .iter()
                .filter(|(operator, _)| matches!(operator.as_str(), "$eq" | "$ne" | "$in" | "$nin"));
            compared.for_each(|(_, value)| gather(value, names));
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
