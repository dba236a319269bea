//! Routes with a cache, and requests to them.

use contract::fixtures::{Receipts, answer_text, json, own};
use http::{HeaderName, HeaderValue, Request};
use ledger::{Setting, client, post, said, status, text};
use moegate::platform::fake::{Got, Responder};
use moegate_wire::Ending;

pub(crate) const ROUTES: &str = r#"
[[routes]]
model = "kept"
origin = "far"
origin_model = "far"
cache = { seconds = 300 }
budget = { attempts = 1, seconds = 20 }

[[routes]]
model = "kept-own"
origin = "own"
origin_model = "own"
cache = { seconds = 300, max_kib = 1 }
budget = { attempts = 1, seconds = 20 }

[[origins]]
name = "claude"
kind = "anthropic"
url = "https://far.example/claude/v1"
secret = "FAR_KEY"
models = [{ name = "claude", input = "1", output = "2", max_output_tokens = 100 }]

[[routes]]
model = "kept-claude"
origin = "claude"
origin_model = "claude"
cache = { seconds = 300 }
"#;

pub(crate) fn setting() -> Setting {
    Setting::with(|config| config + ROUTES)
}

pub(crate) fn whole() -> Responder {
    own(json(200, answer_text()), Receipts::Signed(Ending::Complete))
}

pub(crate) fn with(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
    request
}

/// Whether it came out of the cache: `hit`, `miss`; empty where there is none.
pub(crate) fn cache(got: &Got) -> String {
    assert_eq!(status(got), 200, "{}", text(got));
    said(got, "x-moegate-cache")
}

pub(crate) fn ask(setting: &Setting, request: &str) -> Got {
    setting.ask(&whole(), post(), client(request))
}
