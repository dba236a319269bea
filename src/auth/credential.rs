//! The key that a client sent, in whichever header its SDK has for it.

use crate::error::ApiError;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Anthropic's.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Google's.
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The headers that a client may send its key in.
pub const HEADERS: [HeaderName; 3] = [header::AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY];

/// The client's key: from the header `Authorization`, `x-api-key` or `x-goog-api-key`, whatever the API; the first of them
/// holds, whatever an SDK sends beside it. `url_keys`: also from the query's `key`.
///
/// # Errors
/// 401 that says how to send one; also where one is in the URL though it may not be.
pub fn credential<'h>(
    headers: &'h HeaderMap,
    query: Option<&'h str>,
    url_keys: bool,
) -> Result<&'h str, ApiError> {
    let in_url = query.and_then(key_of_query);
    if in_url.is_some() && !url_keys {
        return Err(ApiError::unauthorized(
            "the key was sent in the URL (`?key=`), which ends in logs: send it in the header `x-goog-api-key` instead, or allow it with `url_keys = true` under [gateway] in moegate.toml",
        ));
    }
    let bearer = bearer(headers)?;
    let plain = |name| headers.get(name).and_then(text).filter(|key| !key.is_empty());
    let keys = [bearer, plain(X_API_KEY), plain(X_GOOG_API_KEY), in_url];
    keys.into_iter().flatten().next().ok_or_else(|| {
        ApiError::unauthorized("no key was sent: send the header `Authorization: Bearer <your key>`")
    })
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(header) = headers.get(header::AUTHORIZATION).filter(|header| !header.is_empty()) else {
        return Ok(None);
    };
    let token = text(header).and_then(|header| match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
        _ => None,
    });
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(token)),
        // An empty one beside another header, as some SDKs send it.
        None if headers.contains_key(X_API_KEY) || headers.contains_key(X_GOOG_API_KEY) => Ok(None),
        None => Err(ApiError::unauthorized("the Authorization header must read `Bearer <your key>`")),
    }
}

/// What the query has under `key`.
fn key_of_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key=")).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_each_client_sends_them() {
        for (headers, query, url_keys, expected) in [
            (&[("authorization", "Bearer k")][..], None, false, Ok("k")),
            (&[("authorization", "bearer  k ")], None, false, Ok("k")),
            (&[("x-api-key", "k")], None, false, Ok("k")),
            (&[("x-goog-api-key", "k")], Some("alt=sse"), false, Ok("k")),
            (&[("x-api-key", "k"), ("authorization", "Bearer k")], None, false, Ok("k")),
            (&[("x-api-key", "k"), ("authorization", "Bearer ")], None, false, Ok("k")),
            (&[("x-api-key", "k"), ("authorization", "Bearer other")], None, false, Ok("other")),
            (&[], Some("alt=sse&key=k"), false, Err("in the URL")),
            (&[], Some("alt=sse&key=k"), true, Ok("k")),
            (&[("x-goog-api-key", "j")], Some("key=k"), true, Ok("j")),
            (&[], Some("monkey=k"), true, Err("no key was sent")),
            (&[("authorization", "Basic k")], None, false, Err("must read")),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            match (credential(&map, query, url_keys), expected) {
                (Ok(key), Ok(wanted)) => assert_eq!(key, wanted, "{headers:?}"),
                (Err(error), Err(part)) => {
                    assert_eq!(error.status, 401);
                    assert!(error.message.contains(part), "{headers:?}: {}", error.message);
                }
                (got, _) => panic!("{headers:?} {query:?}: {got:?}"),
            }
        }
    }
}
