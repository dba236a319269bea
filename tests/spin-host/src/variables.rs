//! Application variables: where their values come from, and the templates that use them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::failure::{Failure, Result};

/// What the manifest says of one variable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Used where no source has a value; without one the variable is required.
    pub(crate) default: Option<String>,
}

/// Every variable with its value.
pub(crate) type Values = BTreeMap<String, String>;

/// Why a guest's look-up failed, with the runtime's own sentences.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    InvalidName(String),
    Undefined(String),
}

/// The sources of values, the first that has one wins: the command line, the environment, the `.env` file.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) command_line: HashMap<String, String>,
    pub(crate) environment: HashMap<String, String>,
    pub(crate) env_file: HashMap<String, String>,
}

impl Sources {
    /// A `--variable` argument: `NAME=VALUE`, or `NAME=@FILE` whose content is the value, its last newline included.
    pub(crate) fn add_argument(&mut self, argument: &str) -> Result<()> {
        let Some((name, value)) = argument.split_once('=') else {
            return Err(Failure::new(format!("--variable {argument:?}: NAME=VALUE or NAME=@FILE is wanted")));
        };
        let value = match value.strip_prefix('@') {
            None => value.to_owned(),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("variable {name:?}: cannot read {file}: {error}")))?,
        };
        self.command_line.insert(name.to_owned(), value);
        Ok(())
    }

    /// A `.env` file: `NAME=VALUE` lines, `#` comments, quotes around a value taken off.
    pub(crate) fn add_env_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                let place = format!("{}:{}", path.display(), number + 1);
                return Err(Failure::new(format!("{place}: NAME=VALUE is wanted")));
            };
            self.env_file.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
        }
        Ok(())
    }

    /// The value of every declared variable.
    pub(crate) fn resolve(&self, declared: &BTreeMap<String, Declared>) -> Result<Values> {
        for name in self.command_line.keys() {
            if !declared.contains_key(name) {
                return Err(Failure::new(format!("--variable {name}: the manifest declares no such variable")));
            }
        }
        let mut values = Values::new();
        let mut missing = Vec::new();
        for (name, variable) in declared {
            check_name(name).map_err(|why| Failure::new(format!("invalid variable name: {why}")))?;
            let in_environment = format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase());
            let value = self
                .command_line
                .get(name)
                .or_else(|| self.environment.get(&in_environment))
                .or_else(|| self.env_file.get(&in_environment))
                .or(variable.default.as_ref());
            match value {
                Some(value) => drop(values.insert(name.clone(), value.clone())),
                None => missing.push(name.as_str()),
            }
        }
        if missing.is_empty() {
            Ok(values)
        } else {
            Err(Failure::new(format!("no provider resolved required variable(s): {}", missing.join(", "))))
        }
    }
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// The runtime's rule for names: lower-case letters, digits and single underscores, a letter first, no underscore last.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let why = if name.is_empty() {
        "must not be empty".to_owned()
    } else if let Some(c) = name.chars().find(|&c| !legal(c)) {
        format!(
            "invalid character {c:?}. Variable names may contain only lower-case letters, numbers, and underscores."
        )
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "must start with a lowercase ASCII letter".to_owned()
    } else if name.ends_with('_') {
        "must end with a lowercase ASCII letter or digit".to_owned()
    } else if name.contains("__") {
        "must not contain multiple consecutive underscores".to_owned()
    } else {
        return Ok(());
    };
    Err(format!("{name:?}: {why}"))
}

/// Puts the values in for every `{{ name }}`.
pub(crate) fn render(template: &str, values: &Values) -> Result<String> {
    let mut rendered = String::new();
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once("{{") {
        rendered.push_str(text);
        let Some((name, tail)) = tail.split_once("}}") else {
            return Err(Failure::new(format!("invalid variable template {template:?}: unmatched '{{{{'")));
        };
        let name = name.trim();
        let value = values.get(name).ok_or_else(|| {
            Failure::new(format!("invalid variable template {template:?}: unknown variable {name:?}"))
        })?;
        rendered.push_str(value);
        rest = tail;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// A guest's look-up among its component's own variables.
pub(crate) fn look_up(component: &str, values: &Values, name: &str) -> Result<String, LookupError> {
    check_name(name).map_err(LookupError::InvalidName)?;
    match values.get(name) {
        Some(value) => Ok(value.clone()),
        None => Err(LookupError::Undefined(format!("no variable for {component:?}.{name:?}"))),
    }
}
