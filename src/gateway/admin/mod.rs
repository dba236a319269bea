//! What the operator reads and does: sums, records, and what own servers report.
//!
//! - [`keys`], [`key_body`]: keys made at run time. [`origins`]: what they are doing.
//! - [`usage`]: sums. [`records`]: single requests, and all of a time. [`receipts`]: pushed by own servers.
//! - [`config`]: the configuration, changed without a deploy.

pub(super) mod config;
mod config_errors;
mod key_body;
mod keys;
mod origins;
mod receipts;
mod records;
mod usage;

use super::Gateway;
use super::publish_keys::ask_keys;
use crate::error::ApiError;
use crate::ledger::keys::{KeyOperation, KeyOutcome};
use crate::platform::Platform;
use http::{Method, Request};

/// Serves a path of the operator's; `None` where it is none of them.
pub(super) async fn serve<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    path: &str,
) -> Option<Result<(), ApiError>> {
    if path == "/keys" || path.starts_with("/keys/") {
        return Some(keys::serve(platform, gateway, head, path).await);
    }
    let reads = matches!(*head.method(), Method::GET | Method::HEAD);
    let user = path.strip_prefix("/usage/users/");
    let request = path.strip_prefix("/requests/");
    Some(match (head.method(), path) {
        (_, "/usage") if reads => usage::usage(platform, gateway, head).await,
        (_, "/usage/export") if reads => records::export(platform, gateway, head).await,
        (_, "/origins") if reads => origins::origins(platform, gateway, head).await,
        (_, "/origins") => Err(ApiError::method("GET, HEAD")),
        (&Method::POST, "/receipts") => receipts::receive(platform, gateway, head).await,
        (_, "/usage" | "/usage/export") => Err(ApiError::method("GET, HEAD")),
        (_, "/receipts") => Err(ApiError::method("POST")),
        _ => match (user, request) {
            (Some(user), _) if head.method() == Method::DELETE => {
                records::forget_user(platform, gateway, head, user).await
            }
            (Some(_), _) => Err(ApiError::method("DELETE")),
            (_, Some(id)) if reads => records::request(platform, gateway, head, id).await,
            (_, Some(_)) => Err(ApiError::method("GET, HEAD")),
            (None, None) => return None,
        },
    })
}

/// The names of all tenants, each once, in the configuration's order: each has a shard of the ledger. One whose keys are gone
/// is found as long as it stands under `[[tenants]]`. Those of keys made at run time follow, revoked keys' too, in the order
/// in which they came.
///
/// # Errors
/// 503: the ledger did not answer.
async fn tenants<P: Platform>(platform: &P, gateway: &Gateway) -> Result<Vec<String>, ApiError> {
    let config = &gateway.config;
    let of_keys = config.keys.iter().map(crate::config::Key::tenant_or_name);
    let configured = of_keys.chain(config.tenants.iter().map(|tenant| &*tenant.name)).map(str::to_owned);
    let KeyOutcome::Names(made) = ask_keys(platform, KeyOperation::Tenants).await? else {
        return Err(ApiError::ledger_unavailable());
    };
    let mut names: Vec<String> = Vec::new();
    for name in configured.chain(made) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

pub(super) fn needs_ledger() -> ApiError {
    ApiError::invalid(
        "ledger_needed",
        None,
        "this gateway keeps no ledger (`[ledger] store = \"key-value\"` in moegate.toml): it can only be asked for sums of a `period` that is a year, a month or a day",
    )
}
