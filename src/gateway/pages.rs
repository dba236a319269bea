//! What the gateway answers by itself: its health, what it serves, and the models.

use super::{Gateway, authenticate, reply};
use crate::dialect::{ClientDialect, ModelInfo};
use crate::error::ApiError;
use crate::platform::Platform;
use crate::routing;
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
    let caller = authenticate::caller(platform, gateway, head).await?;
    let created_s = crate::built_in().built_s;
    let info = |name| ModelInfo { name, created_s };
    let body = match name {
        None => dialect
            .model_list(&mut routing::models(config, &caller).filter(|name| caller.may_use(name)).map(info)),
        Some(name) => {
            let name = routing::decode_name(name).ok_or_else(ApiError::not_found)?;
            caller.route(config, &name)?;
            dialect.model_entry(ModelInfo { name: &name, created_s })
        }
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}
