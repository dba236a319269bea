//! Headers between `http` and the host.

use http::{HeaderMap, HeaderName, HeaderValue};
use spin_sdk::wasip3::http::types::Fields;

/// What the host is given. A header that it refuses is left out: it may belong to the connection, which is the host's.
pub(super) fn fields(headers: &HeaderMap) -> Fields {
    let entries: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    Fields::from_list(&entries).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in &entries {
            let _refused = fields.append(name, value);
        }
        fields
    })
}

/// The headers that are `wanted` and not empty. The values of a repeated one are joined, as the Fetch standard does; one
/// that `http` refuses is left out.
pub(super) fn wanted(fields: &Fields, wanted: &[HeaderName]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(wanted.len());
    for (name, value) in fields.copy_all() {
        let Some(name) = wanted.iter().find(|wanted| wanted.as_str().eq_ignore_ascii_case(&name)) else {
            continue;
        };
        let value = match headers.get(name).map(HeaderValue::as_bytes) {
            Some(before) => [before, b", ", &value].concat(),
            None if value.is_empty() => continue,
            None => value,
        };
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The length that the headers declare.
pub(super) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
