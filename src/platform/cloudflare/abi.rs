//! The wasm exports. `glue.mjs` is the only caller.
//!
//! Numbers cross as arguments; bytes through one input buffer (`input`) and, outwards, through the eight words at
//! `out`: operation, text pointer and length, bytes pointer and length, `a`, `b`, request.
#![allow(unsafe_code, reason = "exports must keep their names; there is no unsafe block")]

use super::op::{Code, Input};
use super::{tasks, workers};
use crate::core::config::Config;
use crate::core::error::ApiError;
use crate::core::stream::{Close, Forward, Opened, Scanner};
use crate::platform::Head;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUT: Cell<[u32; 8]> = const { Cell::new([0; 8]) };
    /// Keeps what `OUT` points to alive until the next call.
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

static CONFIG: OnceLock<Config> = OnceLock::new();

fn config() -> &'static Config {
    #[expect(
        clippy::expect_used,
        reason = "build.rs wrote it with the same types; a mismatch is found by any test"
    )]
    CONFIG.get_or_init(|| crate::compiled_config().expect("the compiled-in configuration"))
}

fn pointer(bytes: &[u8]) -> u32 {
    bytes.as_ptr() as usize as u32
}

/// Room for `length` bytes of input.
#[unsafe(no_mangle)]
extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(length, 0);
        input.as_mut_ptr()
    })
}

/// Where the eight words are.
#[unsafe(no_mangle)]
extern "C" fn out() -> *const u32 {
    OUT.with(|out| out.as_ptr().cast::<u32>().cast_const())
}

fn take_input(length: usize) -> Vec<u8> {
    let mut bytes = INPUT.take();
    bytes.truncate(length);
    bytes
}

/// The names of the secrets that the glue shall bring, as lines in the text.
#[unsafe(no_mangle)]
extern "C" fn secret_names() {
    KEPT.replace(config().secret_names().join("\n").into_bytes());
    KEPT.with_borrow(|kept| OUT.set([0, pointer(kept), kept.len() as u32, 0, 0, 0, 0, 0]));
}

/// The names of the request headers that rules look at, as lines in the text.
#[unsafe(no_mangle)]
extern "C" fn header_names() {
    KEPT.replace(rule_headers().join("\n").into_bytes());
    KEPT.with_borrow(|kept| OUT.set([0, pointer(kept), kept.len() as u32, 0, 0, 0, 0, 0]));
}

fn rule_headers() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| config().rule_headers())
}

/// Takes the secrets: input is a JSON object of strings. Answers 1 if it is not.
#[unsafe(no_mangle)]
extern "C" fn set_secrets(length: usize) -> u32 {
    match serde_json::from_slice(&take_input(length)) {
        Ok(secrets) => {
            workers::SECRETS.replace(secrets);
            0
        }
        Err(_) => 1,
    }
}

/// A new request: ten random bytes, then lines: method, path and query, authorization, content length, idempotency key,
/// and the headers of [`header_names`].
#[unsafe(no_mangle)]
extern "C" fn begin(length: usize, now_ms: f64) {
    let bytes = take_input(length);
    let (random, text) = bytes.split_at(bytes.len().min(10));
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or("");
    let method = line().to_owned();
    let (path, query) = {
        let whole = line();
        whole.split_once('?').unwrap_or((whole, ""))
    };
    let head = Head {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: given(line()),
        content_length: line().parse().ok(),
        idempotency_key: given(line()),
        rule_headers: rule_headers().iter().filter_map(|name| Some((name.clone(), given(line())?))).collect(),
    };
    let handle = tasks::begin(config(), head, random.try_into().unwrap_or_default(), now_ms as u64);
    show(handle);
}

fn given(line: &str) -> Option<String> {
    Some(line).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// What a request waited for has come: `length` bytes of input, of which the last `text_length` are text.
#[unsafe(no_mangle)]
extern "C" fn resume(handle: usize, now_ms: f64, outcome: u32, a: u32, length: usize, text_length: usize) {
    let bytes = if length == 0 { Vec::new() } else { take_input(length) };
    tasks::resume(handle, Input { outcome, a, text_length, bytes }, now_ms as u64);
    show(handle);
}

/// A chunk of a stream that may begin. 0: not yet; 1: it has begun; 2: it is an error; 3: it is no stream.
#[unsafe(no_mangle)]
extern "C" fn open(handle: usize, length: usize) -> u32 {
    INPUT.with_borrow(|input| {
        let chunk = &input[..length.min(input.len())];
        let opened = tasks::with_slot(handle, |slot| slot.opening.borrow_mut().push(chunk));
        match opened {
            Some(Opened::NotYet) => 0,
            Some(Opened::Begun) => 1,
            Some(Opened::Failed) => 2,
            Some(Opened::Garbage) | None => 3,
        }
    })
}

/// What a client gets when a relayed stream closes like this before its end.
#[unsafe(no_mangle)]
extern "C" fn cut_off(closed: u32) {
    KEPT.replace(ApiError::cut_off_event(close(closed)).into_bytes());
    KEPT.with_borrow(|kept| OUT.set([0, 0, 0, pointer(kept), kept.len() as u32, 0, 0, 0]));
}

fn close(number: u32) -> Close {
    match number {
        0 => Close::Clean,
        2 => Close::Idle,
        3 => Close::Late,
        _ => Close::Broken,
    }
}

/// One chunk of a pumped stream. 0: forward it as it is; 1: instead, the bytes shown; 2: and then read no more.
#[unsafe(no_mangle)]
extern "C" fn pump(handle: usize, length: usize) -> u32 {
    INPUT.with_borrow(|input| {
        let chunk = &input[..length.min(input.len())];
        let verdict = tasks::with_slot(handle, |slot| {
            let mut scanner = slot.scanner.borrow_mut();
            match scanner.as_mut().map(|scanner| scanner.push(chunk)) {
                Some(Forward::Bytes(bytes)) => {
                    OUT.set([0, 0, 0, pointer(bytes), bytes.len() as u32, 0, 0, 0]);
                    if scanner.as_ref().is_some_and(Scanner::is_over) { 2 } else { 1 }
                }
                _ => 0,
            }
        });
        verdict.unwrap_or(0)
    })
}

/// The pumped stream is over. Answers the outcome for `resume`, and shows the last bytes for the client. From 4 on the
/// client's stream is to be left open.
#[unsafe(no_mangle)]
extern "C" fn pump_end(handle: usize, closed: u32) -> u32 {
    use moegate_wire::Ending;
    let finale =
        tasks::with_slot(handle, |slot| slot.scanner.borrow_mut().as_mut().map(|s| s.end(close(closed))));
    let Some(Some(finale)) = finale else { return 3 };
    KEPT.replace(finale.last.into_bytes());
    KEPT.with_borrow(|kept| OUT.set([0, 0, 0, pointer(kept), kept.len() as u32, 0, 0, 0]));
    match (finale.ending, finale.open) {
        (Ending::Complete, _) => 0,
        (Ending::Cancelled, _) => 1,
        (Ending::Error, false) => 2,
        (Ending::Truncated | Ending::Running, false) => 3,
        (Ending::Truncated | Ending::Running, true) => 4,
        (Ending::Error, true) => 5,
    }
}

/// Forgets a request that the glue could not bring to its end.
#[unsafe(no_mangle)]
extern "C" fn abandon(handle: usize) {
    tasks::abandon(handle);
}

/// Puts the request's operation into the eight words; ends the request where there is none.
fn show(handle: usize) {
    let words = tasks::with_slot(handle, |slot| {
        let op = slot.op.borrow();
        let text = op.text.as_bytes();
        [
            op.code as u32,
            pointer(text),
            text.len() as u32,
            pointer(&op.bytes),
            op.bytes.len() as u32,
            op.a,
            op.b,
            handle as u32,
        ]
    });
    let words = words.unwrap_or_default();
    OUT.set(words);
    if words[0] == Code::Done as u32 {
        tasks::abandon(handle);
    }
}
