//! What origins answer, the working ones and the failing ones.

use super::setting::{is_there, origin_of};
use crate::fixtures::{
    DONE, Receipts, USAGE_JSON, event, finish, is_receipt, json, receipt, stream, usage_event,
};
use moegate::platform::fake::{Arrived, End, Piece, Responder, Script, Scripted};
use moegate_wire::Ending;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The whole answer. Whoever goes on with a part of it says the rest.
const WORDS: [&str; 8] = ["one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight"];

#[must_use]
pub fn text() -> String {
    WORDS.concat()
}

/// A request at an origin, as scripts look at it.
pub struct Asked<'a> {
    pub origin: &'static str,
    /// How many came to this origin before.
    pub before: usize,
    pub streamed: bool,
    /// How many words it has to go on from.
    pub from: usize,
    pub arrived: &'a Arrived,
}

impl<'a> Asked<'a> {
    fn new(arrived: &'a Arrived, origin: &'static str, before: usize) -> Self {
        let body: Value = serde_json::from_slice(&arrived.body).unwrap_or_default();
        let last = body["messages"].as_array().and_then(|messages| messages.last()).cloned();
        let said = last.filter(|message| message["role"] == "assistant").unwrap_or_default();
        let words = said["content"].as_str().map_or(0, words_in);
        let tokens = body["moegate_resume"]["tokens"].as_array().map_or(0, Vec::len);
        Self { origin, before, streamed: body["stream"] == true, from: words.max(tokens), arrived }
    }

    /// The script at one origin; the others work.
    #[must_use]
    pub fn at(&self, origin: &str, script: impl FnOnce() -> Script) -> Option<Script> {
        (self.origin == origin).then(script)
    }

    /// The script of `first`.
    #[must_use]
    pub fn first(&self, script: impl FnOnce() -> Script) -> Option<Script> {
        self.at("first", script)
    }
}

/// How many of the words the text has; it must have them in order.
///
/// # Panics
/// If it is no beginning of the answer.
#[must_use]
pub fn words_in(text: &str) -> usize {
    let count = (0..=WORDS.len()).find(|&count| WORDS[..count].concat() == text);
    count.unwrap_or_else(|| panic!("no beginning of the answer: {text:.200}"))
}

/// One word as an event, with its token where the gateway asks our own server for that.
fn word(asked: &Asked<'_>, at: usize) -> String {
    let tells = asked.arrived.header(moegate_wire::header::RESUME).is_some();
    if tells {
        word_with(&format!(r#","moegate":{{"tokens":[{at}],"vocab":"0123456789abcdef"}}"#), at)
    } else {
        word_with("", at)
    }
}

fn word_with(token: &str, at: usize) -> String {
    event(&format!(
        r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{}"}},"finish_reason":null}}]{token}}}"#,
        WORDS[at]
    ))
}

/// The next `count` words, each of which the client must have before the next thing happens.
fn paced_words(asked: &Asked<'_>, count: usize) -> Vec<Piece> {
    // The client gets the words and nothing else: the tokens are between servers.
    let length = |upto: usize| (0..upto).map(|at| word_with("", at).len()).sum::<usize>();
    let pieces = (asked.from..asked.from + count)
        .flat_map(|at| [Piece::Bytes(word(asked, at).into_bytes()), Piece::Until(length(at + 1))]);
    pieces.collect()
}

/// A stream that says the next `count` words and then ends so.
#[must_use]
pub fn begins(asked: &Asked<'_>, count: usize, end: End) -> Script {
    Scripted { pieces: paced_words(asked, count), end, ..stream::<&str>(&[]) }.into()
}

/// The same with more at the end, which nobody has to have.
#[must_use]
pub fn begins_with(asked: &Asked<'_>, count: usize, more: &str, end: End) -> Script {
    let mut pieces = paced_words(asked, count);
    pieces.push(Piece::Bytes(more.as_bytes().to_vec()));
    Scripted { pieces, end, ..stream::<&str>(&[]) }.into()
}

/// A stream of nothing but these bytes.
#[must_use]
pub fn streams(bytes: &str, end: End) -> Script {
    Scripted { end, ..stream(&[bytes]) }.into()
}

/// The head of an answer, and the end.
#[must_use]
pub fn head_only(asked: &Asked<'_>, end: End) -> Script {
    if asked.streamed {
        return Scripted { end, ..stream::<&str>(&[]) }.into();
    }
    Scripted { end, pieces: Vec::new(), ..json(200, "") }.into()
}

/// As it should be.
#[must_use]
pub fn works(asked: &Asked<'_>) -> Script {
    if asked.streamed {
        let words = (asked.from..WORDS.len()).map(|at| word(asked, at));
        let events: Vec<_> = words.chain([finish(), usage_event(USAGE_JSON), DONE.to_owned()]).collect();
        return stream(&events).into();
    }
    let message = value!({"role": "assistant", "content": WORDS[asked.from..].concat()});
    let choice = value!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage: Value = serde_json::from_str(USAGE_JSON).unwrap_or_default();
    json(200, value!({"id": "c", "choices": [choice], "usage": usage}).to_string()).into()
}

pub const ERROR: &str =
    r#"{"error":{"message":"not now","type":"server_error","param":null,"code":"scripted"}}"#;

/// An error of the origin's own, with these headers.
#[must_use]
pub fn error(status: u16, headers: &[(&str, &str)]) -> Script {
    error_of(status, ERROR, headers)
}

#[must_use]
pub fn error_of(status: u16, body: &str, headers: &[(&str, &str)]) -> Script {
    let mut script = json(status, body);
    script.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    script.into()
}

/// A call that has reached an origin.
#[derive(Debug, Clone)]
pub struct Called {
    pub origin: &'static str,
    /// When it arrived, in Unix milliseconds.
    pub at_ms: u64,
    /// As the gateway names the attempt.
    pub id: String,
    /// What the origin says of waiting: `retry-after`, `retry-after-ms`.
    pub patience: [String; 2],
    /// Whether the script never ends by itself.
    pub hangs: bool,
    /// Whether the script is a whole answer.
    pub is_whole: bool,
}

/// The calls that have reached origins, in order.
pub type Calls = Arc<Mutex<Vec<Called>>>;

/// Plays `script` for every request, [`works`] where it has none, and lists the calls.
pub fn responder(
    script: impl Fn(&Asked<'_>) -> Option<Script> + Send + Sync + 'static,
) -> (Responder, Calls) {
    let calls = Calls::default();
    let noted = Arc::clone(&calls);
    let counts = Mutex::new(BTreeMap::<&'static str, usize>::new());
    let responder: Responder = Arc::new(move |arrived| {
        if is_receipt(arrived) {
            return receipt(arrived, Receipts::Signed(Ending::Complete));
        }
        let origin = origin_of(arrived);
        if !is_there(origin) {
            return Script::Refuse;
        }
        let before = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(origin).or_default();
            *count += 1;
            *count - 1
        };
        let asked = Asked::new(arrived, origin, before);
        let chosen = script(&asked);
        let is_whole = chosen.is_none();
        let chosen = chosen.unwrap_or_else(|| works(&asked));
        noted.lock().unwrap().push(called(origin, arrived, &chosen, is_whole));
        chosen
    });
    (responder, calls)
}

fn called(origin: &'static str, arrived: &Arrived, script: &Script, is_whole: bool) -> Called {
    let header = |name: &str| arrived.header(name).unwrap_or_default().to_owned();
    let mut last = script;
    while let Script::After(_, then) = last {
        last = then;
    }
    let says = |name: &str| match last {
        Script::Answer(scripted) => scripted.header(name).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let hangs = match last {
        Script::Silence => true,
        Script::Answer(scripted) => matches!(scripted.end, End::Stall | End::Endless),
        Script::Refuse | Script::Reset | Script::After(..) => false,
    };
    Called {
        origin,
        at_ms: arrived.at_ms,
        id: header(moegate_wire::header::REQUEST_ID),
        patience: [says("retry-after"), says("retry-after-ms")],
        hangs,
        is_whole,
    }
}
