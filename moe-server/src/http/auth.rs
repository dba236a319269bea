//! The bearer key, and the ticket that it signs.

use super::error::ApiError;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use moegate_wire::{Ticket, header::TICKET, push, sign};
use std::fmt;
use std::net::IpAddr;

const LABEL: &str = "moe-server-bearer";

/// The one key that clients of this server must show; `None` lets everyone in.
#[derive(Clone)]
pub struct Auth {
    key: Option<Vec<u8>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.key.is_some() { "Auth(key)" } else { "Auth(none)" })
    }
}

/// The key is empty, or holds what no header can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

impl Auth {
    /// Everyone is let in.
    #[must_use]
    pub fn none() -> Self {
        Self { key: None }
    }

    /// Takes a key as read from a file or the environment: white space around it is no part of it.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn with_key(text: &str) -> Result<Self, BadKey> {
        let key = text.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKey);
        }
        Ok(Self { key: Some(key.as_bytes().to_vec()) })
    }

    /// What receipts are signed with.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The signature of receipts that are sent at `time_s`, Unix time in seconds; none without a key.
    #[must_use]
    pub fn sign_push(&self, time_s: u64, body: &[u8]) -> Option<String> {
        self.key().map(|key| push::sign(key, time_s, body))
    }

    /// # Errors
    /// 401 without the right key; without a key of its own, see [`Self::local`].
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(key) = &self.key else { return Self::local(headers) };
        let refuse = |message: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message));
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, shown)) = value.and_then(|value| value.split_once(' ')) else {
            return refuse("this server wants its key: send the header `Authorization: Bearer KEY`");
        };
        // Comparing two MACs takes the same time wherever the keys differ, and however long they are.
        let expected = sign::sign(key, LABEL, key);
        if scheme.eq_ignore_ascii_case("bearer")
            && sign::verify(key, LABEL, shown.trim().as_bytes(), &expected)
        {
            return Ok(());
        }
        refuse("the key in the Authorization header is not this server's")
    }

    /// A server without a key is for this machine, whose browser may be led here by any web page: by a name that
    /// resolves to loopback (the header Host tells), or by a form (no form can send JSON).
    fn local(headers: &HeaderMap) -> Result<(), ApiError> {
        let text =
            |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        if !is_loopback(text(header::HOST)) {
            let message = "without a key, this server takes requests for localhost only, by the header Host; to serve \
                           other names, start it with a key";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "host_not_allowed", message));
        }
        Ok(())
    }

    /// # Errors
    /// 415 for a body that does not say it is JSON, on a server without a key.
    pub(crate) fn check_type(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let value =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if self.key.is_some() || essence.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        let message = "without a key, this server wants the header `Content-Type: application/json`";
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
    }

    /// The request's ticket, if it has one.
    ///
    /// # Errors
    /// 401 `invalid_ticket`.
    pub(super) fn ticket(&self, headers: &HeaderMap, now_s: u64) -> Result<Option<Ticket>, ApiError> {
        let Some(value) = headers.get(TICKET) else { return Ok(None) };
        let refuse = |why: String| ApiError::new(StatusCode::UNAUTHORIZED, "invalid_ticket", why);
        let Some(key) = &self.key else {
            return Err(refuse(format!(
                "this server runs without a key and cannot check {TICKET}: leave it out, or start the server with a key"
            )));
        };
        let text = value.to_str().unwrap_or_default();
        Ticket::decode(text, key, now_s).map(Some).map_err(|error| refuse(format!("{TICKET}: {error}")))
    }
}

/// Whether a Host header, with or without a port, names this machine.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for bad in ["", "\n", " \t", "a b", "a\nb", "é"] {
            assert_eq!(Auth::with_key(bad).unwrap_err(), BadKey, "{bad:?}");
        }
        let auth = Auth::with_key("secret\r\n").unwrap();
        assert_eq!(auth.key(), Some(&b"secret"[..]));
        assert_eq!(format!("{auth:?}"), "Auth(key)");
    }

    #[test]
    fn only_the_key_is_let_in() {
        let auth = Auth::with_key("secret").unwrap();
        let cases = [
            (Some("Bearer secret"), true),
            (Some("bearer secret"), true),
            (Some("Bearer secre"), false),
            (Some("Bearer secrett"), false),
            (Some("Bearer "), false),
            (Some("Basic secret"), false),
            (Some("secret"), false),
            (None, false),
        ];
        for (value, ok) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(auth.check(&headers).is_ok(), ok, "{value:?}");
            headers.insert(header::HOST, HeaderValue::from_static("localhost:80"));
            assert_eq!(Auth::none().check(&headers), Ok(()));
        }
    }

    #[test]
    fn hosts() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1:80", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
