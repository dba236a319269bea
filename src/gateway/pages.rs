//! What the gateway answers by itself: its health, what it serves, the models, and what was used.

use super::{Gateway, authenticate, reply};
use crate::dialect::{ClientDialect, ModelInfo};
use crate::error::ApiError;
use crate::metering::record::Summary;
use crate::metering::report::{Query, Report, encode_cursor};
use crate::platform::Platform;
use crate::routing;
use http::Request;

/// Pages that one `GET /usage` reads at most: Workers allow 50 subrequests on the free plan.
const MAX_PAGES: usize = 40;

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
    let key = authenticate::client(platform, gateway, head).await?;
    let info = |name| ModelInfo { name, created_s: crate::BUILT_S };
    let body = match name {
        None => dialect.model_list(&mut routing::models(config, key).map(info)),
        Some(name) => {
            let name = routing::decode_name(name).ok_or_else(ApiError::not_found)?;
            routing::find(config, key, &name)?;
            dialect.model_entry(ModelInfo { name: &name, created_s: crate::BUILT_S })
        }
    };
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

pub(super) async fn usage<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    authenticate::admin(platform, gateway, head).await?;
    let query = Query::parse(head.uri().query().unwrap_or(""))?;
    let mut report = Report { period: query.period.clone(), ..Report::default() };
    let mut cursor = query.cursor.clone();
    for _ in 0..MAX_PAGES {
        let page = platform.list_records(&query.prefix(), cursor.as_deref()).await.map_err(|_| {
            ApiError::internal("store_unavailable", "the usage store did not answer; try again in a moment")
        })?;
        for entry in &page.entries {
            match serde_json::from_str::<Summary>(entry.summary.get()) {
                Ok(summary) => report.add(&summary),
                Err(_) => report.foreign_values += 1,
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    report.next_cursor = cursor.as_deref().map(encode_cursor);
    let body = serde_json::to_string(&report)
        .map_err(|_| ApiError::internal("internal", "the report could not be written"))?;
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}
