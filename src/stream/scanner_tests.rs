use super::*;

/// Of OpenAI's codec.
const MAX_HELD: usize = 256 * 1024;
use crate::dialect::AnswerContext;
use crate::dialect::AttemptNote;
use crate::dialect::StreamOptions;
use moegate_wire::{Rates, Usage};

#[path = "scanner_begin_tests.rs"]
mod begin;
#[path = "scanner_counts_tests.rs"]
mod counts;

const CONTENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"usage \"},\"finish_reason\":null}]}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
const USAGE_WITH_COST: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"cost\":0.000008}}\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"boom\"}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn with(options: StreamOptions) -> Scanner {
    Scanner::new(crate::dialect::registry::chat_exchange().stream(options))
}

fn options(keep_usage: bool) -> StreamOptions {
    StreamOptions {
        context: AnswerContext {
            price: Rates { input: 1_000_000_000, output: 2_000_000_000, ..Rates::default() }.into(),
            ..AnswerContext::default()
        },
        include_usage: keep_usage,
        several: false,
        note: None,
        partial: None,
        plain_errors: None,
    }
}

fn scanner(keep_usage: bool) -> Scanner {
    with(options(keep_usage))
}

/// What the client gets before the end, for a stream cut into chunks of `size` bytes.
fn pushed(scanner: &mut Scanner, stream: &str, size: usize) -> String {
    let mut out = Vec::new();
    for chunk in stream.as_bytes().chunks(size.max(1)) {
        match scanner.push(chunk) {
            Forward::Whole => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    String::from_utf8(out).unwrap()
}

fn run(stream: &str, size: usize, keep_usage: bool, clean: bool) -> (String, Ending, Seen) {
    let mut scanner = scanner(keep_usage);
    let out = pushed(&mut scanner, stream, size);
    let finale = scanner.end(if clean { Close::Clean } else { Close::Broken });
    assert!(!finale.resumable, "nobody could go on");
    (out + &finale.last, finale.ending, scanner.seen())
}

/// However the bytes are cut, the outcome is the same.
fn each_cut(stream: &str, keep_usage: bool, clean: bool) -> (String, Ending, Seen) {
    let whole = run(stream, stream.len(), keep_usage, clean);
    for size in 1..stream.len() {
        assert_eq!(run(stream, size, keep_usage, clean), whole, "in chunks of {size}");
    }
    whole
}

#[test]
fn a_complete_stream() {
    let counted = Some(Usage { prompt: 4, completion: 2, ..Usage::default() }.into());
    let (out, ending, seen) = each_cut(&[CONTENT, FINISH, USAGE, DONE].concat(), false, true);
    assert_eq!(out, [CONTENT, FINISH, DONE].concat());
    assert_eq!((ending, seen.usage, seen.done), (Ending::Complete, counted, true));
    let (out, ..) = each_cut(&[CONTENT, FINISH, USAGE, DONE].concat(), true, true);
    assert_eq!(out, [CONTENT, FINISH, USAGE_WITH_COST, DONE].concat());
}

#[test]
fn other_line_ends_and_comments_pass_as_they_are() {
    let stream = [": waiting\n\n", CONTENT, FINISH, DONE].concat();
    for ends in ["\n", "\r\n", "\r"] {
        let stream = stream.replace('\n', ends);
        let (out, ending, _) = each_cut(&stream, true, true);
        assert_eq!((out, ending), (stream, Ending::Complete));
    }
}

#[test]
fn chunks_of_whole_events_are_not_copied() {
    let mut scanner = scanner(true);
    assert_eq!(scanner.push(CONTENT.as_bytes()), Forward::Whole);
    assert_eq!(scanner.push([CONTENT, FINISH, DONE].concat().as_bytes()), Forward::Whole);
}

#[test]
fn usage_beside_content_stays_and_its_cost_is_told() {
    let both = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let (out, ending, seen) = each_cut(&[both, DONE].concat(), false, true);
    assert!(out.contains("\"content\":\"x\"") && out.contains("\"cost\":0.000003"), "{out}");
    assert_eq!((ending, seen.usage.unwrap().usage.prompt), (Ending::Complete, 1));
}

#[test]
fn an_event_of_several_lines_stays_whole() {
    let usage = "event: message\nid: 7\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
    let (out, _, seen) = each_cut(&[FINISH, usage, DONE].concat(), true, true);
    let expected = "event: message\nid: 7\ndata: {\"choices\":[], \"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"cost\":0.000008}}\n\n";
    assert_eq!((out, seen.usage.is_some()), ([FINISH, expected, DONE].concat(), true));
}

#[test]
fn usage_null_in_each_event_counts_for_nothing() {
    let event =
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":null}\n\n";
    let (out, _, seen) = each_cut(&[event, FINISH, DONE].concat(), false, true);
    assert_eq!((out, seen.usage), ([event, FINISH, DONE].concat(), None));
}

#[test]
fn a_dead_stream_never_ends_clean() {
    for stream in [String::new(), CONTENT.to_owned(), [CONTENT, "data: {\"cho"].concat()] {
        for clean in [true, false] {
            let (out, ending, _) = each_cut(&stream, true, clean);
            assert_eq!(ending, Ending::Truncated);
            assert!(!out.contains("[DONE]") && !out.contains("\"cho\n"), "{out}");
            assert!(out.ends_with("\n\n") && out.contains("stream_truncated"), "{out}");
        }
    }
    // The finish reason came, but the connection broke before the end mark and the usage.
    assert_eq!(each_cut(&[CONTENT, FINISH].concat(), true, false).1, Ending::Truncated);
    assert_eq!(each_cut(&[CONTENT, FINISH].concat(), true, true).1, Ending::Complete);
}

#[test]
fn after_an_error_no_end_mark_passes() {
    let (out, ending, _) = each_cut(&[CONTENT, ERROR, DONE].concat(), true, true);
    assert_eq!((out, ending), ([CONTENT, ERROR].concat(), Ending::Error));
}

#[test]
fn an_event_over_the_limit_passes_unread_and_the_next_is_seen() {
    let big = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(MAX_HELD + 10_000));
    let stream = [&big, CONTENT, FINISH, USAGE, DONE].concat();
    for size in [1000, 16_384, MAX_HELD - 1, MAX_HELD + 5_000, big.len() - 1, stream.len()] {
        let (out, ending, seen) = run(&stream, size, false, true);
        assert!(out == [&big, CONTENT, FINISH, DONE].concat(), "in chunks of {size}");
        assert_eq!((ending, seen.usage.is_some()), (Ending::Complete, true));
    }
}

#[test]
fn text_that_looks_like_an_end_is_content() {
    let content = "data: {\"choices\":[{\"delta\":{\"content\":\"[DONE] \\\"error\\\"\"}}]}\n\n";
    let (out, ending, seen) = each_cut(content, true, true);
    assert_eq!((ending, seen.done, seen.error), (Ending::Truncated, false, false));
    assert!(out.starts_with(content));
}

const NOTE: &str = ",\"moegate\":{\"model_asked\":\"a\",\"model\":\"m\",\"origin\":\"o\",\"attempts\":[]}";

/// The event with the note.
fn noted(event: &str) -> String {
    let brace = event.rfind('}').unwrap();
    [&event[..brace], NOTE, &event[brace..]].concat()
}

fn note() -> AttemptNote {
    AttemptNote { asked_model: "a".into(), model: "m".into(), origin: "o".into(), attempts: vec![] }
}

/// One whose stream another origin may have to go on with.
fn resumable(partial: Partial, note: Option<AttemptNote>) -> Scanner {
    with(StreamOptions { note, partial: Some(partial), ..options(true) })
}

#[test]
fn the_note_stands_on_the_first_finish_reason_and_nowhere_else() {
    let played = |stream: &str, close| {
        let run = |size| {
            let options = StreamOptions { note: Some(note()), ..options(true) };
            let mut scanner = with(options);
            let out = pushed(&mut scanner, stream, size);
            out + &scanner.end(close).last
        };
        let whole = run(stream.len());
        for size in 1..stream.len() {
            assert_eq!(run(size), whole, "in chunks of {size}");
        }
        whole
    };
    let stream = [CONTENT, FINISH, USAGE, DONE].concat();
    assert_eq!(played(&stream, Close::Clean), [CONTENT, &noted(FINISH), USAGE_WITH_COST, DONE].concat());
    let twice = [CONTENT, FINISH, DONE, DONE].concat();
    assert_eq!(
        played(&twice, Close::Clean),
        [CONTENT, &noted(FINISH), DONE].concat(),
        "nothing follows the end mark"
    );
    for stream in [[CONTENT, ERROR, DONE].concat(), CONTENT.to_owned()] {
        assert!(!played(&stream, Close::Clean).contains(NOTE), "{stream}");
    }
}

/// The outcome of a stream that another origin may have to go on with, the same however it is cut: what the client has
/// got, the finale and the partial answer.
fn open_ended(stream: &str, close: Close) -> (String, Finale, Partial) {
    let run = |size| {
        let mut scanner = resumable(Partial::default(), None);
        let out = pushed(&mut scanner, stream, size);
        let finale = scanner.end(close);
        (out, finale, scanner.take_partial().unwrap())
    };
    let whole = run(stream.len());
    for size in 1..stream.len() {
        assert_eq!(run(size), whole, "in chunks of {size}");
    }
    whole
}

#[test]
fn a_stream_that_another_may_go_on_with_is_left_open() {
    for (close, code, open) in [
        (Close::Broken, "stream_truncated", true),
        (Close::Clean, "stream_truncated", true),
        (Close::Idle, "stream_idle", true),
        // There is no time left for another.
        (Close::Late, "stream_timeout", false),
    ] {
        for half in ["", "data: {\"choices\":[{\"delta\":{\"content\":\"lost"] {
            let (out, finale, partial) = open_ended(&[CONTENT, half].concat(), close);
            assert_eq!(
                (out.as_str(), finale.ending, finale.resumable),
                (CONTENT, Ending::Truncated, open),
                "{close:?}"
            );
            assert!(finale.last.contains(code) && finale.last.ends_with("\n\n"), "{}", finale.last);
            assert_eq!(partial.text, "usage ");
        }
    }
}

#[test]
fn an_error_is_kept_back_while_another_may_go_on() {
    let (out, finale, partial) = open_ended(&[CONTENT, ERROR, DONE].concat(), Close::Clean);
    assert_eq!((out.as_str(), finale.ending, finale.resumable), (CONTENT, Ending::Error, true));
    // If nobody can, the client gets it after all.
    assert_eq!((finale.last.as_str(), partial.text.as_str()), (ERROR, "usage "));
    let mut scanner = resumable(Partial::default(), None);
    scanner.push(ERROR.as_bytes());
    assert_eq!(scanner.error(), br#"{"error":{"message":"boom"}}"#);
    assert!(scanner.is_over(), "who knows when it would end");
    let mut scanner = self::scanner(true);
    scanner.push(ERROR.as_bytes());
    assert!(!scanner.is_over(), "the client has got it");
}

/// As OpenRouter sends it.
#[test]
fn a_finish_reason_beside_an_error_is_no_end() {
    let error = "data: {\"error\":{\"code\":502,\"message\":\"gone\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n";
    let (out, finale, ..) = open_ended(&[CONTENT, error, DONE].concat(), Close::Clean);
    assert_eq!((out.as_str(), finale.ending, finale.resumable), (CONTENT, Ending::Error, true));
}

#[test]
fn what_was_finished_is_not_gone_on_with() {
    for (stream, close, ending) in [
        ([CONTENT, FINISH, DONE].concat(), Close::Clean, Ending::Complete),
        ([CONTENT, FINISH, DONE].concat(), Close::Late, Ending::Complete),
        ([CONTENT, FINISH].concat(), Close::Clean, Ending::Complete),
        ([CONTENT, FINISH].concat(), Close::Broken, Ending::Truncated),
        ([CONTENT, FINISH, ERROR].concat(), Close::Clean, Ending::Error),
    ] {
        let (_, finale, ..) = open_ended(&stream, close);
        assert_eq!((finale.ending, finale.resumable), (ending, false), "{stream} {close:?}");
    }
}

#[test]
fn an_event_of_which_a_part_is_out_cannot_be_gone_on_with() {
    let big = format!("data: {{\"x\":\"{}", "y".repeat(MAX_HELD + 10_000));
    let mut scanner = resumable(Partial::default(), None);
    pushed(&mut scanner, &big, 16_384);
    let finale = scanner.end(Close::Broken);
    assert!(!finale.resumable && finale.last.starts_with("\n\n"), "{finale:?}");
    // Nor what comes behind it: nobody has read it.
    pushed(&mut scanner, &["\"}\n\n", CONTENT].concat(), 16_384);
    scanner.end(Close::Broken);
    let partial = scanner.take_partial().unwrap();
    assert!(!partial.has_text_only() && !partial.has_all_tokens() && partial.text.is_empty());
}

#[test]
fn the_second_stream_goes_on_where_the_first_left_off() {
    let event = |id: &str, rest: &str| format!("data: {{\"id\":\"{id}\",\"choices\":[{{{rest}}}]}}\n\n");
    let first = event("a", "\"delta\":{\"content\":\"One\"}");
    let (.., partial) = open_ended(&first, Close::Broken);
    let second = [
        event("b", "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}"),
        event("b", "\"delta\":{\"content\":\" two\"}"),
        event("b", "\"delta\":{},\"finish_reason\":\"stop\""),
        DONE.to_owned(),
    ];
    let stream = second.concat();
    for size in 1..=stream.len() {
        let mut resumed = partial.clone();
        resumed.resume();
        let mut scanner = resumable(resumed, Some(note()));
        let out = pushed(&mut scanner, &stream, size);
        let expected = [
            second[1].replace("\"b\"", "\"a\""),
            noted(&second[2].replace("\"b\"", "\"a\"")),
            DONE.to_owned(),
        ];
        assert_eq!(out, expected.concat(), "in chunks of {size}");
        assert_eq!(scanner.end(Close::Clean).ending, Ending::Complete);
        assert_eq!(scanner.take_partial().unwrap().text, "One two");
    }
}

#[test]
fn nothing_more_is_wanted_after_the_end_mark() {
    let mut scanner = scanner(true);
    scanner.push([CONTENT, FINISH].concat().as_bytes());
    assert!(!scanner.is_over());
    scanner.push(DONE.as_bytes());
    assert!(scanner.is_over(), "an origin may keep its connection open");
}

#[test]
fn origins_words_about_errors_are_kept_from_who_may_not_see_them() {
    let options = || StreamOptions {
        context: AnswerContext::default(),
        include_usage: true,
        several: false,
        note: None,
        partial: None,
        plain_errors: Some("req1".to_owned()),
    };
    let mut scanner = with(options());
    let out = pushed(&mut scanner, &[CONTENT, ERROR, DONE].concat(), 1000);
    assert!(!out.contains("boom") && out.contains("req1") && out.contains("provider_error"), "{out}");
    assert_eq!(scanner.end(Close::Clean).ending, Ending::Error);
    assert_eq!(scanner.error(), br#"{"error":{"message":"boom"}}"#, "the operator's log");
}
