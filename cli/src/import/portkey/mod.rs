//! Portkey's config objects: <https://portkey.ai/docs/api-reference/inference-api/config-object>.

mod condition;
mod retry;
mod target;

use super::Options;
use super::draft::{Draft, Route};
use super::rule::{Condition, Rule};
use super::source::{Item, Table};
use super::value::{Value, problem};
use crate::decimal::{Decimal, weights};
use moegate_config::Problem;
use retry::Failures;
use std::collections::BTreeSet;
use target::Inherited;

/// # Errors
/// What is not as Portkey reads it, or leaves open what a route must have.
pub(super) fn import(source: &Value, options: &Options<'_>) -> Result<Draft, Problem> {
    let mut reader = Reader {
        draft: Draft::default(),
        options,
        asked: options.models.to_vec(),
        open: Vec::new(),
        failures: Failures::default(),
        fixed: Vec::new(),
    };
    let top = Item::new("", source);
    reader.names_in_conditions(&top)?;
    let built = reader.target(&top, &Inherited::default(), false)?;
    let mut names = reader.asked.clone();
    if names.is_empty() {
        if let Some(path) = reader.open.first() {
            return Err(problem(
                path,
                "names no model, so it gets the one that the client asks for, which the file does not tell: say with --model NAME (more than once, if there are more) what clients ask for",
            ));
        }
        let name = reader
            .fixed
            .first()
            .cloned()
            .ok_or_else(|| problem("", "has no target: there is nothing to route"))?;
        reader.draft.differs("(top)", format!("serves whatever model a client asks for; here clients ask for `{name}`: add other names to `aliases`, or import with --model NAME"));
        names.push(name);
    }
    if options.models.is_empty() && !reader.asked.is_empty() {
        let names = names.join("`, `");
        reader.draft.differs("(top)", format!("serves whatever model a client asks for; here clients ask for `{names}`, which the conditions name: import with --model NAME for others"));
    }
    for name in &names {
        super::model_name("--model", name)?;
    }
    let Reader { mut draft, failures, open, .. } = reader;
    let (attempts, on) = failures.finish(&mut draft, built.leaves());
    // Where every target names its model, one route does for all names; else each name goes on to the origins.
    let mut names = names.into_iter();
    let route = |model: String, aliases: Vec<String>, rule: Rule| Route {
        model,
        aliases,
        rule,
        attempts,
        first_byte_s: None,
        drop_unsupported: false,
        on: on.clone(),
    };
    if open.is_empty() {
        let model = names.next().unwrap_or_default();
        draft.routes.push(route(model, names.collect(), built));
    } else {
        for model in names {
            match for_name(&built, &model) {
                Some(rule) => draft.routes.push(route(model, Vec::new(), rule)),
                None => draft.missing("(top)", format!("no target serves `{model}`")),
            }
        }
    }
    super::add_key(&mut draft);
    Ok(draft)
}

/// The rule for requests for that one name: conditions on the model are decided. `None`: nothing serves it.
fn for_name(rule: &Rule, name: &str) -> Option<Rule> {
    let all = |rules: &[Rule]| {
        let rules: Vec<_> = rules.iter().filter_map(|rule| for_name(rule, name)).collect();
        (!rules.is_empty()).then_some(rules)
    };
    Some(match rule {
        Rule::To { .. } => rule.clone(),
        Rule::Order(rules) => Rule::Order(all(rules)?),
        Rule::Cheapest(rules) => Rule::Cheapest(all(rules)?),
        Rule::Split(parts) => {
            let parts: Vec<_> =
                parts.iter().filter_map(|(weight, rule)| Some((*weight, for_name(rule, name)?))).collect();
            if parts.iter().all(|(weight, _)| *weight == 0) {
                return None;
            }
            Rule::Split(parts)
        }
        Rule::When { when, then, otherwise } => {
            let otherwise = otherwise.as_ref().and_then(|rule| for_name(rule, name));
            let mut when = when.clone();
            if !when.model.is_empty() && !when.model.iter().any(|model| model == name) {
                return otherwise;
            }
            when.model.clear();
            let then = for_name(then, name)?;
            if when == Condition::default() {
                return Some(then);
            }
            Rule::When { when, then: Box::new(then), otherwise: otherwise.map(Box::new) }
        }
    })
}

struct Reader<'a> {
    draft: Draft,
    options: &'a Options<'a>,
    /// The names that clients ask for: of the caller, and of conditions on `params.model`.
    asked: Vec<String>,
    /// Places of targets that name no model.
    open: Vec<String>,
    failures: Failures,
    /// Models that targets name.
    fixed: Vec<String>,
}

impl Reader<'_> {
    /// Gathers the names of models in all conditions, since targets that name none must offer each.
    fn names_in_conditions(&mut self, item: &Item<'_>) -> Result<(), Problem> {
        let Ok(mut table) = item.table() else { return Ok(()) };
        if let Some(Ok(mut strategy)) = table.take("strategy").map(|item| item.table())
            && let Some(conditions) = strategy.take("conditions")
        {
            for condition in conditions.list()? {
                if let Some(query) = condition.table()?.take("query") {
                    condition::models(&query, &mut self.asked);
                }
            }
        }
        if let Some(targets) = table.take("targets") {
            for target in targets.list()? {
                self.names_in_conditions(&target)?;
            }
        }
        Ok(())
    }

    /// A target, with all below it. `is_part`: of a split, which has read its weight.
    fn target(&mut self, item: &Item<'_>, above: &Inherited, is_part: bool) -> Result<Rule, Problem> {
        let mut table = item.table()?;
        let retry = table.has("retry").then(|| table.path.clone());
        let rule = self.target_rule(&mut table, above)?;
        // Names are for conditions, which have read them.
        table.take("name");
        if is_part {
            table.take("weight");
        }
        self.leftovers(&table);
        if let Some(path) = retry {
            self.failures.covers(&path, rule.leaves());
        }
        Ok(rule)
    }

    fn target_rule(&mut self, table: &mut Table<'_>, above: &Inherited) -> Result<Rule, Problem> {
        let inherited = self.inherit(table, above)?;
        let targets = table.take("targets");
        let strategy = table.take("strategy").map(|item| item.table()).transpose()?;
        let Some(targets) = targets else {
            if let Some(strategy) = &strategy
                && !strategy.has("mode")
            {
                self.draft.missing(&strategy.path, "has no mode and no targets: nothing follows from it");
            }
            return self.leaf(table, &inherited);
        };
        let Some(mut strategy) = strategy else {
            return Err(problem(
                &table.path_of("strategy"),
                "is missing: how one of the `targets` is chosen",
            ));
        };
        let targets = targets.list()?;
        if targets.is_empty() {
            return Err(problem(&table.path_of("targets"), "is empty: there is nothing to route"));
        }
        let mode = strategy
            .text("mode")?
            .ok_or_else(|| problem(&strategy.path_of("mode"), "is missing"))?
            .to_owned();
        let rule = match mode.as_str() {
            "single" => {
                for target in targets.iter().skip(1) {
                    self.draft.missing(&target.path, "the whole target: `single` uses the first one");
                }
                self.target(&targets[0], &inherited, false)?
            }
            "fallback" => {
                self.failures.falls_back(&mut self.draft, strategy.take("on_status_codes"))?;
                let rules = targets.iter().map(|target| self.target(target, &inherited, false));
                let mut rules = rules.collect::<Result<Vec<_>, _>>()?;
                if rules.len() == 1 { rules.remove(0) } else { Rule::Order(rules) }
            }
            "loadbalance" => self.split(&strategy.path, &targets, &inherited)?,
            "conditional" => self.conditional(&mut strategy, &targets, &inherited)?,
            _ => {
                return Err(problem(
                    &strategy.path_of("mode"),
                    "must be single, fallback, loadbalance or conditional",
                ));
            }
        };
        for item in strategy.rest() {
            let text = match item.path.rsplit('.').next() {
                Some("sticky_session" | "stickySession") => {
                    "write `sticky = \"key\"`, or a header's name, beside `split`"
                }
                Some("on_status_codes" | "onStatusCodes") => {
                    "belongs to `fallback`: `on` of the route says what follows an error"
                }
                _ => "has no counterpart",
            };
            self.draft.missing(item.path, text);
        }
        Ok(rule)
    }

    fn split(&mut self, path: &str, targets: &[Item<'_>], inherited: &Inherited) -> Result<Rule, Problem> {
        let mut parts = Vec::new();
        let mut shares = Vec::new();
        for target in targets {
            let weight = target.table()?.take("weight").map(|item| item.decimal()).transpose()?;
            shares.push(weight.unwrap_or(Decimal::ONE));
            parts.push(self.target(target, inherited, true)?);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let whole = weights(&shares).ok_or_else(|| {
            problem(path, "has weights that are too far apart: use numbers below 4294967296")
        })?;
        if whole.iter().all(|weight| *weight == 0) {
            return Err(problem(path, "has no target with a `weight` above 0"));
        }
        self.draft.differs(path, "the parts that were not drawn are the fallback, heaviest first; without that: `budget = { attempts = 1 }`");
        Ok(Rule::Split(whole.into_iter().zip(parts).collect()))
    }

    fn conditional(
        &mut self,
        strategy: &mut Table<'_>,
        targets: &[Item<'_>],
        inherited: &Inherited,
    ) -> Result<Rule, Problem> {
        let mut named: Vec<(String, Rule)> = Vec::new();
        for target in targets {
            let path = super::source::below(&target.path, "name");
            let name = target
                .table()?
                .text("name")?
                .ok_or_else(|| problem(&path, "is missing: conditions name their target"))?;
            if named.iter().any(|(other, _)| other == name) {
                return Err(problem(&path, "is the name of a target before it too"));
            }
            named.push((name.to_owned(), self.target(target, inherited, false)?));
        }
        let mut used = BTreeSet::new();
        let mut find = |item: &Item<'_>| -> Result<Rule, Problem> {
            let name = item.text()?;
            let found = named.iter().find(|(other, _)| other == name);
            used.insert(name.to_owned());
            found
                .map(|(_, rule)| rule.clone())
                .ok_or_else(|| problem(&item.path, format!("there is no target of the name {name:?}")))
        };
        let mut rule = strategy.take("default").map(|item| find(&item)).transpose()?;
        let path = strategy.path_of("conditions");
        let conditions = strategy.take("conditions").ok_or_else(|| problem(&path, "is missing"))?.list()?;
        for item in conditions.iter().rev() {
            let mut table = item.table()?;
            let query = table.take("query").ok_or_else(|| problem(&table.path_of("query"), "is missing"))?;
            let then = table.take("then").ok_or_else(|| problem(&table.path_of("then"), "is missing"))?;
            let then = find(&then)?;
            for item in table.rest() {
                self.draft.missing(item.path, "has no counterpart");
            }
            rule = condition::rule(&mut self.draft, &query, then, rule)?;
        }
        for (target, (name, _)) in targets.iter().zip(&named) {
            if !used.contains(name) {
                self.draft.missing(&target.path, "no condition leads to this target");
            }
        }
        rule.ok_or_else(|| problem(&path, "has no condition that can be taken over, and there is no `default`: nothing is left to route"))
    }
}
