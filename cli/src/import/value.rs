//! A source file as a tree. Numbers stay as they are written: a price goes through no binary fraction.

use moegate_config::Problem;

/// Deeper than any configuration, and few enough for any stack.
pub(super) const DEEPEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Map(Members),
}

/// In the file's order, each name once.
pub(super) type Members = Vec<(String, Value)>;

impl Value {
    /// For a person who expected something else.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }

    /// How many values there are in it, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match self {
            Self::List(values) => values.iter().map(Self::size).sum(),
            Self::Map(members) => members.iter().map(|(_, value)| value.size()).sum(),
            _ => 0,
        }
    }
}

/// What is wrong with the source, where. The message never holds a value that may be a key.
pub(super) fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: if path.is_empty() { "(top)".to_owned() } else { path.to_owned() },
        message: message.into(),
    }
}
