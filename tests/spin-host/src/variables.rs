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
                return Err(Failure::new(format!(
                    "--variable {name}: the manifest declares no such variable"
                )));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(names: &[(&str, Option<&str>)]) -> BTreeMap<String, Declared> {
        let declare = |default: &Option<&str>| Declared { default: default.map(str::to_owned) };
        names.iter().map(|(name, default)| ((*name).to_owned(), declare(default))).collect()
    }

    fn pair(name: &str, value: &str) -> HashMap<String, String> {
        HashMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn the_command_line_goes_before_the_environment_before_the_file_before_the_default() {
        let names = declared(&[("a", Some("default"))]);
        let mut sources = Sources::default();
        let value = |sources: &Sources| sources.resolve(&names).unwrap()["a"].clone();
        assert_eq!(value(&sources), "default");
        sources.env_file = pair("SPIN_VARIABLE_A", "file");
        assert_eq!(value(&sources), "file");
        sources.environment = pair("SPIN_VARIABLE_A", "environment");
        assert_eq!(value(&sources), "environment");
        // An empty value is a value.
        sources.command_line = pair("a", "");
        assert_eq!(value(&sources), "");
    }

    #[test]
    fn a_missing_required_and_an_undeclared_one_stop_the_start() {
        let names = declared(&[("a", None), ("b", None), ("c", Some(""))]);
        let mut sources = Sources { command_line: pair("b", "x"), ..Sources::default() };
        let error = sources.resolve(&names).unwrap_err().to_string();
        assert_eq!(error, "no provider resolved required variable(s): a");
        sources.command_line = pair("d", "x");
        assert!(sources.resolve(&names).unwrap_err().to_string().contains("--variable d"));
    }

    #[test]
    fn a_file_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "value\n").unwrap();
        let mut sources = Sources::default();
        sources.add_argument(&format!("a=@{}", file.display())).unwrap();
        sources.add_argument("b=x=y").unwrap();
        assert_eq!(sources.command_line["a"], "value\n");
        assert_eq!(sources.command_line["b"], "x=y");
        assert!(sources.add_argument("c").is_err());
        assert!(sources.add_argument("c=@/nowhere").is_err());
    }

    #[test]
    fn an_env_file_has_comments_and_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "# comment\n\nA=1\nexport B = \"two words\"\nC=''\n").unwrap();
        let mut sources = Sources::default();
        sources.add_env_file(&file).unwrap();
        let value = |name: &str| sources.env_file[name].as_str();
        assert_eq!((value("A"), value("B"), value("C")), ("1", "two words", ""));
    }

    #[test]
    fn names_and_templates_follow_the_rules() {
        for name in ["", "A", "1a", "a_", "a__b", "a-b", "_a"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("a1_b").is_ok());
        let values = Values::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(render("x{{ a }}{{a}}y", &values).unwrap(), "x11y");
        assert!(render("{{ a", &values).is_err());
        assert!(render("{{ b }}", &values).is_err());
        assert_eq!(look_up("c", &values, "a"), Ok("1".to_owned()));
        assert!(matches!(look_up("c", &values, "b"), Err(LookupError::Undefined(_))));
        assert!(matches!(look_up("c", &values, "B"), Err(LookupError::InvalidName(_))));
    }
}
