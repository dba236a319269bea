//! A stream that is cut anywhere goes on at another server as if nothing had been.

use crate::engine::VOCAB_PRINT;
use crate::support::{TestServer, chat, events, post_chat, request};
use hyper::Method;
use hyper::header::HeaderValue;
use moegate_wire::resume::{Handle, Resumed};
use moegate_wire::{Ending, Receipt, Usage};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// A chunk's part of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    text: String,
    tokens: Vec<u32>,
    finish: Option<String>,
}

/// What a stream said.
#[derive(Debug)]
struct Said {
    chunks: Vec<Chunk>,
    vocab: String,
    usage: Value,
    resumed: Option<u64>,
    receipt: Receipt,
}

impl Said {
    fn text(&self) -> String {
        self.chunks.iter().map(|chunk| chunk.text.as_str()).collect()
    }

    fn finish(&self) -> &str {
        self.chunks.last().unwrap().finish.as_deref().unwrap()
    }

    /// The tokens of prompt and answer in the usage.
    fn counts(&self) -> (u64, u64) {
        counts(&self.usage)
    }
}

fn counts(usage: &Value) -> (u64, u64) {
    (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap())
}

fn with(body: &Value, more: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn resuming(body: &Value, tokens: &[u32], vocab: &str) -> Value {
    with(body, &json!({"moegate_resume": {"tokens": tokens, "vocab": vocab}}))
}

fn text_of(choice: &Value) -> String {
    let texts = [&choice["delta"]["content"], &choice["message"]["content"], &choice["text"]];
    texts.into_iter().filter_map(Value::as_str).collect()
}

/// Streams with handles, and reads all of it.
async fn ask(server: &TestServer, path: &str, body: &Value) -> Said {
    let body = with(body, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut request = request(Method::POST, path, &body.to_string());
    request.headers_mut().insert("x-moegate-resume", HeaderValue::from_static("1"));
    let reply = server.send(request).await;
    assert_eq!(reply.status, 200, "{body}: {}", reply.body);
    let mut events = events(&reply.body);
    assert_eq!(events.pop(), Some(json!("[DONE]")), "{}", reply.body);
    let last = events.pop().unwrap();
    let resumed = last.get("moegate").map(|member| Resumed::deserialize(member).unwrap().resumed_tokens);
    if path == CHAT {
        let first = events.remove(0);
        assert_eq!(first["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(first.get("moegate"), None);
    }
    let mut vocab = String::new();
    let chunks = events.iter().map(|event| {
        let choice = &event["choices"][0];
        let handle = Handle::deserialize(&event["moegate"]).unwrap();
        vocab = handle.vocab;
        let finish = choice["finish_reason"].as_str().map(str::to_owned);
        Chunk { text: text_of(choice), tokens: handle.tokens, finish }
    });
    let chunks = chunks.collect();
    let id = reply.header("x-moegate-request-id").unwrap();
    let receipt = server.get(&format!("/v1/receipts/{id}")).await;
    let receipt = serde_json::from_str(&receipt.body).unwrap();
    Said { chunks, vocab, usage: last["usage"].clone(), resumed, receipt }
}

/// The same in one piece: text, finish reason, usage, and how many tokens were resumed.
async fn ask_whole(server: &TestServer, path: &str, body: &Value) -> (String, String, Value, Option<u64>) {
    let reply = server.post(path, body).await.json();
    let choice = &reply["choices"][0];
    let finish = choice["finish_reason"].as_str().unwrap_or_else(|| panic!("{body}: {reply}")).to_owned();
    let resumed = reply.get("moegate").map(|member| member["resumed_tokens"].as_u64().unwrap());
    (text_of(choice), finish, reply["usage"].clone(), resumed)
}

/// Cuts the stream before the first chunk, behind each, and resumes it at the other server: what comes is what was cut
/// off, chunk by chunk, with nothing billed twice. Answers the stream.
async fn every_cut(servers: &[Arc<TestServer>; 2], path: &'static str, body: &Value) -> Said {
    let [first, second] = servers;
    let said = ask(first, path, body).await;
    let (prompt, completion) = said.counts();
    assert_eq!(said.resumed, None);
    assert!(said.chunks.iter().rev().skip(1).all(|chunk| chunk.finish.is_none() && !chunk.text.is_empty()));

    let (text, finish, usage, resumed) = ask_whole(second, path, body).await;
    assert_eq!((text.as_str(), finish.as_str()), (said.text().as_str(), said.finish()), "{body}");
    assert_eq!((&usage, resumed), (&said.usage, None));

    let mut resumptions = JoinSet::new();
    for cut in 0..=said.chunks.len() {
        let tokens: Vec<u32> = said.chunks[..cut].iter().flat_map(|chunk| chunk.tokens.clone()).collect();
        let body = resuming(body, &tokens, &said.vocab);
        let second = second.clone();
        resumptions.spawn(async move { (cut, tokens.len() as u64, ask(&second, path, &body).await) });
    }
    for (cut, count, resumed) in resumptions.join_all().await {
        let what = format!("behind chunk {cut} of {body}");
        let mut rest = said.chunks[cut..].to_vec();
        if rest.is_empty() {
            // The client had the end already, and hears it again.
            rest.push(Chunk { tokens: Vec::new(), ..said.chunks[cut - 1].clone() });
        }
        assert_eq!(resumed.chunks, rest, "{what}");
        assert_eq!(resumed.resumed, Some(count), "{what}");
        assert_eq!(resumed.counts(), (prompt + count, completion - count), "{what}");
        // Where nothing is left to generate, the prompt is not computed either.
        let cached = if count == completion { prompt + count } else { 0 };
        let usage =
            Usage { prompt: prompt + count, completion: completion - count, cached, ..Default::default() };
        assert_eq!(resumed.receipt.usage, usage, "{what}");
        assert_eq!(resumed.usage["prompt_tokens_details"]["cached_tokens"], cached, "{what}");
        assert_eq!(resumed.receipt.ending, Ending::Complete, "{what}");
        assert_eq!(resumed.receipt.finish_reason.as_deref(), Some(said.finish()), "{what}");
        assert_eq!(resumed.vocab, said.vocab);
    }

    let cut = said.chunks.len() / 2;
    let tokens: Vec<u32> = said.chunks[..cut].iter().flat_map(|chunk| chunk.tokens.clone()).collect();
    let (text, finish, _, resumed) = ask_whole(second, path, &resuming(body, &tokens, &said.vocab)).await;
    let rest: String = said.chunks[cut..].iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!((text, finish.as_str(), resumed), (rest, said.finish(), Some(tokens.len() as u64)), "{body}");
    said
}

fn held_back(said: &Said) -> bool {
    said.chunks.iter().any(|chunk| chunk.finish.is_none() && chunk.tokens.len() > 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripted_answers() {
    let servers = [Arc::new(TestServer::usual().await), Arc::new(TestServer::usual().await)];
    // The text, more of the body, the answer (where it is scripted), and whether some of it is held back on the way.
    let cases = [
        ("say:abc>", json!({}), Some("abc"), "stop", false),
        ("say:>", json!({}), Some(""), "stop", false),
        ("say:né, 世界!>", json!({}), Some("né, 世界!"), "stop", true),
        ("say:né, 世界!>", json!({"max_tokens": 7}), Some("né, \u{fffd}"), "length", true),
        ("say:abcabd>", json!({"stop": "abd"}), Some("abc"), "stop", true),
        ("say:abcab>", json!({"stop": "abd"}), Some("abcab"), "stop", true),
        // The last token shows two things: a letter, and what the limit ends the holding of.
        ("say:aab>", json!({"stop": "ab!", "max_tokens": 2}), Some("aa"), "length", true),
        ("say:xéab>", json!({"stop": ["éac", "b"]}), Some("xéa"), "stop", true),
        ("a", json!({"max_tokens": 30, "stop": "mno"}), Some("bcdefghijkl"), "stop", false),
        ("free:", json!({"max_tokens": 40, "seed": 5}), None, "length", false),
        (
            "free:",
            json!({"max_tokens": 40, "seed": 5, "top_p": 0.8, "frequency_penalty": 0.4, "presence_penalty": 0.2}),
            None,
            "length",
            false,
        ),
        (
            "free:",
            json!({"max_tokens": 40, "temperature": 0, "frequency_penalty": 0.02}),
            None,
            "length",
            false,
        ),
    ];
    for (text, more, answer, finish, held) in cases {
        let said = every_cut(&servers, CHAT, &chat(text, &more)).await;
        let completions = with(&json!({"model": "tiny", "prompt": text, "max_tokens": 50}), &more);
        let same = every_cut(&servers, COMPLETIONS, &completions).await;
        assert_eq!(said.chunks, same.chunks, "{text} {more}");
        assert!(answer.is_none_or(|answer| said.text() == answer), "{text} {more}: {:?}", said.text());
        assert_eq!((said.finish(), held_back(&said)), (finish, held), "{text} {more}: {:?}", said.chunks);
    }
}

/// Bodies for a model of which nothing is known but what it says now.
async fn every_kind(servers: &[Arc<TestServer>; 2], texts: &[&str]) -> Vec<Said> {
    let mut all = Vec::new();
    let more = json!({"max_tokens": 24, "temperature": 0});
    for text in texts {
        let said = every_cut(servers, CHAT, &chat(text, &more)).await;
        let characters: Vec<char> = said.text().chars().collect();
        let part = |start: usize, end: usize| {
            characters[start * characters.len() / 8..end * characters.len() / 8].iter().collect::<String>()
        };
        // One that comes, one of which only the beginning comes, and two that begin alike.
        for stop in [json!(part(4, 5)), json!(part(2, 4) + "\0"), json!([part(1, 5) + "\0", part(5, 6)])] {
            all.push(every_cut(servers, CHAT, &chat(text, &with(&more, &json!({"stop": stop})))).await);
        }
        all.push(said);
        for seed in 0..3 {
            let more = json!({"max_tokens": 24, "seed": seed, "temperature": 1.5, "frequency_penalty": 0.3});
            all.push(every_cut(servers, CHAT, &chat(text, &more)).await);
            let body =
                with(&more, &json!({"model": "tiny", "prompt": text, "top_p": 0.95, "temperature": 0.8}));
            all.push(every_cut(servers, COMPLETIONS, &body).await);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_models_answers() {
    let servers = ["demo.gguf"; 2].map(TestServer::with_model);
    let [first, second] = servers;
    let servers = [Arc::new(first.await), Arc::new(second.await)];
    let texts = ["What is a mixture of experts?", "Répète: «Grüße, 世界! 👋🏽»", "1, 2, 3,"];
    let all = every_kind(&servers, &texts).await;
    assert!(all.iter().any(held_back));
}

/// Random weights say anything, broken characters above all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_random_models_answers() {
    let servers = ["tiny.gguf"; 2].map(TestServer::with_model);
    let [first, second] = servers;
    let servers = [Arc::new(first.await), Arc::new(second.await)];
    let all = every_kind(&servers, &["Hello", "Grüße, 世界"]).await;
    let torn = |said: &&Said| said.text().contains(char::REPLACEMENT_CHARACTER);
    assert!(all.iter().any(held_back) && all.iter().filter(torn).count() > 0);
}

/// Only the header makes a difference to a stream.
#[tokio::test]
async fn nobody_gets_handles_unasked() {
    let server = TestServer::usual().await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    for value in [None, Some("0"), Some(""), Some("true"), Some("1")] {
        let mut request = post_chat("say:né>", &options);
        if let Some(value) = value {
            request.headers_mut().insert("x-moegate-resume", HeaderValue::from_static(value));
        }
        let body = server.send(request).await.body;
        let listed = events(&body).iter().filter(|event| event.get("moegate").is_some()).count();
        assert_eq!(listed, if value == Some("1") { 3 } else { 0 }, "{body}");
    }
    let mut whole = post_chat("say:né>", &json!({}));
    whole.headers_mut().insert("x-moegate-resume", HeaderValue::from_static("1"));
    assert!(!server.send(whole).await.body.contains("moegate"));
}

/// Without handles, what the last token shows comes in two chunks.
#[tokio::test]
async fn chunks_without_handles_are_cut_as_ever() {
    let server = TestServer::usual().await;
    let options = json!({"stream": true, "stop": "ab!", "max_tokens": 2});
    let events = events(&server.send(post_chat("say:aab>", &options)).await.body);
    let texts = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(texts.collect::<Vec<_>>(), ["", "a", "a"]);
}

#[tokio::test]
async fn bad_handles_are_refused() {
    let server = TestServer::usual().await;
    let handle = |tokens: Value| json!({"tokens": tokens, "vocab": VOCAB_PRINT});
    let cases = [
        (json!(1), 400, "moegate_resume"),
        (json!([]), 400, "moegate_resume"),
        (json!({}), 400, "moegate_resume.tokens"),
        (json!({"tokens": []}), 400, "moegate_resume.vocab"),
        (json!({"tokens": [], "vocab": 6}), 400, "moegate_resume.vocab"),
        (json!({"tokens": {}, "vocab": VOCAB_PRINT}), 400, "moegate_resume.tokens"),
        (json!({"tokens": [], "vocab": ""}), 409, "moegate_resume.vocab"),
        (json!({"tokens": [999], "vocab": "6279746573000001"}), 409, "moegate_resume.vocab"),
        (handle(json!(["a"])), 400, "moegate_resume.tokens[0]"),
        (handle(json!([97, -1])), 400, "moegate_resume.tokens[1]"),
        (handle(json!([97, 1.5])), 400, "moegate_resume.tokens[1]"),
        (handle(json!([97, u64::MAX])), 400, "moegate_resume.tokens[1]"),
        (handle(json!([97, 257])), 400, "moegate_resume.tokens[1]"),
        // More than the answer may have, and more behind its end.
        (handle(json!([97, 98, 99, 97])), 400, "moegate_resume.tokens"),
        (handle(json!([97, 256, 98])), 400, "moegate_resume.tokens"),
        (handle(json!([97, 120, 98])), 400, "moegate_resume.tokens"),
    ];
    for (resume, status, param) in cases {
        let code = if status == 409 { "resume_mismatch" } else { "invalid_resume" };
        for stream in [false, true] {
            let more = json!({"max_tokens": 3, "stop": "x", "stream": stream, "moegate_resume": resume});
            let error = server.send(post_chat("say:abc>", &more)).await.error();
            assert_eq!(error, (status, code.to_owned(), Some(param.to_owned())), "{resume}");
        }
    }
    // Without max_tokens, the context is the limit.
    let tokens = vec![97; 4_096];
    let more = json!({"moegate_resume": handle(json!(tokens))});
    let error = server.send(post_chat("a", &more)).await.error();
    assert_eq!(error, (400, "invalid_resume".into(), Some("moegate_resume.tokens".into())));
    for neutral in [json!(null), handle(json!([]))] {
        let reply = server.send(post_chat("say:abc>", &json!({"moegate_resume": neutral}))).await.json();
        assert_eq!(reply["choices"][0]["message"]["content"], "abc");
    }
    assert_eq!(server.control.live.load(std::sync::atomic::Ordering::SeqCst), 0);
}
