//! What the gateway answers by itself: what it is, its health, what it serves, and the models.

use super::{Gateway, authenticate, reply};
use crate::config::Config;
use crate::dialect::{ClientDialect, ModelFacts, ModelInfo};
use crate::error::ApiError;
use crate::platform::Platform;
use crate::routing::{self, Target};
use http::Request;

/// For whoever opens the gateway's address in a browser.
const ROOT: &str = "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><meta name=color-scheme content=\"light dark\"><title>moegate</title><h1>moegate</h1><p>A gateway for language models. Apps use it under this address with <code>/v1</code>, and a key.<ul><li><a href=health>Health</a><li><a href=openapi.json>API</a> (OpenAPI)<li><code>GET /v1/models</code>: the models of a key</ul>";

pub(super) async fn root<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    reply::html(platform, gateway.allowed(head), ROOT).await;
    Ok(())
}

/// Also says how many secrets that requests need have no value. Their names are the operator's: they are in the log, once.
pub(super) async fn health<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    let mut missing = Vec::new();
    for name in gateway.config.needed_secrets() {
        if matches!(platform.secret(name).await, Ok(None)) {
            missing.push(name);
        }
    }
    let body = match missing.len() {
        0 => r#"{"status":"ok"}"#.to_owned(),
        count => {
            if !platform.state(|state| std::mem::replace(&mut state.told_missing, true)) {
                platform.log(&format!("secrets without a value: {}", missing.join(", "))).await;
            }
            format!(r#"{{"status":"ok","missing_secrets":{count}}}"#)
        }
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

pub(super) async fn openapi<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    reply::json(platform, gateway.allowed(head), crate::OPENAPI.to_owned()).await;
    Ok(())
}

pub(super) async fn models<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    dialect: &dyn ClientDialect,
    head: &Request<()>,
    name: Option<&str>,
) -> Result<(), ApiError> {
    let config = gateway.config();
    let caller = authenticate::caller(platform, gateway, head).await?;
    let created_s = crate::built_in().built_s;
    let now_ms = platform.now_ms();
    let info = |name| ModelInfo { name, created_s, facts: facts(config, name, now_ms) };
    let body = match name {
        None => dialect
            .model_list(&mut routing::models(config, &caller).filter(|name| caller.may_use(name)).map(info)),
        Some(name) => {
            let name = routing::decode_name(name).ok_or_else(ApiError::not_found)?;
            caller.route(config, &name)?;
            dialect.model_entry(info(&name))
        }
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

/// What the configuration knows of a model: at the origin that its route names first.
fn facts<'a>(config: &'a Config, name: &str, now_ms: u64) -> Option<ModelFacts<'a>> {
    let route = config.routes.iter().find(|route| route.has_name(name))?;
    let rule = route.rule();
    let leaves = rule.leaves();
    let leaf = leaves.first()?;
    let Target { model, origin, .. } =
        Target::of(config, route, &leaf.origin, route.model_at(leaf.model.as_deref()))?;
    Some(ModelFacts {
        name: &model.name,
        rates: origin.price_at(model, now_ms).rates,
        context_tokens: model.context_tokens,
        max_output_tokens: model.max_output_tokens,
    })
}
