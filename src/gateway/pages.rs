//! What the gateway answers by itself: its health, what it serves, and the models.

use super::{Gateway, authenticate, reply};
use crate::config::Config;
use crate::dialect::{ClientDialect, ModelFacts, ModelInfo};
use crate::error::ApiError;
use crate::platform::Platform;
use crate::routing::{self, Target};
use http::Request;

pub(super) async fn health<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    reply::json(platform, gateway.allowed(head), r#"{"status":"ok"}"#.to_owned()).await;
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
    let caller = authenticate::client(platform, gateway, head).await?;
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
