//! Streams of Anthropic's origins for its own clients.

use super::SAME;
use super::fixtures::fixture;
use crate::dialect::{Exchange, StreamOptions};
use crate::stream::{Close, Finale, Forward, Scanner};
use moegate_wire::Ending;

/// What the client gets of it, the last bytes too, and how it ended.
fn passed(stream: &str, options: StreamOptions) -> (String, Finale, Scanner) {
    let mut scanner = Scanner::new(SAME.stream(options));
    let mut out = match scanner.push(stream.as_bytes()) {
        Forward::Whole => stream.to_owned(),
        Forward::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    let finale = scanner.end(Close::Clean);
    out.push_str(&finale.last);
    (out, finale, scanner)
}

/// The events of the fixture.
fn events(feature: &str) -> Vec<String> {
    fixture(feature, "stream.sse").split_inclusive("\n\n").map(str::to_owned).collect()
}

#[test]
fn a_missing_end_mark_is_written_and_one_without_a_finish_reason_is_none() {
    let all = events("text");
    let is = |event: &String, name: &str| event.starts_with(&format!("event: {name}\n"));
    let whole: String = all.concat();
    let (out, finale, _) = passed(&whole, StreamOptions::default());
    assert_eq!((out, finale.ending), (whole, Ending::Complete));
    let unmarked: String = all.iter().filter(|event| !is(event, "message_stop")).cloned().collect();
    let (out, finale, _) = passed(&unmarked, StreamOptions::default());
    let mark = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert_eq!((out, finale.ending), (format!("{unmarked}{mark}"), Ending::Complete));
    let unfinished: String = all.iter().filter(|event| !is(event, "message_delta")).cloned().collect();
    let (out, finale, _) = passed(&unfinished, StreamOptions::default());
    assert_eq!(finale.ending, Ending::Truncated);
    assert!(!out.contains("message_stop") && out.contains("event: error"), "{out}");
}
