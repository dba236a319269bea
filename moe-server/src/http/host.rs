//! The header Host: HTTP/1.1 wants exactly one (RFC 9112, section 3.2), and so does who compares it with something.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Answers requests without one, with several, or with one that names no host.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let Some(wrong) = wrong(request.version(), request.headers()) else { return next.run(request).await };
    let message =
        format!("{wrong}: send one header `Host` with the name and port that the server is reached by");
    let mut response = ApiError::new(StatusCode::BAD_REQUEST, "invalid_host", message).into_response();
    // Whoever wrote that may mean something else by what follows on this connection.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn wrong(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => (version >= Version::HTTP_11).then_some("the request has no header `Host`"),
        (Some(_), Some(_)) => Some("the request has more than one header `Host`"),
        (Some(host), None) => (!is_host(host)).then_some("the header `Host` names no host"),
    }
}

/// An empty one is for targets without a host.
fn is_host(value: &HeaderValue) -> bool {
    let named = |text: &str| !text.contains('@') && text.parse::<Authority>().is_ok();
    value.to_str().is_ok_and(|text| text.is_empty() || named(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host() {
        let of = |version, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            wrong(version, &headers).is_none()
        };
        for host in ["localhost", "localhost:8788", "127.0.0.1:80", "[::1]:8788", "a_b.example", ""] {
            assert!(of(Version::HTTP_11, &[host]), "{host}");
        }
        for host in ["a b", "user@a.example", "http://a.example", "a.example/", "é"] {
            assert!(!of(Version::HTTP_11, &[host]), "{host}");
        }
        assert!(!of(Version::HTTP_11, &[]) && !of(Version::HTTP_11, &["a", "a"]));
        assert!(of(Version::HTTP_10, &[]) && !of(Version::HTTP_10, &["a", "b"]));
    }
}
