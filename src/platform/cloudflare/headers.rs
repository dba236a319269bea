//! Heads as they cross: lines of text.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::fmt::Write;

/// The headers of an answer that the gateway looks at. Others do not cross; `content-encoding` neither, since the runtime
/// has decoded what is read.
pub(super) const ANSWER: [HeaderName; 6] = [
    http::header::CONTENT_TYPE,
    http::header::CONTENT_LENGTH,
    http::header::RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("x-moegate-signature"),
];

/// A request from its method, its path with query, and the values of the wanted headers.
pub(super) fn request(text: &str, wanted: &[HeaderName]) -> http::Result<http::Request<()>> {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let method = Method::from_bytes(line().as_bytes())?;
    let path = line();
    let uri = Uri::try_from(path).or_else(|_| Uri::try_from(escaped(path)))?;
    let mut request = http::Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = values(lines, wanted);
    Ok(request)
}

/// Values in the order of their names; an empty line is a header that isn't there. A value that `http` refuses is left out.
pub(super) fn values<'a>(lines: impl Iterator<Item = &'a str>, names: &[HeaderName]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(names.len());
    for (name, line) in names.iter().zip(lines) {
        if !line.is_empty()
            && let Ok(value) = HeaderValue::from_bytes(line.as_bytes())
        {
            headers.insert(name.clone(), value);
        }
    }
    headers
}

/// Appends names and values, a line each. Several values of one name become one with commas.
pub(super) fn append(text: &mut String, headers: &HeaderMap) {
    for name in headers.keys() {
        text.push('\n');
        text.push_str(name.as_str());
        text.push('\n');
        for (index, value) in headers.get_all(name).iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            match value.to_str() {
                Ok(value) => text.push_str(value),
                // A character for each byte, as `fetch` takes them.
                Err(_) => text.extend(value.as_bytes().iter().map(|&byte| char::from(byte))),
            }
        }
    }
}

/// With what the URL standard lets stand in a path and `http` does not, escaped.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
