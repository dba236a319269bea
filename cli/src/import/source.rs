//! Reading a source tree so that nothing is passed over: what nobody took is listed.

use super::value::{Members, Value, problem};
use crate::decimal::Decimal;
use moegate_config::Problem;

/// The path of a member. A name that has a point or a blank stands in quotes.
pub(super) fn below(path: &str, name: &str) -> String {
    let is_plain =
        !name.is_empty() && !name.contains(['.', ' ', '[', ']', '"']) && !name.contains(char::is_control);
    let name = if is_plain { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) path: String,
    pub(super) value: &'a Value,
}

impl<'a> Item<'a> {
    pub(super) fn new(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), value }
    }

    pub(super) fn wrong(&self, wanted: &str) -> Problem {
        problem(&self.path, format!("must be {wanted}, but is {}", self.value.kind()))
    }

    pub(super) fn text(&self) -> Result<&'a str, Problem> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong("text")),
        }
    }

    /// Text, or a number or truth value as it is written.
    pub(super) fn word(&self) -> Result<String, Problem> {
        match self.value {
            Value::Text(text) | Value::Number(text) => Ok(text.clone()),
            Value::Bool(flag) => Ok(flag.to_string()),
            _ => Err(self.wrong("text, a number, true or false")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, Problem> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A number, or text that is one.
    pub(super) fn decimal(&self) -> Result<Decimal, Problem> {
        match self.value {
            Value::Number(text) | Value::Text(text) => Decimal::parse(text.trim()).ok_or_else(|| {
                problem(&self.path, "must be a number that is not negative, such as 0.5 or 1e-6")
            }),
            _ => Err(self.wrong("a number")),
        }
    }

    /// Rounded up.
    pub(super) fn whole(&self) -> Result<u32, Problem> {
        self.decimal()?.whole_up().ok_or_else(|| problem(&self.path, "is too large a number"))
    }

    pub(super) fn list(&self) -> Result<Vec<Item<'a>>, Problem> {
        match self.value {
            Value::List(values) => Ok((values.iter().enumerate())
                .map(|(i, value)| Item::new(format!("{}[{i}]", self.path), value))
                .collect()),
            _ => Err(self.wrong("a list")),
        }
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self) -> Result<Vec<&'a str>, Problem> {
        match self.value {
            Value::Text(text) => Ok(vec![text]),
            _ => self.list()?.iter().map(Item::text).collect(),
        }
    }

    pub(super) fn table(&self) -> Result<Table<'a>, Problem> {
        match self.value {
            Value::Map(members) => {
                Ok(Table { path: self.path.clone(), members, taken: vec![false; members.len()] })
            }
            _ => Err(self.wrong("a table of names and values")),
        }
    }
}

/// A table that knows which of its members somebody took.
pub(super) struct Table<'a> {
    pub(super) path: String,
    members: &'a Members,
    taken: Vec<bool>,
}

impl<'a> Table<'a> {
    /// The member of that name, in snake_case or camelCase; a null is as good as none.
    pub(super) fn take(&mut self, name: &str) -> Option<Item<'a>> {
        let at = self.members.iter().position(|(other, _)| other == name || *other == camel(name))?;
        self.taken[at] = true;
        let (name, value) = &self.members[at];
        (*value != Value::Null).then(|| Item::new(below(&self.path, name), value))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(other, value)| (other == name || *other == camel(name)) && *value != Value::Null)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<&'a str>, Problem> {
        self.take(name).map(|item| item.text()).transpose()
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        below(&self.path, name)
    }

    /// What nobody took, nulls left out.
    pub(super) fn rest(&self) -> Vec<Item<'a>> {
        (self.members.iter().zip(&self.taken))
            .filter(|((_, value), taken)| !**taken && *value != Value::Null)
            .map(|((name, value), _)| Item::new(below(&self.path, name), value))
            .collect()
    }

    /// Every member with its name; they count as taken.
    pub(super) fn all(&mut self) -> Vec<(&'a str, Item<'a>)> {
        self.taken.fill(true);
        let members = self.members.iter();
        members.map(|(name, value)| (name.as_str(), Item::new(below(&self.path, name), value))).collect()
    }
}

/// `on_status_codes` → `onStatusCodes`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        text + letters.as_str()
    })
}
