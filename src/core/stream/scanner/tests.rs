use super::*;

const CONTENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"usage \"},\"finish_reason\":null}]}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
const USAGE_WITH_COST: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"cost\":0.000008}}\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"boom\"}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn scanner(keep_usage: bool) -> Scanner {
    Scanner::new(Price { input: 1_000_000_000, cached_input: 0, output: 2_000_000_000 }, keep_usage)
}

/// What the client gets, the ending and what was seen, for a stream cut into chunks of `size` bytes.
fn run(stream: &str, size: usize, keep_usage: bool, clean: bool) -> (String, Ending, Seen) {
    let mut scanner = scanner(keep_usage);
    let mut out = Vec::new();
    for chunk in stream.as_bytes().chunks(size.max(1)) {
        match scanner.push(chunk) {
            Forward::Whole => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
    let (ending, last) = scanner.end(clean);
    out.extend_from_slice(last.as_bytes());
    (String::from_utf8(out).unwrap(), ending, scanner.seen())
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
    let counted = Some(Usage { prompt: 4, completion: 2, ..Usage::default() });
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
    assert_eq!((ending, seen.usage.unwrap().prompt), (Ending::Complete, 1));
}

#[test]
fn an_event_of_several_lines_stays_whole() {
    let usage = "event: message\nid: 7\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
    let (out, _, seen) = each_cut(&[FINISH, usage, DONE].concat(), true, true);
    let expected = "event: message\nid: 7\ndata: {\"choices\":[], \"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"cost\":0.000008}}\n\n";
    assert_eq!((out, seen.usage.is_some()), ([FINISH, expected, DONE].concat(), true));
}

#[test]
fn an_origin_that_tells_its_cost_keeps_its_word() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":0.5}}\n\n";
    let (out, ..) = each_cut(&[FINISH, usage, DONE].concat(), true, true);
    assert_eq!(out, [FINISH, usage, DONE].concat());
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
