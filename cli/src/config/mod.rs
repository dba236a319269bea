//! `moegate config`: a gateway's configuration, changed without a deploy.

mod diff;
mod show;

use crate::Answer;
use crate::admin::Gateway;
use http::Method;
use lexopt::prelude::*;
use moegate_config::Config;
use moegate_config::authoring::{self, Platform};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What to do, and where.
#[derive(Debug)]
pub(crate) struct Command {
    url: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Push { file: PathBuf, platform: Option<Platform>, note: String, if_version: Option<u32> },
    Diff { file: PathBuf, platform: Option<Platform> },
    Rollback { version: Option<u32>, if_version: Option<u32>, note: String },
    Show { version: Option<u32> },
}

/// What `GET /config` says.
#[derive(Debug, Deserialize)]
struct State {
    version: u32,
    hash: String,
    since_ms: u64,
    deployed: String,
    applies: bool,
    running: String,
    versions: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    version: u32,
    at_ms: u64,
    who: String,
    #[serde(default)]
    note: String,
    hash: String,
    base: String,
    back_to: Option<u32>,
}

impl State {
    /// The version that is served: 0 is the compiled-in one.
    fn served(&self) -> u32 {
        if self.applies { self.version } else { 0 }
    }
}

/// The arguments behind `config`. `None`: help is wanted.
///
/// # Errors
/// One is missing, unknown or not what it should be.
pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Option<Command>, lexopt::Error> {
    let mut words = Vec::new();
    let (mut url, mut note, mut if_version, mut platform) = (None, None, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("url") => url = Some(arguments.value()?.string()?),
            Long("note") => note = Some(arguments.value()?.string()?),
            Long("if-version") => if_version = Some(arguments.value()?.parse()?),
            Long("platform") => platform = Some(arguments.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_| lexopt::Error::from(format!("`{text}` is no number of a version")))
    };
    let changes = matches!(words.first(), Some(&("push" | "rollback")));
    if !changes && (note.is_some() || if_version.is_some()) {
        return Err("--note and --if-version belong to config push and config rollback".into());
    }
    if platform.is_some() && !matches!(words.first(), Some(&("push" | "diff"))) {
        return Err("--platform belongs to config push and config diff".into());
    }
    let note = note.unwrap_or_default();
    let what = match &words[..] {
        ["push", file] => What::Push { file: file.into(), platform, note, if_version },
        ["diff", file] => What::Diff { file: file.into(), platform },
        ["rollback"] => What::Rollback { version: None, if_version, note },
        ["rollback", version] => What::Rollback { version: Some(number(version)?), if_version, note },
        ["show"] => What::Show { version: None },
        ["show", version] => What::Show { version: Some(number(version)?) },
        _ => return Err("config wants push FILE, diff FILE, rollback [VERSION] or show [VERSION]".into()),
    };
    let url = url.ok_or("config wants the gateway's address: --url https://gateway.example")?;
    Ok(Some(Command { url, what }))
}

/// # Errors
/// The configuration cannot be used, or the gateway did not take it or answer.
pub(crate) fn run(command: &Command) -> Result<Answer, String> {
    // What is wrong with a file is said without a key or a gateway.
    match &command.what {
        What::Push { file, platform, note, if_version } => {
            let config = read(file, *platform)?;
            let gateway = Gateway::at(&command.url)?;
            push(&gateway, &config, note, *if_version)
        }
        What::Diff { file, platform } => {
            let config = read(file, *platform)?;
            let gateway = Gateway::at(&command.url)?;
            let state = state(&gateway)?;
            let text = diff::differences(&text_of(&gateway, state.served())?, &config);
            let is_yes = text.is_empty();
            let what = show::served(&state);
            let text = match is_yes {
                true => format!("{}: as it runs ({what}).\n", file.display()),
                false => format!("From what runs ({what}) to {}:\n{text}", file.display()),
            };
            Ok(Answer { text, is_yes })
        }
        What::Rollback { version, if_version, note } => {
            rollback(&Gateway::at(&command.url)?, *version, *if_version, note)
        }
        What::Show { version: None } => {
            Ok(Answer { text: show::state(&state(&Gateway::at(&command.url)?)?), is_yes: true })
        }
        What::Show { version: Some(version) } => {
            let text = text_of(&Gateway::at(&command.url)?, *version)?;
            Ok(Answer { text: format!("{text:#}\n"), is_yes: true })
        }
    }
}

/// The file's configuration as JSON.
fn read(file: &Path, platform: Option<Platform>) -> Result<Json, String> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let config = authoring::parse_for(&text, platform).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
        format!("{name} cannot be used:\n{}", lines.join("\n"))
    })?;
    serde_json::to_value(&config).map_err(|error| error.to_string())
}

fn state(gateway: &Gateway) -> Result<State, String> {
    let answer = gateway.call(&Method::GET, "/config", None)?;
    serde_json::from_value(answer)
        .map_err(|error| format!("GET /config is not answered as expected: {error}"))
}

/// A version, with what is left to the defaults written out as this `moegate` does it.
fn text_of(gateway: &Gateway, version: u32) -> Result<Json, String> {
    let text = gateway.call(&Method::GET, &format!("/config?version={version}"), None)?;
    let config = serde_json::from_value::<Config>(text.clone()).ok();
    Ok(config.and_then(|config| serde_json::to_value(config).ok()).unwrap_or(text))
}

fn push(gateway: &Gateway, config: &Json, note: &str, if_version: Option<u32>) -> Result<Answer, String> {
    let state = state(gateway)?;
    let changes = diff::differences(&text_of(gateway, state.served())?, config);
    if changes.is_empty() && if_version.is_none_or(|version| version == state.version) {
        return Ok(Answer { text: format!("Nothing to change: {}.\n", show::served(&state)), is_yes: true });
    }
    let body = json!({"if_version": if_version.unwrap_or(state.version), "note": note, "config": config});
    let answer = gateway.call(&Method::PUT, "/config", Some(&body))?;
    Ok(Answer { text: format!("{changes}{}", made(&answer)), is_yes: true })
}

fn rollback(
    gateway: &Gateway,
    version: Option<u32>,
    if_version: Option<u32>,
    note: &str,
) -> Result<Answer, String> {
    let state = state(gateway)?;
    let version = match version {
        Some(version) => version,
        None if state.applies && state.version > 0 => state.version - 1,
        None => {
            return Err(format!(
                "there is nothing to roll back: {} runs. `moegate config rollback VERSION` makes one of the earlier versions hold that `moegate config show` lists",
                show::served(&state)
            ));
        }
    };
    let body = json!({"if_version": if_version.unwrap_or(state.version), "note": note, "version": version});
    let answer = gateway.call(&Method::POST, "/config/rollback", Some(&body))?;
    let from =
        if version == 0 { "the deployed configuration".to_owned() } else { format!("version {version}") };
    Ok(Answer { text: format!("Back to {from}. {}", made(&answer)), is_yes: true })
}

fn made(answer: &Json) -> String {
    let hash = answer["hash"].as_str().and_then(|hash| hash.get(..8)).unwrap_or_default();
    format!("Version {} ({hash}) holds; every instance serves by it within two minutes.\n", answer["version"])
}
