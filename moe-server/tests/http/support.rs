//! The real router on a loopback port over the scripted engine, and a client that can hang up.

use crate::engine::{Bytes, Control, Maker};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use moe_server::engine::cpu::CpuOptions;
use moe_server::engine::{DeviceMemory, Engine, Factory};
use moe_server::http::auth::Auth;
use moe_server::http::body::Budget;
use moe_server::http::codec::{Codec, ModelCodec};
use moe_server::http::receipts::{Receipts, Retention};
use moe_server::http::tickets::Spent;
use moe_server::http::{self, Limits, Server};
use moe_server::load::{LoadOptions, Loader, load};
use moe_server::schedule::{Config, Scheduler};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "test-key";

/// How a test's server differs from the usual one.
pub(crate) struct Setup {
    pub(crate) context: usize,
    pub(crate) kv_tokens: usize,
    pub(crate) config: Config,
    pub(crate) keepalive: Duration,
    pub(crate) auth: Auth,
    pub(crate) tickets: Option<Spent>,
    pub(crate) limits: Limits,
    pub(crate) gpu: Option<DeviceMemory>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            context: 4_096,
            kv_tokens: 1_000_000,
            config: Config::default(),
            keepalive: Duration::from_secs(30),
            auth: Auth::with_key(KEY).unwrap(),
            tickets: None,
            limits: Limits::default(),
            gpu: None,
        }
    }
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) scheduler: Scheduler,
    pub(crate) control: Arc<Control>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.control.open();
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status, code and param of an error, whose shape is checked.
    pub(crate) fn error(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        let error = &body["error"];
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        assert!(error["type"].is_string(), "{body}");
        let param = error["param"].as_str().map(str::to_owned);
        assert!(param.is_some() || error["param"].is_null(), "{body}");
        assert_eq!(self.headers["content-type"], "application/json");
        (self.status.as_u16(), error["code"].as_str().unwrap().to_owned(), param)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An answer that is being read; dropped, its connection is closed.
pub(crate) struct Open {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Open {
    /// The next bytes; `None` at a clean end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = self.body.frame().await?.expect("a clean stream");
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).expect("whole characters"))
    }

    /// Reads until `text` has come; answers all that has.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            all += &self.next().await.unwrap_or_else(|| panic!("no {text:?} in {all}"));
        }
        all
    }

    pub(crate) async fn rest(&mut self) -> String {
        let mut all = String::new();
        while let Some(next) = self.next().await {
            all += &next;
        }
        all
    }
}

impl TestServer {
    pub(crate) async fn start(setup: Setup) -> Self {
        let control = Arc::new(Control::default());
        *control.gpu.lock().unwrap() = setup.gpu;
        let maker =
            Maker { context_length: setup.context, kv_tokens: setup.kv_tokens, control: control.clone() };
        Self::serve(Arc::new(Bytes), maker.engine(), Box::new(maker), control, setup).await
    }

    /// With one of the models that the repository carries.
    pub(crate) async fn with_model(file: &str) -> Self {
        Self::with_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(file)).await
    }

    pub(crate) async fn with_file(path: &Path) -> Self {
        Self::with_cpu(path, CpuOptions { threads: 1, ..CpuOptions::default() }, Setup::default()).await
    }

    pub(crate) async fn with_cpu(path: &Path, cpu: CpuOptions, setup: Setup) -> Self {
        let options = LoadOptions { cpu, ..LoadOptions::default() };
        let model = load(path, &options).unwrap();
        let loader = Box::new(Loader::new(path, options, &model));
        let codec = ModelCodec { tokenizer: model.tokenizer, template: model.template, vocab: model.vocab };
        let control = Arc::new(Control::default());
        Self::serve(Arc::new(codec), model.engine, loader, control, setup).await
    }

    async fn serve(
        codec: Arc<dyn Codec>,
        engine: Box<dyn Engine>,
        factory: Box<dyn Factory>,
        control: Arc<Control>,
        setup: Setup,
    ) -> Self {
        let scheduler = Scheduler::start(engine, factory, &setup.config).unwrap();
        let server = Server {
            codec,
            scheduler: scheduler.clone(),
            receipts: Receipts::new(Retention::default()),
            outbox: None,
            telemetry: None,
            auth: setup.auth,
            tickets: setup.tickets,
            models: vec!["tiny".into(), "org/alias".into()],
            created: 7,
            max_body_bytes: 100_000,
            keepalive: setup.keepalive,
            body_budget: Budget::new(setup.limits.body_bytes),
            limits: setup.limits,
            large_bodies: Arc::new(Semaphore::new(1)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // Without a sender, the server goes on.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let serving = tokio::spawn(http::run(listener, Arc::new(server), stopped, Duration::from_secs(20)));
        let server = Self { address, scheduler, control, stop: Some(stop), serving };
        eventually("it is ready", async || server.get("/ready").await.status != 503).await;
        server
    }

    pub(crate) async fn usual() -> Self {
        Self::start(Setup::default()).await
    }

    pub(crate) async fn open(&self, request: Request<Full<hyper::body::Bytes>>) -> Open {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        // Aborts the connection if this future is dropped while it waits.
        let guard = AbortOnDrop(connection);
        let response: Response<Incoming> = sender.send_request(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        Open { status: parts.status, headers: parts.headers, body, connection: guard.disarm() }
    }

    pub(crate) async fn send(&self, request: Request<Full<hyper::body::Bytes>>) -> Reply {
        let mut open = self.open(request).await;
        Reply { status: open.status, headers: open.headers.clone(), body: open.rest().await }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, "")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(request(Method::POST, path, &body.to_string())).await
    }

    /// A value of `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let body = self.get("/metrics").await.body;
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {body}")).parse().unwrap()
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl AbortOnDrop {
    fn disarm(mut self) -> JoinHandle<()> {
        std::mem::replace(&mut self.0, tokio::spawn(async {}))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// With the key.
pub(crate) fn request(method: Method, path: &str, body: &str) -> Request<Full<hyper::body::Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", "test");
    request.header(AUTHORIZATION, format!("Bearer {KEY}")).body(Full::from(body.to_owned())).unwrap()
}

pub(crate) fn chat(text: &str, more: &Value) -> Value {
    let mut body = json!({"model": "tiny", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub(crate) fn post_chat(text: &str, more: &Value) -> Request<Full<hyper::body::Bytes>> {
    request(Method::POST, "/v1/chat/completions", &chat(text, more).to_string())
}

/// The events of a stream, `[DONE]` as a string; comments are left out.
pub(crate) fn events(stream: &str) -> Vec<Value> {
    let data = stream.split_terminator("\n\n").filter_map(|event| {
        assert!(event.starts_with("data: ") || event.starts_with(": "), "{event:?}");
        event.strip_prefix("data: ")
    });
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

/// The text of a chat's stream.
pub(crate) fn text_of(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

/// Waits until something is so; fails after a long time.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
