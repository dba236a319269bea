//! Streams of Anthropic's origins for its own clients.

use super::SAME;
use super::fixtures::{fixture, json};
use crate::dialect::partial::Partial;
use crate::dialect::{AnswerContext, Exchange, StreamOptions};
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

/// The stream of the feature `text` with its cost, which stands where it tells its last counts.
fn priced(stream: &str, cost: &str) -> String {
    let counts = "\"usage\":{\"output_tokens\":15";
    assert_eq!(stream.matches(counts).count(), 1);
    stream.replace(counts, &format!("{counts},\"cost\":{cost}"))
}

#[test]
fn the_last_counts_tell_the_cost_and_nothing_else_changes() {
    let price = moegate_wire::Rates::of_tokens(1_000_000_000, 5_000_000_000);
    let context = AnswerContext { price: price.into(), ..AnswerContext::default() };
    let options = || StreamOptions { context: context.clone(), ..StreamOptions::default() };
    let whole: String = events("text").concat();
    // 25 tokens of prompt and 15 of answer.
    assert_eq!(passed(&whole, options()).0, priced(&whole, "0.0001"));
    // Line ends, blanks and other members stay.
    let odd = whole
        .replace("\n", "\r\n")
        .replace("\"usage\":{\"output_tokens\":15", "\"x\": 1.50, \"usage\":{\"output_tokens\":15");
    assert_eq!(passed(&odd, options()).0, priced(&odd, "0.0001"));
    // A cost of the origin's own stands beside it.
    let told = priced(&whole, "7");
    assert_eq!(passed(&told, options()).0, priced(&whole, "0.0001,\"upstream_cost\":7"));
    // Data on two lines passes as it is.
    let split = whole.replace("\"usage\":{\"output_tokens\":15", "\ndata: \"usage\":{\"output_tokens\":15");
    assert_eq!(passed(&split, options()).0, split);
}

#[test]
fn a_missing_end_mark_is_written_and_one_without_a_finish_reason_is_none() {
    let all = events("text");
    let is = |event: &String, name: &str| event.starts_with(&format!("event: {name}\n"));
    let whole: String = all.concat();
    let (out, finale, _) = passed(&whole, StreamOptions::default());
    assert_eq!((out, finale.ending), (priced(&whole, "0"), Ending::Complete));
    let unmarked: String = all.iter().filter(|event| !is(event, "message_stop")).cloned().collect();
    let (out, finale, _) = passed(&unmarked, StreamOptions::default());
    let mark = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert_eq!((out, finale.ending), (priced(&unmarked, "0") + mark, Ending::Complete));
    let unfinished: String = all.iter().filter(|event| !is(event, "message_delta")).cloned().collect();
    let (out, finale, _) = passed(&unfinished, StreamOptions::default());
    assert_eq!(finale.ending, Ending::Truncated);
    assert!(!out.contains("message_stop") && out.contains("event: error"), "{out}");
}

/// Where another origin may go on.
fn kept() -> StreamOptions {
    StreamOptions { partial: Some(Partial::default()), ..StreamOptions::default() }
}

const BROKEN: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

#[test]
fn another_origin_goes_on_with_what_passed() {
    let second = fixture("text", "stream.sse");
    for feature in ["text", "reasoning"] {
        let all = events(feature);
        for cut in 1..all.len() {
            let first: String = all[..cut].concat();
            if !first.contains("\"text_delta\"") || first.contains("message_delta") {
                continue;
            }
            let (out, finale, mut scanner) = passed(&format!("{first}{BROKEN}"), kept());
            assert!(out.starts_with(&first) && finale.resumable, "{feature} {cut}: {out}");
            let mut partial = scanner.take_partial().unwrap();
            partial.resume();
            let options = StreamOptions { partial: Some(partial), ..StreamOptions::default() };
            let (rest, finale, _) = passed(&second, options);
            assert_eq!(finale.ending, Ending::Complete);
            // Blocks begin and end in turn, counted without a gap.
            let (mut next, mut is_open) = (0, false);
            for event in format!("{first}{rest}").split("\n\n") {
                let Some((_, data)) = event.split_once("data: ") else { continue };
                let data = json(data);
                match data["type"].as_str().unwrap() {
                    "content_block_start" => {
                        assert!(!std::mem::replace(&mut is_open, true), "{feature} {cut}: {rest}");
                        assert_eq!(data["index"], next);
                    }
                    "content_block_delta" => {
                        assert!(is_open);
                        assert_eq!(data["index"], next, "{feature} {cut}: {rest}");
                    }
                    "content_block_stop" => {
                        assert!(std::mem::replace(&mut is_open, false));
                        assert_eq!(data["index"], next);
                        next += 1;
                    }
                    _ => {}
                }
            }
            assert!(!is_open && !rest.contains("message_start"), "{rest}");
        }
    }
}

#[test]
fn nobody_goes_on_behind_what_no_other_api_has() {
    let search = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"srvtoolu_1\",\"name\":\"web_search\",\"input\":{}}}\n\n";
    let all = events("text");
    let at = all.iter().position(|event| event.contains("content_block_stop")).unwrap();
    let stream = format!("{}{search}{BROKEN}", all[..=at].concat());
    let (out, finale, mut scanner) = passed(&stream, kept());
    assert_eq!((out, finale.resumable), (stream, false));
    assert!(scanner.take_partial().is_none());
    // What nobody went on with is told as it came.
    let whole = all.concat();
    assert_eq!(passed(&whole, kept()).0, priced(&whole, "0"));
}
