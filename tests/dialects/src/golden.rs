//! What a client's request comes to at an origin, and what it gets back: written down, and compared.

use crate::api::{ClientApi, OriginApi};
use crate::fixture;
use crate::setting::{Outcome, Setting};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

/// One cell of the matrix.
pub struct Cell {
    pub client: ClientApi,
    pub origin: OriginApi,
    pub feature: String,
    pub what: What,
}

pub enum What {
    /// The client's API has no words for the feature.
    NotAsked,
    /// The gateway refuses to say it there: the members that it names.
    Refused(String),
    Answered,
    /// It is said without these settings, and the client gets the answer with a warning.
    LeftOut(String),
    /// The client gets something else than an answer.
    Failed,
}

/// Where a cell is written down.
fn path(client: ClientApi, origin: OriginApi, feature: &str) -> PathBuf {
    let file = format!("{}-to-{}.json", client.folder(), origin.folder());
    fixture::root().join("golden").join(feature).join(file)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// What an origin got, without what is the same in all requests.
fn of_request(outcome: &Outcome) -> Value {
    let Some(arrived) = &outcome.arrived else { return Value::Null };
    let mut headers = Map::new();
    for name in ["authorization", "x-api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta"] {
        if let Some(value) = arrived.header(name) {
            headers.insert(name.to_owned(), json!(value));
        }
    }
    json!({ "path": arrived.path, "headers": headers, "body": parsed(&String::from_utf8_lossy(&arrived.body)) })
}

/// A stream, event by event: its name, where it has one, and its data.
fn events(body: &str) -> Vec<Value> {
    let field = |event: &str, name: &str| {
        let found = event.lines().find_map(|line| line.strip_prefix(name));
        found.map(|text| text.trim_start().to_owned())
    };
    let shown = |event: &str| match (field(event, "event:"), field(event, "data:")) {
        (None, Some(data)) => parsed(&data),
        (Some(name), Some(data)) => json!({ "event": name, "data": parsed(&data) }),
        _ => json!(event),
    };
    body.replace("\r\n", "\n").split_terminator("\n\n").map(shown).collect()
}

/// Plays a cell: what came of it, and what is to be written down.
#[must_use]
pub fn play(setting: &Setting, client: ClientApi, origin: OriginApi, feature: &str) -> (What, Value) {
    let Some(request) = fixture::request(client, feature) else { return (What::NotAsked, Value::Null) };
    let model = format!("to-{}", origin.folder());
    let answer = fixture::answer(origin, feature);
    let whole = setting.ask(client, &request, &model, false, answer.as_bytes(), usize::MAX);
    if whole.arrived.is_none() {
        let text = json!({ "status": whole.status, "refused": parsed(&whole.body) });
        return (What::Refused(refused(&whole)), text);
    }
    let stream = fixture::stream(origin, feature);
    let streamed = setting.ask(client, &request, &model, true, &stream, usize::MAX);
    let is_fine = whole.status == 200 && streamed.status == 200 && !streamed.body.is_empty();
    let mut written = json!({
        "request": of_request(&whole),
        "stream_path": streamed.arrived.as_ref().map(|arrived| arrived.path.clone()),
    });
    // The usual answer stands with the usual request.
    if fixture::has_answer(origin, feature) || !is_fine {
        written["answer"] = json!({ "status": whole.status, "body": parsed(&whole.body) });
        written["stream"] = json!(events(&streamed.body));
    }
    let what = match whole.headers.get("x-moegate-dropped") {
        _ if !is_fine => What::Failed,
        Some(names) => {
            written["dropped"] = json!(names);
            What::LeftOut(names.clone())
        }
        None => What::Answered,
    };
    (what, written)
}

/// What the gateway names as the reason, between the first backticks after "for".
fn refused(outcome: &Outcome) -> String {
    let text = &outcome.body;
    let named =
        text.split_once("no words for ").and_then(|(_, rest)| rest.split_once(": ")).map(|(names, _)| names);
    named.unwrap_or(text).to_owned()
}

/// Compares a cell with what was written down, or writes it down where `MOEGATE_UPDATE` is set.
///
/// # Errors
/// The difference.
///
/// # Panics
/// If the file cannot be written.
pub fn compare(client: ClientApi, origin: OriginApi, feature: &str, now: &Value) -> Result<(), String> {
    let path = path(client, origin, feature);
    if std::env::var_os("MOEGATE_UPDATE").is_some() {
        if now.is_null() {
            let _absent = fs::remove_file(&path);
            return Ok(());
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{now:#}\n")).unwrap();
        return Ok(());
    }
    let before = fs::read_to_string(&path).ok().map_or(Value::Null, |text| parsed(&text));
    if before == *now {
        return Ok(());
    }
    Err(format!("{}\n  was: {before}\n  is:  {now}", path.display()))
}
