//! What is answered where the configuration is not changed.

use super::super::pushed;
use crate::config::Problem;
use crate::error::ApiError;
use crate::ledger::versions::KEPT;
use std::borrow::Cow;

/// 400: it cannot be used. `param` is the first place where something is wrong.
pub(super) fn refused(problems: &[Problem]) -> ApiError {
    let path = problems.first().map(|problem| Cow::Owned(problem.path.clone()));
    let message =
        format!("nothing is changed, since this configuration cannot be used: {}", pushed::listed(problems));
    ApiError { param: path, ..ApiError::invalid("invalid_config", None, message) }
}

/// 413: it is larger than what is stored for instances.
pub(super) fn too_large() -> ApiError {
    let text = "a configuration that is pushed has less than 1 MB, which stores take as one value: deploy it instead";
    ApiError { status: 413, ..ApiError::invalid("config_too_large", None, text) }
}

/// 409: somebody else has changed it meanwhile.
pub(super) fn changed(expected: u32, latest: u32) -> ApiError {
    let message = format!(
        "nothing is changed, since the latest version of the configuration is {latest}, not {expected}: see what it has with `moegate config diff`, and push again on top of it (`if_version` {latest})"
    );
    ApiError { status: 409, ..ApiError::invalid("config_changed", None, message) }
}

/// 404: it is not kept.
pub(super) fn unknown(version: u32) -> ApiError {
    let message = format!(
        "there is no version {version} of the configuration; the last {KEPT} are kept, and `GET /config` lists them"
    );
    ApiError { status: 404, ..ApiError::invalid("unknown_version", Some("version"), message) }
}

/// 503: it is kept, but instances cannot be given it yet.
pub(super) fn not_published(version: u32) -> ApiError {
    let message = format!(
        "the configuration is kept as version {version}, but the store where instances find it did not take it: the gateway tries again by itself, and the same push sent again does so at once"
    );
    ApiError { retry_after_s: Some(1), ..ApiError::unavailable("config_not_published", message) }
}
