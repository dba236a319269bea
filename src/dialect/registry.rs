//! Which dialects there are. A further one is an entry here and a folder beside this file.

use super::openai::OpenAi;
use super::{ClientDialect, Endpoint};
use crate::error::ApiError;
use http::{HeaderName, Method};

static CLIENT_DIALECTS: [&dyn ClientDialect; 1] = [&OpenAi];

/// The dialect in which errors are said where the path names none.
#[must_use]
pub fn default_dialect() -> &'static dyn ClientDialect {
    CLIENT_DIALECTS[0]
}

/// The operation behind a method and path; `None` where no dialect has such a path.
///
/// # Errors
/// 405, and the dialect to say it in.
pub fn endpoint(
    method: &Method,
    path: &str,
) -> Option<Result<Endpoint, (&'static dyn ClientDialect, ApiError)>> {
    CLIENT_DIALECTS.into_iter().find_map(|dialect| {
        let found = dialect.operation(method, path)?;
        Some(found.map(|operation| Endpoint { dialect, operation }).map_err(|error| (dialect, error)))
    })
}

/// The headers in which some dialect's clients send their keys.
pub fn credential_headers() -> impl Iterator<Item = &'static HeaderName> {
    CLIENT_DIALECTS.into_iter().flat_map(|dialect| dialect.credential_headers())
}
