//! Rules, as far as other gateways have them.

use std::collections::BTreeMap;

/// As in moegate.toml, with what importers make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// An origin's name, and the model's there; `None`: the route's.
    To {
        origin: String,
        model: Option<String>,
    },
    Order(Vec<Rule>),
    /// Each with its weight.
    Split(Vec<(u32, Rule)>),
    Cheapest(Vec<Rule>),
    When {
        when: Condition,
        then: Box<Rule>,
        otherwise: Option<Box<Rule>>,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) model: Vec<String>,
    pub(super) header: BTreeMap<String, Vec<String>>,
    pub(super) stream: Option<bool>,
}

impl Rule {
    /// Rules within rules, itself included.
    pub(super) fn depth(&self) -> usize {
        1 + match self {
            Self::To { .. } => 0,
            Self::Order(rules) | Self::Cheapest(rules) => rules.iter().map(Self::depth).max().unwrap_or(0),
            Self::Split(parts) => parts.iter().map(|(_, rule)| rule.depth()).max().unwrap_or(0),
            Self::When { then, otherwise, .. } => {
                then.depth().max(otherwise.as_ref().map_or(0, |rule| rule.depth()))
            }
        }
    }

    /// Calls `visitor` with each leaf's origin and model.
    pub(super) fn visit(&self, visitor: &mut impl FnMut(&str, Option<&str>)) {
        match self {
            Self::To { origin, model } => visitor(origin, model.as_deref()),
            Self::Order(rules) | Self::Cheapest(rules) => rules.iter().for_each(|rule| rule.visit(visitor)),
            Self::Split(parts) => parts.iter().for_each(|(_, rule)| rule.visit(visitor)),
            Self::When { then, otherwise, .. } => {
                then.visit(visitor);
                otherwise.iter().for_each(|rule| rule.visit(visitor));
            }
        }
    }

    /// How many origins a request may go to by it, in one plan or another.
    pub(super) fn leaves(&self) -> usize {
        match self {
            Self::To { .. } => 1,
            Self::Order(rules) | Self::Cheapest(rules) => rules.iter().map(Self::leaves).sum(),
            Self::Split(parts) => parts.iter().map(|(_, rule)| rule.leaves()).sum(),
            Self::When { then, otherwise, .. } => {
                then.leaves().max(otherwise.as_ref().map_or(0, |rule| rule.leaves()))
            }
        }
    }
}
