//! The gateway behind `worker-build`'s entry: the comparison with the entry that ships (docs/ARCHITECTURE.md, "The
//! entry"). Same core, same bodies kept in JavaScript where wasm does not read them, same ways for a stream; what
//! differs is who calls whom: here the crate `worker` and wasm-bindgen's generated glue.
//!
//! Only `cargo xtask bench gateway` builds this.

mod edge;
mod stream;

use edge::Edge;
use futures_channel::oneshot;
use moegate::core::config::Config;
use moegate::platform::Head;
use std::cell::OnceCell;
use worker::{Context, Env, Error, Result, event};

thread_local! {
    static CONFIG: OnceCell<&'static Config> = const { OnceCell::new() };
}

/// Parsed once per instance and never dropped.
fn config() -> Result<&'static Config> {
    CONFIG.with(|config| match config.get() {
        Some(config) => Ok(*config),
        None => {
            let parsed = moegate::compiled_config().map_err(|error| Error::RustError(error.to_string()))?;
            Ok(*config.get_or_init(|| Box::leak(Box::new(parsed))))
        }
    })
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    let config = config()?;
    let head = head(&request)?;
    let (respond, responded) = oneshot::channel();
    let edge = Edge::new(request, env, respond);
    context.wait_until(async move { moegate::gateway::handle(&edge, config, &head).await });
    responded.await.map_err(|_| Error::RustError("the request ended without an answer".to_owned()))
}

fn head(request: &web_sys::Request) -> Result<Head> {
    let url = request.url();
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let target = rest.find('/').map_or("/", |at| &rest[at..]);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = request.headers();
    Ok(Head {
        method: request.method(),
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: headers.get("authorization")?,
        content_length: headers.get("content-length")?.and_then(|length| length.parse().ok()),
    })
}
