use super::*;
use crate::dialect::registry::{self, Api, Client};
use crate::stream::{Close, Phase, Scanner};
use moegate_wire::Ending;

fn options(kept: bool) -> StreamOptions {
    StreamOptions { include_usage: true, partial: kept.then(Partial::default), ..StreamOptions::default() }
}

/// What a chat client has got when all of the stream has come, and the scanner.
fn read(api: Api, stream: &str, kept: bool) -> (String, Scanner) {
    let mut scanner = Scanner::new(registry::through(Client::Chat, api).stream(options(kept)));
    let out = match scanner.push(stream.as_bytes()) {
        crate::stream::Forward::Whole => stream.to_owned(),
        crate::stream::Forward::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    (out, scanner)
}

const ONE: &str =
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"one \"}]}}]}\n\n";
const FAILED: &str = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"two \"}]},\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}\n\n";

#[test]
fn a_whole_answer_is_a_stream_for_who_asked_for_one() {
    let exchange = registry::through(Client::Chat, Api::Anthropic);
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}"#;
    let events = exchange.streamed(answer.as_bytes(), &AnswerContext::default()).unwrap();
    let (out, scanner) = read(Api::Anthropic, std::str::from_utf8(&events).unwrap(), false);
    assert_eq!((scanner.phase(), scanner.seen().done), (Phase::Begun, true));
    assert!(out.contains("\"content\":\"Hi\"") && out.ends_with("data: [DONE]\n\n"), "{out}");
}

#[test]
fn what_cannot_be_read_in_the_midst_is_an_error_and_no_clean_end() {
    let (out, mut scanner) = read(Api::Gemini, &[ONE, "data: {\"candidates\":[\n\n"].concat(), false);
    assert!(out.contains("cannot be read"), "{out}");
    let finale = scanner.end(Close::Clean);
    assert_eq!(finale.ending, Ending::Error);
    assert!(!finale.last.contains("[DONE]"));
}

#[test]
fn what_an_error_s_event_says_besides_is_not_gone_on_with() {
    let (out, mut scanner) = read(Api::Gemini, &[ONE, FAILED].concat(), true);
    assert!(out.contains("one ") && !out.contains("two "), "{out}");
    assert!(scanner.end(Close::Clean).resumable);
    assert_eq!(scanner.take_partial().unwrap().text, "one ");
    // Where nobody goes on the client gets it, and the error.
    let (out, _) = read(Api::Gemini, &[ONE, FAILED].concat(), false);
    assert!(out.contains("two ") && out.contains("MALFORMED_FUNCTION_CALL"), "{out}");
}

#[test]
fn half_a_character_is_not_lost_with_its_event() {
    let cut = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\\ud83d\"}]},\"finishReason\":\"STOP\"}]}\n\n";
    let (out, _) = read(Api::Gemini, cut, false);
    assert!(out.contains("a\u{fffd}"), "{out}");
}

#[test]
fn an_end_without_a_finish_reason_is_no_whole_answer() {
    let exchange = registry::through(Client::Anthropic, Api::Chat);
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let ended = "data: [DONE]\n\n";
    let reason = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(exchange.gathered([begun, ended].concat().as_bytes()), Gathered::Truncated(None, 1));
    let whole = [begun, reason, ended].concat();
    assert_eq!(exchange.gathered(whole.as_bytes()), Gathered::Answer(whole.clone().into_bytes()));
}
