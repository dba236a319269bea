//! What the gateway answers by itself: the models, and what was used.

use super::{authenticate, json, look_up, secret_name};
use crate::api::openai;
use crate::core::config::{Admin, Config};
use crate::core::error::ApiError;
use crate::core::report::{Query, Report, encode_cursor};
use crate::core::{auth, route};
use crate::platform::{Head, Platform};

/// Pages that one `GET /usage` reads at most: Workers allow 50 subrequests on the free plan.
const MAX_PAGES: usize = 40;

pub(super) async fn models<P: Platform>(
    platform: &P,
    config: &Config,
    head: &Head,
    name: Option<&str>,
) -> Result<(), ApiError> {
    let key = authenticate(platform, config, head).await?;
    let body = match name {
        None => openai::model_list(route::models(config, key)),
        Some(name) => {
            let name = route::decode_name(name).ok_or_else(ApiError::not_found)?;
            route::find(config, key, &name)?;
            openai::model_entry(&name)
        }
    };
    json(platform, body).await
}

pub(super) async fn usage<P: Platform>(platform: &P, config: &Config, head: &Head) -> Result<(), ApiError> {
    let hash = config.admin.as_ref().and_then(Admin::hash);
    let secrets = look_up(platform, hash.and_then(secret_name).into_iter()).await;
    auth::admin(config, head.authorization.as_deref(), &secrets)?;
    let query = Query::parse(&head.query)?;
    let mut report = Report { period: query.period.clone(), ..Report::default() };
    let mut cursor = query.cursor.clone();
    for _ in 0..MAX_PAGES {
        let page = platform.list_records(&query.prefix(), cursor.as_deref()).await.map_err(|_| {
            ApiError::internal("store_unavailable", "the usage store did not answer; try again in a moment")
        })?;
        for entry in &page.entries {
            // One that cannot be read would make the sums wrong in silence.
            let summary = serde_json::from_str(entry.summary.get()).map_err(|_| {
                let name = &entry.name;
                ApiError::internal(
                    "record_unreadable",
                    format!(
                        "what is stored under the key `{name}` is no usage record of this gateway: remove that key from the store"
                    ),
                )
            })?;
            report.add(&summary);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    report.next_cursor = cursor.as_deref().map(encode_cursor);
    let body = serde_json::to_string(&report)
        .map_err(|_| ApiError::internal("internal", "the report could not be written"))?;
    json(platform, body).await
}
