//! `moegate import`: another gateway's routing as a `moegate.toml`, with a list of what has no counterpart.

mod cloud;
mod draft;
mod json;
mod litellm;
mod openrouter;
mod output;
mod portkey;
mod providers;
mod rule;
mod source;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

use draft::{Draft, Sort};
use moegate_config::{Problem, authoring};
use source::Item;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use value::{Value, problem};

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Portkey,
    Litellm,
    Openrouter,
}

impl From {
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "portkey" => Some(Self::Portkey),
            "litellm" => Some(Self::Litellm),
            "openrouter" => Some(Self::Openrouter),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Portkey => "Portkey",
            Self::Litellm => "LiteLLM",
            Self::Openrouter => "OpenRouter",
        }
    }
}

/// What to import.
pub(crate) struct Import {
    pub(crate) from: From,
    /// `-`: standard input.
    pub(crate) file: PathBuf,
    /// Names that clients ask for, where the source has none.
    pub(crate) models: Vec<String>,
    /// Providers behind the names of a vault's entries.
    pub(crate) providers: BTreeMap<String, String>,
}

/// A configuration, and what its reader has to know.
pub(crate) struct Imported {
    pub(crate) toml: String,
    pub(crate) notes: String,
}

/// # Errors
/// The file cannot be read, is not what it should be, or gives no configuration that `moegate check` takes.
pub(crate) fn run(import: &Import) -> Result<Imported, String> {
    let name = if import.file.as_os_str() == "-" {
        "standard input".into()
    } else {
        import.file.display().to_string()
    };
    let text = read(import).map_err(|error| format!("cannot read {name}: {error}"))?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let options = Options { models: &import.models, providers: &import.providers, variable: &variable };
    let draft = convert(import.from, &text, &options).map_err(|problem| format!("{name}: {problem}"))?;
    let toml = output::toml(&draft, import.from.name());
    // What comes out is held to the rules of `moegate check` before anybody sees it.
    authoring::parse(&toml).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
        format!("{name} gives no valid moegate.toml:\n{}", lines.join("\n"))
    })?;
    let counts = format!(
        "origins: {}, routes: {}, keys: {}",
        draft.origins.len(),
        draft.routes.len(),
        draft.keys.len()
    );
    let notes = format!(
        "{name}: imported from {} ({counts}).\n{}",
        import.from.name(),
        output::list(&draft.notes, "")
    );
    Ok(Imported { toml, notes })
}

fn read(import: &Import) -> std::io::Result<String> {
    if import.file.as_os_str() != "-" {
        return fs::read_to_string(&import.file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn convert(from: From, text: &str, options: &Options<'_>) -> Result<Draft, Problem> {
    let source = match from {
        From::Litellm => yaml::read(text)?,
        From::Portkey | From::Openrouter => json::read(text)?,
    };
    convert_tree(from, &source, options)
}

fn convert_tree(from: From, source: &Value, options: &Options<'_>) -> Result<Draft, Problem> {
    let mut draft = match from {
        From::Portkey => portkey::import(source, options)?,
        From::Litellm => litellm::import(source, options)?,
        From::Openrouter => openrouter::import(source, options)?,
    };
    draft.prune();
    draft.list_open_prices();
    Ok(draft)
}

/// What the caller says beside the file.
struct Options<'a> {
    models: &'a [String],
    providers: &'a BTreeMap<String, String>,
    /// The environment of the command, for addresses that the source takes from there; never for keys.
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Options<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// A text that may stand in an environment variable, `os.environ/NAME`: an address is compiled in, so it must be known
    /// now. Where it is not, something that cannot work is written, and listed.
    fn text(&self, draft: &mut Draft, item: &Item<'_>, is_url: bool) -> Result<String, Problem> {
        let text = item.word()?;
        Ok(match text.strip_prefix("os.environ/") {
            Some(name) => self.text_of_variable(draft, &item.path, name, is_url),
            None => text,
        })
    }

    fn text_of_variable(&self, draft: &mut Draft, path: &str, name: &str, is_url: bool) -> String {
        if let Some(value) = self.variable(name) {
            draft.differs(
                path,
                format!("the value that {name} has now is written: addresses are compiled in"),
            );
            return value;
        }
        let label: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let label = format!("fill-in-{}", label.trim_matches('-'));
        draft.note(
            Sort::FillIn,
            path,
            format!("`{label}` stands where the value of {name} belongs: addresses are compiled in; write it there, or import again with {name} set"),
        );
        // `.invalid` is the name of no host (RFC 2606, section 2).
        if is_url { format!("https://{label}.invalid") } else { label }
    }
}

/// Without a key every call would be answered 401.
fn add_key(draft: &mut Draft) {
    let name = "CLIENT_KEY_SHA256";
    draft.keys.push(("app".to_owned(), name.to_owned()));
    draft.note(
        Sort::Secret,
        "[[keys]]",
        format!("set `{name}`: the hash of a key for your clients, from `moegate keys new`"),
    );
}

/// Names of models that become routes.
///
/// # Errors
/// It is none.
fn model_name(path: &str, name: &str) -> Result<(), Problem> {
    if draft::is_model_name(name) {
        return Ok(());
    }
    Err(problem(
        path,
        "must be 1 to 200 visible ASCII characters without blanks: clients and headers carry it",
    ))
}
