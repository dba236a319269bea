//! `moegate keys`: client keys, for moegate.toml (`new`) or made at a running gateway (all others).

mod new;
mod text;

use crate::admin::Gateway;
use lexopt::prelude::*;
use serde_json::{Map, Value as Json, json};
use ureq::http::Method;

/// What is wanted.
pub(crate) enum Keys {
    /// Only printed; nothing is sent.
    New {
        name: String,
    },
    Remote(Remote),
}

/// A call to a gateway.
pub(crate) struct Remote {
    url: String,
    json: bool,
    what: What,
}

enum What {
    /// With revoked ones too?
    List {
        all: bool,
    },
    Audit,
    /// One request, and whether a secret comes with its answer.
    Change {
        method: Method,
        path: String,
        body: Option<Json>,
    },
}

/// The options of all commands.
#[derive(Default)]
struct Options {
    name: Option<String>,
    url: Option<String>,
    json: bool,
    all: bool,
    overlap: Option<u64>,
    /// Members of the request's body.
    body: Map<String, Json>,
}

/// The arguments behind `keys`. `None`: help is wanted.
///
/// # Errors
/// One is missing, unknown or not what it should be.
pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Option<Keys>, lexopt::Error> {
    let mut words = Vec::new();
    let mut options = Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Short('h') | Long("help") => return Ok(None),
            Long("name") => options.name = Some(arguments.value()?.string()?),
            Long("url") => options.url = Some(arguments.value()?.string()?),
            Long("json") => options.json = true,
            Long("all") => options.all = true,
            Long("overlap") => options.overlap = Some(arguments.value()?.parse_with(duration)?),
            Long("tenant") => options.set("tenant", arguments.value()?.string()?.into()),
            Long("errors") => options.set("errors", arguments.value()?.string()?.into()),
            Long("expires") => options.set("expires_at", moment(&arguments.value()?.string()?)),
            Long("ttl") => options.set("ttl", arguments.value()?.parse_with(duration)?.into()),
            Long("model") => options.push("models", arguments.value()?.string()?.into()),
            Long("all-models") => options.set("models", Json::Null),
            Long("limit") => options.push("limits", arguments.value()?.parse_with(limit)?),
            Long("no-limits") => options.set("limits", json!([])),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    if let ["new"] = words[..] {
        let Options { name, url: None, json: false, all: false, overlap: None, body } = options else {
            return Err("keys new prints a key for moegate.toml, and takes --name alone; `keys create` makes one at a gateway".into());
        };
        if !body.is_empty() {
            return Err("keys new takes --name alone: limits and the rest stand in moegate.toml".into());
        }
        return Ok(Some(Keys::New { name: name.unwrap_or_else(|| "app".to_owned()) }));
    }
    options.remote(&words).map(|remote| Some(Keys::Remote(remote)))
}

impl Options {
    fn set(&mut self, name: &str, value: Json) {
        self.body.insert(name.to_owned(), value);
    }

    fn push(&mut self, name: &str, value: Json) {
        match self.body.get_mut(name).and_then(Json::as_array_mut) {
            Some(list) => list.push(value),
            None => self.set(name, Json::Array(vec![value])),
        }
    }

    fn remote(self, words: &[&str]) -> Result<Remote, lexopt::Error> {
        let Self { name, url, json, all, overlap, mut body } = self;
        if name.is_some() {
            return Err("--name is for keys new: elsewhere the name stands behind the command".into());
        }
        let says_more = !body.is_empty();
        let unused = |is_there: bool, text: &'static str| if is_there { Err(text) } else { Ok(()) };
        unused(all && words != ["list"], "--all is for keys list")?;
        unused(overlap.is_some() && words.first() != Some(&"rotate"), "--overlap is for keys rotate")?;
        let what = match *words {
            ["create", name] => {
                body.insert("name".to_owned(), name.into());
                What::Change { method: Method::POST, path: "/keys".to_owned(), body: Some(body.into()) }
            }
            ["limit", name] if says_more => {
                What::Change { method: Method::PATCH, path: path(name, "")?, body: Some(body.into()) }
            }
            ["limit", _] => {
                return Err(
                    "what is to be changed? --limit, --no-limits, --model, --all-models, --expires, --ttl"
                        .into(),
                );
            }
            _ if says_more => {
                return Err(
                    format!("there is no command `keys {}` with these options", words.join(" ")).into()
                );
            }
            ["list"] => What::List { all },
            ["audit"] => What::Audit,
            ["rotate", name] => {
                let body = overlap.map(|seconds| json!({"overlap": seconds}));
                What::Change { method: Method::POST, path: path(name, "/rotate")?, body }
            }
            ["revoke", name] => What::Change { method: Method::DELETE, path: path(name, "")?, body: None },
            _ => return Err(format!("there is no command `keys {}`", words.join(" ")).into()),
        };
        let url = url.ok_or("which gateway? --url https://gateway.example")?;
        Ok(Remote { url, json, what })
    }
}

fn path(name: &str, rest: &str) -> Result<String, String> {
    new::check_name(name)?;
    Ok(format!("/keys/{name}{rest}"))
}

/// Seconds: `90`, `15m`, `24h`, `7d`.
fn duration(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 1,
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(seconds))
        .ok_or_else(|| format!("`{text}` is no time: write seconds, or 15m, 24h, 7d"))
}

/// The gateway reads it; `never` is its null.
fn moment(text: &str) -> Json {
    match text.parse::<u64>() {
        Ok(seconds) => seconds.into(),
        Err(_) if text == "never" => Json::Null,
        Err(_) => text.into(),
    }
}

/// `day:requests=100,dollars=5`, `concurrent=4`: a limit as in moegate.toml.
fn limit(text: &str) -> Result<Json, String> {
    let wrong = || {
        format!(
            "`{text}` is no limit: write minute:requests=60,tokens=100000, month:dollars=500 or concurrent=4"
        )
    };
    let mut limit = Map::new();
    let terms = match text.split_once(':') {
        Some((per, terms)) => {
            limit.insert("per".to_owned(), per.into());
            terms
        }
        None => text,
    };
    for term in terms.split(',') {
        let (name, value) = term.split_once('=').ok_or_else(wrong)?;
        let value: Json = match name {
            "dollars" => value.into(),
            "requests" | "tokens" | "concurrent" | "soft_percent" => {
                value.parse::<u64>().map_err(|_| wrong())?.into()
            }
            _ => return Err(wrong()),
        };
        limit.insert(name.to_owned(), value);
    }
    Ok(limit.into())
}

/// What is printed.
///
/// # Errors
/// The gateway cannot be reached, or refuses.
pub(crate) fn run(keys: &Keys) -> Result<String, String> {
    let Remote { url, json, what } = match keys {
        Keys::New { name } => return new::new_key(name),
        Keys::Remote(remote) => remote,
    };
    let gateway = Gateway::at(url)?;
    match what {
        What::List { all } => {
            let mut rows = pages(&gateway, "/keys", "keys")?;
            rows.retain(|row| *all || row["revoked_at"].is_null());
            Ok(if *json { lines(&rows) } else { text::keys(&rows) })
        }
        What::Audit => {
            let rows = pages(&gateway, "/keys/audit", "changes")?;
            Ok(if *json { lines(&rows) } else { text::changes(&rows) })
        }
        What::Change { method, path, body } => {
            let answer = gateway.call(method, path, body.as_ref())?;
            Ok(if *json { format!("{answer}\n") } else { text::changed(&answer) })
        }
    }
}

/// All rows of a list that comes in pages.
fn pages(gateway: &Gateway, path: &str, list: &str) -> Result<Vec<Json>, String> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway.call(&Method::GET, &format!("{path}{cursor}"), None)?;
        rows.extend(page[list].as_array().into_iter().flatten().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => return Ok(rows),
        }
    }
}

fn lines(rows: &[Json]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Method, String, Json), String> {
        let words = std::iter::once("moegate").chain(line.split(' '));
        match parse(&mut lexopt::Parser::from_iter(words)).map_err(|error| error.to_string())? {
            Some(Keys::Remote(Remote { what: What::Change { method, path, body }, url, .. })) => {
                assert_eq!(url, "U");
                Ok((method, path, body.unwrap_or_default()))
            }
            _ => Err("no change".to_owned()),
        }
    }

    #[test]
    fn commands_are_requests() {
        for (line, method, path, body) in [
            ("create pr-7 --url U", Method::POST, "/keys", json!({"name": "pr-7"})),
            (
                "create pr-7 --tenant acme --model a --model b --limit day:requests=100,dollars=0.5 --limit concurrent=2 --ttl 7d --url U",
                Method::POST,
                "/keys",
                json!({"name": "pr-7", "tenant": "acme", "models": ["a", "b"], "ttl": 604_800, "limits": [
                    {"per": "day", "requests": 100, "dollars": "0.5"}, {"concurrent": 2}
                ]}),
            ),
            (
                "limit k --no-limits --all-models --expires never --url U",
                Method::PATCH,
                "/keys/k",
                json!({"limits": [], "models": null, "expires_at": null}),
            ),
            ("rotate k --url U", Method::POST, "/keys/k/rotate", Json::Null),
            ("rotate k --overlap 1h --url U", Method::POST, "/keys/k/rotate", json!({"overlap": 3600})),
            ("revoke k --url U", Method::DELETE, "/keys/k", Json::Null),
        ] {
            assert_eq!(parsed(line), Ok((method, path.to_owned(), body)), "{line}");
        }
        for line in [
            "create --url U",
            "create k",
            "limit k --url U",
            "revoke k --ttl 5 --url U",
            "revoke ../usage --url U",
            "create k --overlap 5 --url U",
            "create k --limit day --url U",
            "create k --limit day:colour=1 --url U",
            "create k --ttl soon --url U",
            "list --name k --url U",
            "new --url U",
            "new --model a",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
