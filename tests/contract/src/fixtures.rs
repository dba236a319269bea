//! Keys, requests, answers and scripts that behaviours are made of.

use crate::host::{Call, Framing, Parting};
use moegate::platform::fake::{Arrived, End, Piece, Responder, Script, Scripted};
use moegate_wire::{Ending, Nanodollars, Receipt, Usage, receipt, sign};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

pub const APP_KEY: &str = "mg-app-key-of-the-contract-suite";
pub const NARROW_KEY: &str = "mg-narrow-key-of-the-contract-suite";
pub const TENANT_KEY: &str = "mg-tenant-key-of-the-contract-suite";
pub const ADMIN_KEY: &str = "mg-admin-key-of-the-contract-suite";
pub const OWN_KEY: &str = "own-origin-key-4f1c";
pub const FAR_KEY: &str = "far-origin-key-93ab";
pub const FAR_ACCESS: &str = "far-access-value-77d0";

/// The platform's secrets. `UNSET_KEY` is missing on purpose.
#[must_use]
pub fn secrets() -> Vec<(&'static str, String)> {
    let hash = |key: &str| sign::to_hex(&Sha256::digest(key));
    vec![
        ("APP_KEY_SHA256", hash(APP_KEY)),
        ("NARROW_KEY_SHA256", hash(NARROW_KEY)),
        ("TENANT_KEY_SHA256", hash(TENANT_KEY)),
        ("ADMIN_KEY_SHA256", hash(ADMIN_KEY)),
        ("OWN_KEY", OWN_KEY.to_owned()),
        ("TWIN_KEY", "of-the-clients-suite".to_owned()),
        ("FAR_KEY", FAR_KEY.to_owned()),
        ("FAR_ACCESS", FAR_ACCESS.to_owned()),
    ]
}

/// What the scripted answers have used. At the suite's prices (1.00, 0.50, 2.00 dollars per million):
/// 10 × 1,000 + 20 × 500 + 5 × 2,000 nano-dollars.
pub const USAGE: Usage = Usage {
    prompt: 30,
    cached: 20,
    cache_write: 0,
    cache_write_1h: 0,
    audio_prompt: 0,
    completion: 5,
    reasoning: 4,
    audio_completion: 0,
    images: 0,
};
pub const COST_NANODOLLARS: u64 = 30_000;
pub const COST: &str = "0.00003";

/// [`USAGE`] as an origin reports it.
pub const USAGE_JSON: &str = r#"{"prompt_tokens": 30,"completion_tokens":5,"total_tokens":35, "prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}"#;

/// The same with the cost that the gateway puts in.
#[must_use]
pub fn usage_with_cost() -> String {
    format!("{},\"cost\":{COST}}}", &USAGE_JSON[..USAGE_JSON.len() - 1])
}

#[must_use]
pub fn get(path: &str, key: &str) -> Call {
    Call {
        method: "GET",
        path: path.to_owned(),
        authorization: (!key.is_empty()).then(|| format!("Bearer {key}")),
        headers: Vec::new(),
        body: Vec::new(),
        framing: Framing::Length,
        leaves_after: None,
        stays: Arc::new(|_| true),
        pause: Duration::ZERO,
        parting: Parting::Reset,
    }
}

/// A chat completion with this body, by the key `app`.
#[must_use]
pub fn post(body: impl Into<Vec<u8>>) -> Call {
    Call { method: "POST", body: body.into(), ..get("/v1/chat/completions", APP_KEY) }
}

#[must_use]
pub fn chat(model: &str) -> Call {
    post(format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#))
}

#[must_use]
pub fn streamed(model: &str) -> Call {
    post(format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}"#))
}

#[must_use]
pub fn streamed_with_usage(model: &str) -> Call {
    post(format!(
        r#"{{"model":"{model}","stream":true,"stream_options":{{"include_usage":true}},"messages":[]}}"#
    ))
}

impl Call {
    #[must_use]
    pub fn leaving_before_answer(self) -> Self {
        Self { leaves_after: Some(Duration::ZERO), ..self }
    }

    #[must_use]
    pub fn with(self, name: &'static str, value: &str) -> Self {
        let headers = self.headers.into_iter().chain([(name, value.to_owned())]).collect();
        Self { headers, ..self }
    }

    #[must_use]
    pub fn staying_while(self, stays: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self { stays: Arc::new(stays), ..self }
    }
}

/// A whole chat completion with [`USAGE`], with spaces and numbers that a parser would not give back as they are.
#[must_use]
pub fn answer_text() -> String {
    format!(
        r#"{{ "id":"chatcmpl-1","object":"chat.completion", "n":1.0e0,"big":123456789012345678901234567890,"choices":[{{"index":0,"message":{{"role":"assistant","content":"H\u00e9 é"}},"finish_reason":"stop"}}],"usage":{USAGE_JSON} ,"x_more":[1, 2]}}"#
    )
}

#[must_use]
pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Scripted {
    Scripted::new(status, "application/json", body)
}

/// One event.
#[must_use]
pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

#[must_use]
pub fn delta(text: &str) -> String {
    event(&format!(
        r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}

#[must_use]
pub fn finish() -> String {
    event(r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
}

/// The extra event that `include_usage` asks for.
#[must_use]
pub fn usage_event(usage: &str) -> String {
    event(&format!(r#"{{"id":"c","choices":[],"usage":{usage}}}"#))
}

pub const DONE: &str = "data: [DONE]\n\n";

/// What a client gets at the end of a stream that broke off.
pub const TRUNCATED: &str = "\n\ndata: {\"error\":{\"message\":\"the origin's stream broke off before it was complete; what has come so far is not the whole answer\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"stream_truncated\"}}\n\n";

/// A stream of these chunks with a clean end.
#[must_use]
pub fn stream<T: AsRef<[u8]>>(chunks: &[T]) -> Scripted {
    let pieces = chunks.iter().map(|chunk| Piece::Bytes(chunk.as_ref().to_vec())).collect();
    Scripted { pieces, ..Scripted::new(200, "text/event-stream; charset=utf-8", "") }
}

/// The same, where the client must have each chunk before the next one is sent, and the last before the end.
#[must_use]
pub fn paced<T: AsRef<[u8]>>(chunks: &[T], end: End) -> Scripted {
    let mut total = 0;
    let pieces = chunks.iter().flat_map(|chunk| {
        total += chunk.as_ref().len();
        [Piece::Bytes(chunk.as_ref().to_vec()), Piece::Until(total)]
    });
    Scripted { pieces: pieces.collect(), end, ..stream::<&str>(&[]) }
}

/// The same script for every request.
#[must_use]
pub fn always(script: impl Into<Script>) -> Responder {
    let script = script.into();
    Arc::new(move |_| script.clone())
}

/// What our own server says when it is asked for the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipts {
    /// [`USAGE`], signed, with this ending.
    Signed(Ending),
    SignedByAnother,
    ForAnotherRequest,
    /// The body was changed after it was signed.
    Tampered,
    Missing,
}

/// Our own server: the script for generations, and a receipt for those who ask.
#[must_use]
pub fn own(script: impl Into<Script>, receipts: Receipts) -> Responder {
    let script = script.into();
    Arc::new(move |arrived| if is_receipt(arrived) { receipt(arrived, receipts) } else { script.clone() })
}

#[must_use]
pub fn is_receipt(arrived: &Arrived) -> bool {
    arrived.method == "GET" && arrived.path.contains("/v1/receipts/")
}

/// Spans, for the collector of the suite's configuration.
#[must_use]
pub fn is_export(arrived: &Arrived) -> bool {
    arrived.path.starts_with("/otlp/")
}

/// The attempt that is asked about.
#[must_use]
pub fn receipt_id(arrived: &Arrived) -> &str {
    arrived.path.rsplit('/').next().and_then(|last| last.split('?').next()).unwrap_or("")
}

/// The answer to a question for a receipt.
#[must_use]
pub fn receipt(arrived: &Arrived, how: Receipts) -> Script {
    let id = receipt_id(arrived);
    let ending = if let Receipts::Signed(ending) = how { ending } else { Ending::Complete };
    let receipt = Receipt {
        id: if how == Receipts::ForAnotherRequest { "another".to_owned() } else { id.to_owned() },
        model: "own-model".to_owned(),
        usage: USAGE,
        ending,
        finish_reason: (ending == Ending::Complete).then(|| "stop".to_owned()),
        created_ms: 1,
        queue_us: 11,
        prefill_us: 22,
        decode_us: 33,
        busy_us: 33,
        cost: Nanodollars(COST_NANODOLLARS),
    };
    let mut body = serde_json::to_string(&receipt).unwrap();
    let key = if how == Receipts::SignedByAnother { FAR_KEY } else { OWN_KEY };
    let signature = receipt::sign_body(key.as_bytes(), body.as_bytes());
    match how {
        Receipts::Missing => return json(404, r#"{"error":{"message":"no such receipt"}}"#).into(),
        Receipts::Tampered => body = body.replacen("\"completion\":5", "\"completion\":1", 1),
        _ => {}
    }
    let mut answer = json(200, body);
    answer.headers.push((moegate_wire::header::SIGNATURE.to_owned(), signature));
    answer.into()
}
