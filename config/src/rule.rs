//! Rules: which origins a request is sent to, and in which order.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tree whose leaves are origins. A request's plan is the list of leaves in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RuleTable", into = "RuleTable")]
pub enum Rule {
    To(Leaf),
    Order(Vec<Rule>),
    Split { parts: Vec<Part>, sticky: Option<String> },
    Cheapest(Vec<Rule>),
    Replicas { of: Vec<Rule>, prefix_bytes: u32 },
    When { when: Condition, then: Box<Rule>, otherwise: Option<Box<Rule>> },
}

/// An origin, and the model's name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leaf {
    pub origin: String,
    pub model: Option<String>,
}

/// One part of a split.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    pub weight: u32,
    pub rule: Rule,
}

/// Bytes of the conversation's beginning by which replicas are chosen, where the rule does not say.
const PREFIX_BYTES: u32 = 1024;

/// A rule: exactly one of `origin`, `order`, `split`, `cheapest`, `replicas` and `when`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "authoring", schemars(rename = "Rule"))]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    /// The name of an origin: the tree's leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// With `origin`: the name by which it knows the model. Default: the route's `origin_model`, or else its `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Rules to try one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<RuleTable>>,
    /// Rules of which one is drawn by `weight`; the others follow, the heaviest first, if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<RuleTable>>,
    /// With `split`: what always draws the same part. `key`: the client key; otherwise a header's name, such as
    /// `x-user-id` (a request without it is drawn anew). Default: each request is drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Within a `split`: this part's share of the sum of all weights. 0: never, not even if the others fail.
    /// Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Rules whose origins are tried from the cheapest to the dearest, by their prices for this request; those whose
    /// breaker is open come last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Vec<RuleTable>>,
    /// Replicas of one server: the same beginning of a conversation goes to the same one, whose prefix cache has it
    /// (rendezvous hashing; the others follow if it fails).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Vec<RuleTable>>,
    /// With `replicas`: how many bytes of `messages` (or `prompt`) are the beginning. Default: 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_bytes: Option<u32>,
    /// A condition: if it holds the rule `then` counts, if not the rule `otherwise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// With `when`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<RuleTable>>,
    /// With `when`. Default: no origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Box<RuleTable>>,
}

/// What must hold, all of it, of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The model asked for is one of these: the route's `model` or one of its `aliases`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<String>,
    /// The client key's name is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The client key's tenant is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenant: Vec<String>,
    /// Each of these request headers has one of the values: header → values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// The prompt has at least so many tokens, estimated as a quarter of the body's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_at_least: Option<u32>,
    /// The prompt has fewer tokens than this, estimated likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_below: Option<u32>,
    /// Whether the client asks for a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

impl Condition {
    /// Whether it asks for nothing at all, which must be a slip.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl TryFrom<RuleTable> for Rule {
    type Error = String;

    fn try_from(table: RuleTable) -> Result<Self, String> {
        match table.weight {
            Some(_) => Err("`weight` has a meaning only for the parts of a `split`".to_owned()),
            None => Self::of(table),
        }
    }
}

impl Rule {
    fn of(table: RuleTable) -> Result<Self, String> {
        let kinds = [
            ("origin", table.origin.is_some()),
            ("order", table.order.is_some()),
            ("split", table.split.is_some()),
            ("cheapest", table.cheapest.is_some()),
            ("replicas", table.replicas.is_some()),
            ("when", table.when.is_some()),
        ];
        let given: Vec<_> = kinds.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.len() > 1 {
            return Err(format!("a rule is one thing, but this one has {}", list(&given)));
        }
        let kind = given.first().copied();
        for (field, owner, given) in [
            ("model", "origin", table.model.is_some()),
            ("sticky", "split", table.sticky.is_some()),
            ("prefix_bytes", "replicas", table.prefix_bytes.is_some()),
            ("then", "when", table.then.is_some()),
            ("otherwise", "when", table.otherwise.is_some()),
        ] {
            if given && kind != Some(owner) {
                let kind = kind.map_or("none".to_owned(), |kind| format!("`{kind}`"));
                return Err(format!("`{field}` belongs to `{owner}`, but this rule has {kind}"));
            }
        }
        Ok(match table {
            RuleTable { origin: Some(origin), model, .. } => Self::To(Leaf { origin, model }),
            RuleTable { order: Some(rules), .. } => Self::Order(all(rules)?),
            RuleTable { split: Some(parts), sticky, .. } => {
                let parts = parts.into_iter().map(|mut table| {
                    let weight = table.weight.take().unwrap_or(1);
                    Ok(Part { weight, rule: Self::of(table)? })
                });
                Self::Split { parts: parts.collect::<Result<_, String>>()?, sticky }
            }
            RuleTable { cheapest: Some(rules), .. } => Self::Cheapest(all(rules)?),
            RuleTable { replicas: Some(rules), prefix_bytes, .. } => {
                Self::Replicas { of: all(rules)?, prefix_bytes: prefix_bytes.unwrap_or(PREFIX_BYTES) }
            }
            RuleTable { when: Some(when), then, otherwise, .. } => Self::When {
                when,
                then: Box::new(Self::try_from(*then.ok_or("`when` needs `then`")?)?),
                otherwise: otherwise.map(|rule| Self::try_from(*rule).map(Box::new)).transpose()?,
            },
            RuleTable { .. } => {
                return Err("a rule needs one of `origin`, `order`, `split`, `cheapest`, `replicas`, `when`"
                    .to_owned());
            }
        })
    }

    /// All its leaves, in the order in which they are written.
    pub fn leaves(&self) -> Vec<&Leaf> {
        let mut leaves = Vec::new();
        self.visit(&mut |rule| {
            if let Self::To(leaf) = rule {
                leaves.push(leaf);
            }
        });
        leaves
    }

    /// Adds the names of the request headers that it looks at, in lower case.
    pub(crate) fn headers(&self, names: &mut Vec<String>) {
        self.visit(&mut |rule| match rule {
            Self::When { when, .. } => names.extend(when.header.keys().map(|name| name.to_ascii_lowercase())),
            Self::Split { sticky: Some(name), .. } if name != "key" => names.push(name.to_ascii_lowercase()),
            _ => {}
        });
    }

    /// Calls `visitor` with this rule and all below it.
    pub fn visit<'a>(&'a self, visitor: &mut impl FnMut(&'a Self)) {
        visitor(self);
        match self {
            Self::To(_) => {}
            Self::Order(rules) | Self::Cheapest(rules) | Self::Replicas { of: rules, .. } => {
                for rule in rules {
                    rule.visit(visitor);
                }
            }
            Self::Split { parts, .. } => {
                for part in parts {
                    part.rule.visit(visitor);
                }
            }
            Self::When { then, otherwise, .. } => {
                then.visit(visitor);
                if let Some(otherwise) = otherwise {
                    otherwise.visit(visitor);
                }
            }
        }
    }
}

fn all(tables: Vec<RuleTable>) -> Result<Vec<Rule>, String> {
    tables.into_iter().map(Rule::try_from).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

impl From<Rule> for RuleTable {
    fn from(rule: Rule) -> Self {
        let tables = |rules: Vec<Rule>| Some(rules.into_iter().map(Self::from).collect());
        match rule {
            Rule::To(Leaf { origin, model }) => Self { origin: Some(origin), model, ..Self::default() },
            Rule::Order(rules) => Self { order: tables(rules), ..Self::default() },
            Rule::Split { parts, sticky } => {
                let parts =
                    parts.into_iter().map(|part| Self { weight: Some(part.weight), ..Self::from(part.rule) });
                Self { split: Some(parts.collect()), sticky, ..Self::default() }
            }
            Rule::Cheapest(rules) => Self { cheapest: tables(rules), ..Self::default() },
            Rule::Replicas { of, prefix_bytes } => {
                Self { replicas: tables(of), prefix_bytes: Some(prefix_bytes), ..Self::default() }
            }
            Rule::When { when, then, otherwise } => Self {
                when: Some(when),
                then: Some(Box::new(Self::from(*then))),
                otherwise: otherwise.map(|rule| Box::new(Self::from(*rule))),
                ..Self::default()
            },
        }
    }
}

#[cfg(feature = "authoring")]
impl schemars::JsonSchema for Rule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RuleTable::schema_name()
    }

    // One type to the generator: else the schema holds it twice.
    fn schema_id() -> std::borrow::Cow<'static, str> {
        RuleTable::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RuleTable::json_schema(generator)
    }
}
