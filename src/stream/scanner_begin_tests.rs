//! What begins a stream, however it is cut.

use super::*;

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";

#[test]
fn what_begins_a_stream() {
    let choice = |delta: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n")
    };
    for (events, expected) in [
        (choice(r#"{"content":"H"}"#), Phase::Begun),
        (choice(r#"{"content": "H"}"#), Phase::Begun),
        (choice(r#"{"role":"assistant","content":"H"}"#), Phase::Begun),
        (choice(r#"{"role":"assistant","content":"","tool_calls":[{"index":0}]}"#), Phase::Begun),
        (choice(r#"{"reasoning_content":"hm","content":null}"#), Phase::Begun),
        (choice(r#"{"refusal":"no"}"#), Phase::Begun),
        (choice(r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#), Phase::NotYet),
        (choice(r#"{"content":""}"#), Phase::NotYet),
        (choice("{}"), Phase::NotYet),
        (ROLE.to_owned(), Phase::NotYet),
        (": waiting\n\n".to_owned(), Phase::NotYet),
        ("event: ping\n\n".to_owned(), Phase::NotYet),
        ("retry: 100\n\n".to_owned(), Phase::NotYet),
        ("\n".to_owned(), Phase::NotYet),
        ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n".to_owned(), Phase::NotYet),
        ("data: {\"choices\":[{\"text\":\"a\"}]}\n\n".to_owned(), Phase::Begun),
        ("data: {\"choices\":[{\"text\":\"\"}]}\n\n".to_owned(), Phase::NotYet),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(), Phase::Begun),
        ("data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned(), Phase::Failed),
        ("event: error\ndata: {\"error\":\"no\"}\n\n".to_owned(), Phase::Failed),
        ("data: [DONE]\n\n".to_owned(), Phase::Malformed),
        ("data: hello\n\n".to_owned(), Phase::Malformed),
        ("<html>\n\n".to_owned(), Phase::Malformed),
        ("data: {\"choices\":[{\"del".to_owned(), Phase::NotYet),
        (format!("data: {}", "x".repeat(MAX_HELD)), Phase::Begun),
        (format!(": {}\n\n", "x".repeat(MAX_HELD + 50_000)), Phase::NotYet),
        ("x".repeat(MAX_HELD + 1), Phase::Malformed),
    ] {
        let mut whole = scanner(true);
        whole.push(events.as_bytes());
        assert_eq!(whole.phase(), expected, "{events:.80}");
        // However it is cut into chunks, behind the role.
        if events.len() < 1000 && expected != Phase::NotYet {
            let all = format!("{ROLE}{events}");
            for at in 1..all.len() {
                let mut cut = scanner(true);
                cut.push(&all.as_bytes()[..at]);
                cut.push(&all.as_bytes()[at..]);
                let last = cut.phase();
                assert_eq!(last, expected, "{at} {events}");
            }
        }
    }
}

#[test]
fn the_error_is_kept() {
    let mut scanner = scanner(true);
    scanner.push(format!("{ROLE}data: {{\"error\":{{\"code\":429}}}}\n\n").as_bytes());
    assert_eq!((scanner.phase(), scanner.error()), (Phase::Failed, &br#"{"error":{"code":429}}"#[..]));
}
