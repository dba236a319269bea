//! A `moegate.toml` in the making, and the list of what to know about it.

use super::rule::Rule;
use super::value::problem;
use crate::decimal::Decimal;
use moegate_config::{Action, Authority, Failure, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// What the person has to know about one place in the source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) sort: Sort,
    pub(super) path: String,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// A platform secret to set.
    Secret,
    /// Something that the source leaves open and the configuration must have.
    FillIn,
    /// Taken over, but it does not mean quite the same.
    Differs,
    /// Not taken over.
    Missing,
}

#[derive(Default)]
pub(super) struct Draft {
    pub(super) origins: Vec<Origin>,
    pub(super) routes: Vec<Route>,
    /// Name and secret with the hash.
    pub(super) keys: Vec<(String, String)>,
    /// The secret with the admin key's hash.
    pub(super) admin: Option<String>,
    pub(super) notes: Vec<Note>,
    secrets: Vec<Secret>,
}

/// A secret's name, and what it stands for.
struct Secret {
    name: String,
    key: Key,
    /// Scheme and authority of its origin: a secret goes to one.
    owner: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) secret: Option<String>,
    pub(super) aws: Option<Aws>,
    pub(super) limits: Limits,
    pub(super) models: Vec<Model>,
}

/// Where an origin is and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// As in `kind` of moegate.toml.
    pub(super) kind: &'static str,
    pub(super) url: String,
    /// Of Azure.
    pub(super) api_version: Option<String>,
}

/// How requests to Bedrock are signed; names of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aws {
    pub(super) region: String,
    pub(super) access_key_id: String,
    pub(super) session_token: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) first_byte_timeout_s: Option<u32>,
    pub(super) breaker_failures: Option<u32>,
    pub(super) breaker_open_s: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    /// Where in the source it is named.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) price: Prices,
    pub(super) context_tokens: Option<u32>,
    pub(super) max_output_tokens: Option<u32>,
}

/// Dollars per million tokens as moegate.toml has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prices {
    pub(super) input: Option<String>,
    pub(super) cached_input: Option<String>,
    pub(super) cache_write: Option<String>,
    pub(super) output: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) model: String,
    pub(super) aliases: Vec<String>,
    pub(super) rule: Rule,
    pub(super) attempts: Option<u32>,
    pub(super) first_byte_s: Option<u32>,
    pub(super) drop_unsupported: bool,
    pub(super) on: BTreeMap<Failure, Action>,
}

/// Where a key comes from in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// An environment variable.
    Variable(String),
    /// The key itself, which is never written anywhere.
    Literal(String),
    /// Another gateway's vault, under this name.
    Vault(String),
    /// Nowhere: the other gateway takes the provider's usual variable.
    Usual(String),
}

impl Key {
    /// A variable that is named and the same one that is usual hold one key.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Variable(one) | Self::Usual(one), Self::Variable(other) | Self::Usual(other)) => {
                one == other
            }
            _ => self == other,
        }
    }
}

impl Draft {
    pub(super) fn note(&mut self, sort: Sort, path: impl Into<String>, text: impl Into<String>) {
        let note = Note { sort, path: path.into(), text: text.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn missing(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.note(Sort::Missing, path, text);
    }

    pub(super) fn differs(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.note(Sort::Differs, path, text);
    }

    /// The secret's name for that key at that URL's host; a new one is listed. `usual` is its name where the source has none.
    pub(super) fn secret(&mut self, path: &str, key: Key, url: &str, usual: &str) -> String {
        let owner = Authority::of(url).map(|a| format!("{}://{}", a.scheme, a.authority)).unwrap_or_default();
        if let Some(known) = self.secrets.iter().find(|secret| secret.key.is(&key) && secret.owner == owner) {
            return known.name.clone();
        }
        let wanted = match &key {
            Key::Variable(name) | Key::Usual(name) => secret_name(name),
            Key::Vault(slug) => format!("{}_KEY", secret_name(slug)),
            Key::Literal(_) => usual.to_owned(),
        };
        let is_free = |name: &str| self.secrets.iter().all(|secret| secret.name != name);
        let name = unused(&wanted, '_', is_free);
        let what = match &key {
            Key::Usual(variable) => {
                format!("the provider's key, elsewhere the environment variable `{variable}`")
            }
            Key::Variable(variable) if *variable == name => {
                format!("the value of the environment variable `{variable}`")
            }
            Key::Variable(variable) => format!(
                "the value of the environment variable `{variable}` (under a name of its own: capitals, and one host each)"
            ),
            Key::Vault(slug) => {
                format!(
                    "the provider's key behind `{slug}`, which only the provider's console or your records show"
                )
            }
            Key::Literal(_) => "the key that stands there, which is not copied".to_owned(),
        };
        self.note(Sort::Secret, path, format!("set `{name}`: {what}"));
        self.secrets.push(Secret { name: name.clone(), key, owner });
        name
    }

    /// The name of the origin that is like this one, added if there is none; its models gain `model`.
    ///
    /// # Errors
    /// The same model stands there at another price.
    pub(super) fn origin(&mut self, path: &str, mut origin: Origin, model: Model) -> Result<String, Problem> {
        let alike = |other: &&mut Origin| {
            other.place == origin.place
                && other.secret == origin.secret
                && other.aws == origin.aws
                && other.limits == origin.limits
        };
        if let Some(known) = self.origins.iter_mut().find(alike) {
            match known.models.iter_mut().find(|other| other.name == model.name) {
                None => known.models.push(model),
                Some(other) => other.merge(&model).map_err(|what| {
                    problem(path, format!("has another {what} than the same model at the same place before: give both the same"))
                })?,
            }
            return Ok(known.name.clone());
        }
        let is_free = |name: &str| self.origins.iter().all(|other| other.name != name);
        origin.name = unused(&origin.name, '-', is_free);
        origin.models.push(model);
        let name = origin.name.clone();
        self.origins.push(origin);
        Ok(name)
    }

    /// The price as moegate.toml has it; `factor`: tens by which it is more per million tokens than at `path`.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn price(&mut self, path: &str, price: Decimal, factor: i32) -> Result<String, Problem> {
        use crate::decimal::Price;
        match price.shifted(factor).price() {
            Some(Price::Exact(text)) => Ok(text),
            Some(Price::Rounded(text)) => {
                self.differs(
                    path,
                    format!("{text} dollars per million tokens: finer than a nano-dollar, so rounded up"),
                );
                Ok(text)
            }
            None => Err(problem(path, "is more than any price of a token")),
        }
    }

    /// Takes out what no route leads to: a target of Portkey may be open to models that never get there.
    pub(super) fn prune(&mut self) {
        let mut used = BTreeSet::new();
        for route in &self.routes {
            route.rule.visit(&mut |origin, model| {
                used.insert((origin.to_owned(), model.unwrap_or(&route.model).to_owned()));
            });
        }
        for origin in &mut self.origins {
            origin.models.retain(|model| used.contains(&(origin.name.clone(), model.name.clone())));
        }
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.origins).into_iter().partition(|one| !one.models.is_empty());
        self.origins = kept;
        for origin in gone {
            let secret = origin
                .secret
                .filter(|secret| self.origins.iter().all(|other| other.secret.as_ref() != Some(secret)));
            if let Some(secret) = secret {
                let text = format!("set `{secret}`:");
                self.notes.retain(|note| note.sort != Sort::Secret || !note.text.starts_with(&text));
            }
            self.missing(
                "(top)",
                format!(
                    "no request comes to `{}` at {} by these routes, so the origin is left out",
                    origin.name, origin.place.url
                ),
            );
        }
    }

    /// Lists the prices that the source does not have.
    pub(super) fn list_open_prices(&mut self) {
        let mut open = Vec::new();
        for origin in &self.origins {
            for model in &origin.models {
                let missing = [("input", &model.price.input), ("output", &model.price.output)];
                let missing: Vec<_> =
                    missing.iter().filter(|(_, price)| price.is_none()).map(|(name, _)| *name).collect();
                if !missing.is_empty() {
                    let text = format!(
                        "the source has no {} price of `{}` at origin `{}`: 0 is written, so its requests count as free until you fill it in",
                        missing.join(" and "),
                        model.name,
                        origin.name
                    );
                    open.push((model.path.clone(), text));
                }
            }
        }
        for (path, text) in open {
            self.note(Sort::FillIn, path, text);
        }
    }

    /// Seconds within what moegate.toml takes; what is cut is listed.
    pub(super) fn within(&mut self, path: &str, value: u32, least: u32, most: u32) -> u32 {
        let kept = value.clamp(least, most);
        if kept != value {
            self.differs(path, format!("is {value}; {kept} is the nearest that is possible here"));
        }
        kept
    }
}

impl Model {
    /// Fills what is open from another account of the same model.
    fn merge(&mut self, other: &Self) -> Result<(), &'static str> {
        let prices = [
            (&mut self.price.input, &other.price.input),
            (&mut self.price.output, &other.price.output),
            (&mut self.price.cached_input, &other.price.cached_input),
            (&mut self.price.cache_write, &other.price.cache_write),
        ];
        for (own, other) in prices {
            fill(own, other.as_ref()).ok_or("price")?;
        }
        fill(&mut self.context_tokens, other.context_tokens.as_ref()).ok_or("context length")?;
        fill(&mut self.max_output_tokens, other.max_output_tokens.as_ref()).ok_or("limit of output tokens")
    }
}

fn fill<T: Clone + PartialEq>(own: &mut Option<T>, other: Option<&T>) -> Option<()> {
    match (&own, other) {
        (Some(own), Some(other)) => (own == other).then_some(()),
        (None, Some(other)) => {
            *own = Some(other.clone());
            Some(())
        }
        (_, None) => Some(()),
    }
}

/// The name itself, or with the first number that makes it a free one.
fn unused(name: &str, mark: char, is_free: impl Fn(&str) -> bool) -> String {
    if is_free(name) {
        return name.to_owned();
    }
    let mut number = 2;
    loop {
        let name = format!("{name}{mark}{number}");
        if is_free(&name) {
            return name;
        }
        number += 1;
    }
}

/// A name as secrets have them: capitals, digits and `_`, no digit first.
pub(super) fn secret_name(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = name.trim_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("KEY_{name}")
    } else {
        name.to_owned()
    }
}

/// A name as origins and keys have them: letters, digits, `-` and `_`, at most 60 for a number to follow.
pub(super) fn plain_name(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(60).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "origin".to_owned() } else { name.to_owned() }
}

/// What `moegate.toml` takes as a model's name: 1 to 200 characters of visible ASCII.
pub(super) fn is_model_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 200 && name.bytes().all(|b| b.is_ascii_graphic())
}
