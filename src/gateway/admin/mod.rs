//! What the operator reads and does: sums, records, and what own servers report.
//!
//! - [`origins`]: what they are doing. [`usage`]: sums. [`records`]: single requests, and all of a time. [`receipts`]: pushed by own servers.

mod origins;
mod receipts;
mod records;
mod usage;

use super::Gateway;
use crate::error::ApiError;
use crate::platform::Platform;
use http::{Method, Request};

/// Serves a path of the operator's; `None` where it is none of them.
pub(super) async fn serve<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
    path: &str,
) -> Option<Result<(), ApiError>> {
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
/// is found as long as it stands under `[[tenants]]`.
fn tenants(gateway: &Gateway) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let of_keys = gateway.config.keys.iter().map(crate::config::Key::tenant_or_name);
    for name in of_keys.chain(gateway.config.tenants.iter().map(|tenant| &*tenant.name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn needs_ledger() -> ApiError {
    ApiError::invalid(
        "ledger_needed",
        None,
        "this gateway keeps no ledger (`[ledger] store = \"key-value\"` in moegate.toml): it can only be asked for sums of a `period` that is a year, a month or a day",
    )
}
