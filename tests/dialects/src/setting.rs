//! The gateway in process, with an origin of each API.

use crate::api::{ClientApi, ClientCall, OriginApi};
use crate::gateway::{InProcess, KEY};
use http::{HeaderName, HeaderValue, Request, header};
use moegate::platform::fake::{Arrived, End, Got, Piece, Script, Scripted};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Each origin's model is of its own name; the route is called `to-` and that.
fn config() -> String {
    let mut text = String::new();
    for (api, kind, url) in [
        (OriginApi::Chat, "openai", "https://chat.example/v1"),
        (OriginApi::Anthropic, "anthropic", "https://anthropic.example/v1"),
        (OriginApi::Gemini, "gemini", "https://gemini.example/v1beta"),
        (OriginApi::Bedrock, "bedrock", "https://bedrock.example"),
    ] {
        let name = api.folder();
        let model = match api {
            OriginApi::Chat => "gpt-5",
            OriginApi::Anthropic => "claude-sonnet-4-5",
            OriginApi::Gemini => "gemini-2.5-flash",
            OriginApi::Bedrock => "us.anthropic.claude-sonnet-4-5-v1:0",
        };
        let secret = format!("{}_KEY", name.to_uppercase());
        text += &format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nsecret = \"{secret}\"\nbreaker = {{ failures = 0 }}\n\
             [[origins.models]]\nname = \"{model}\"\ninput = \"1\"\ncached_input = \"0.1\"\ncache_write = \"1.25\"\noutput = \"5\"\n"
        );
        for (route, extra) in [("to", ""), ("drop", "drop_unsupported = true\n")] {
            text += &format!(
                "[[routes]]\nmodel = \"{route}-{name}\"\norigin = \"{name}\"\norigin_model = \"{model}\"\n{extra}budget = {{ attempts = 1 }}\n"
            );
        }
    }
    text
}

pub struct Setting(InProcess);

/// What came of a request.
pub struct Outcome {
    pub status: u16,
    /// Of the reply, names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// What the origin got.
    pub arrived: Option<Arrived>,
}

impl Default for Setting {
    fn default() -> Self {
        Self::new()
    }
}

impl Setting {
    /// # Panics
    /// If the configuration is not valid.
    #[must_use]
    pub fn new() -> Self {
        let secrets = OriginApi::ALL.map(|api| {
            (format!("{}_KEY", api.folder().to_uppercase()), format!("sk-{}-0123456789", api.folder()))
        });
        Self(InProcess::new(&config(), secrets))
    }

    /// A client's request, answered by the origin with that body, which comes in pieces of so many bytes.
    ///
    /// # Panics
    /// If a header of a fixture is none.
    #[must_use]
    pub fn ask(
        &self,
        client: ClientApi,
        request: &Value,
        model: &str,
        stream: bool,
        answer: &[u8],
        piece: usize,
    ) -> Outcome {
        self.0.world.forget();
        let content_type = match (stream, model.ends_with("bedrock")) {
            (true, true) => "application/vnd.amazon.eventstream",
            (true, false) => "text/event-stream",
            (false, _) => "application/json",
        };
        let pieces = answer.chunks(piece.max(1)).map(|bytes| Piece::Bytes(bytes.to_vec())).collect();
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let scripted = Scripted { status: 200, headers, pieces, end: End::Clean };
        self.0.world.answer(Arc::new(move |_: &Arrived| Script::from(scripted.clone())));
        let before = self.0.world.arrived().len();
        let ClientCall { path, headers, body } = client.call(request, model, stream, KEY);
        let mut head = Request::post(path).body(()).unwrap();
        head.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
        for (name, value) in headers {
            head.headers_mut().insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
        }
        let got = self.0.serve(head, body);
        outcome(got, self.0.world.arrived().into_iter().nth(before))
    }
}

fn outcome(got: Got, arrived: Option<Arrived>) -> Outcome {
    let (status, headers) = got.reply.map_or((0, BTreeMap::new()), |reply| {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = reply.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        (reply.status().as_u16(), headers)
    });
    Outcome { status, headers, body: String::from_utf8_lossy(&got.body).into_owned(), arrived }
}
