//! AWS Signature Version 4 in headers ("Create a signed AWS API request", IAM User Guide).

use crate::config::Authority;
use crate::metering::record;
use crate::payload::Payload;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Deref;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Who signs.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub access_key_id: &'a Secret,
    pub secret_access_key: &'a Secret,
    /// Comes with temporary credentials.
    pub session_token: Option<&'a Secret>,
}

/// What a signature is good for, besides the day.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Such as `us-east-1`.
    pub region: &'a str,
    /// `bedrock` for the hosts `bedrock-runtime.REGION.amazonaws.com`.
    pub service: &'a str,
}

/// What is signed, besides the body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As it is sent: path and query percent-encoded, names in the path with [`path_segment`].
    pub url: &'a str,
    /// The headers to sign besides `host` and those that [`sign`] adds: `content-type` and any `x-amz-*`. Each must arrive as
    /// it is here; one that a proxy may change or drop (`user-agent`, `accept-encoding`, tracing) breaks the signature.
    pub headers: &'a HeaderMap,
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsignable {
    /// The URL is not absolute, or not in the plain form that the configuration asks for.
    Url,
    /// The access key's id holds what no header may have.
    AccessKeyId,
    /// The session token does.
    SessionToken,
}

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => {
                "the URL is no absolute http(s) URL in plain form: set the origin's `url` to one such as https://bedrock-runtime.us-east-1.amazonaws.com"
            }
            Self::AccessKeyId => {
                "the access key id holds a line break or another character that no header may have: set the secret again, to the id alone (such as AKIA…)"
            }
            Self::SessionToken => {
                "the session token holds a line break or another character that no header may have: set the secret again, to the token alone"
            }
        })
    }
}

impl std::error::Error for Unsignable {}

/// The headers to add to the request: `authorization`, `x-amz-date` and, with a session token, `x-amz-security-token`, all
/// marked sensitive. `now_ms`: Unix milliseconds; AWS refuses a time that is off by more than five minutes.
///
/// # Errors
/// [`Unsignable`].
pub fn sign<B: Deref<Target = [u8]>>(
    request: &Request<'_>,
    body: &Payload<B>,
    credentials: &Credentials<'_>,
    scope: &Scope<'_>,
    now_ms: u64,
) -> Result<HeaderMap, Unsignable> {
    let mut hash = Sha256::new();
    body.pieces(|piece| hash.update(piece));
    sign_hashed(request, &hash.finalize().into(), credentials, scope, now_ms)
}

/// A name as one segment of a path, such as a model's id or ARN: all but letters, digits and `-._~` escaped.
#[must_use]
pub fn path_segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    escape(name, "", &mut out);
    out
}

// Not generic, so that it is compiled once.
fn sign_hashed(
    request: &Request<'_>,
    body: &[u8; 32],
    credentials: &Credentials<'_>,
    scope: &Scope<'_>,
    now_ms: u64,
) -> Result<HeaderMap, Unsignable> {
    let time = timestamp(now_ms);
    let day = &time[..8];
    let mut added = HeaderMap::with_capacity(3);
    let date = HeaderValue::try_from(time.as_str()).map_err(|_| Unsignable::Url)?;
    added.insert(DATE, sensitive(date));
    if let Some(token) = credentials.session_token {
        added.insert(TOKEN, token.header_value("").ok_or(Unsignable::SessionToken)?);
    }
    let (canonical, signed_headers) = canonical(request, &added, body).ok_or(Unsignable::Url)?;

    let within = [day, scope.region, scope.service, "aws4_request"].join("/");
    let hash = to_hex(&Sha256::digest(&canonical));
    let text = ["AWS4-HMAC-SHA256", &time, &within, &hash].join("\n");
    let mut key = credentials.secret_access_key.sign_with(|secret| [b"AWS4", secret].concat());
    for part in [day, scope.region, scope.service, "aws4_request", &text] {
        key = mac(&key, part);
    }
    let signature = to_hex(&key);
    let rest = ["/", &within, ", SignedHeaders=", &signed_headers, ", Signature=", &signature].concat();
    let authorization = credentials.access_key_id.sign_with(|id| {
        HeaderValue::try_from([b"AWS4-HMAC-SHA256 Credential=", id, rest.as_bytes()].concat())
    });
    added.insert(header::AUTHORIZATION, sensitive(authorization.map_err(|_| Unsignable::AccessKeyId)?));
    Ok(added)
}

/// The canonical request and the names of the headers in it. `None` for a URL that cannot be taken apart.
fn canonical(request: &Request<'_>, added: &HeaderMap, body: &[u8; 32]) -> Option<(Vec<u8>, String)> {
    let Authority { scheme, authority } = Authority::of(request.url)?;
    let target = &request.url[scheme.len() + 3 + authority.len()..];
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // What HTTP clients send: no port where it is the scheme's own.
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = authority.strip_suffix(own_port).unwrap_or(authority);

    let mut headers = Pairs::default();
    headers.put("host", host.as_bytes().to_vec());
    for map in [request.headers, added] {
        for name in map.keys() {
            let is_ours = added.contains_key(name) || name == header::HOST || name == header::AUTHORIZATION;
            if std::ptr::eq(map, added) || !is_ours {
                headers.put(name.as_str(), values(map, name));
            }
        }
    }
    let mut names = String::with_capacity(64);
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(canonical_path(path).as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&canonical_query(query));
    out.push(b'\n');
    for (at, (name, value)) in headers.0.iter().enumerate() {
        if at > 0 {
            names.push(';');
        }
        names.push_str(name);
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(names.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(to_hex(body).as_bytes());
    Some((out, names))
}

/// Names and values, sorted by name, then by value. There are few, so each is put in its place; a sort of the standard
/// library would be as large as the rest of this file.
#[derive(Default)]
struct Pairs<'a>(Vec<(&'a str, Vec<u8>)>);

impl<'a> Pairs<'a> {
    fn put(&mut self, name: &'a str, value: Vec<u8>) {
        let at = self.0.partition_point(|(other, held)| (*other, held) <= (name, &value));
        self.0.insert(at, (name, value));
    }
}

/// A header's values: without blanks around each, one blank for several, a comma between two values.
fn values(map: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, value) in map.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut is_first = true;
        for word in value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            if !is_first {
                out.push(b' ');
            }
            is_first = false;
            out.extend_from_slice(word);
        }
    }
    out
}

/// Without dot segments and doubled slashes, and escaped once more than it is sent, as every service but S3 wants it.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len() + 16);
    for segment in &segments {
        out.push('/');
        escape(segment, "", &mut out);
    }
    if path.ends_with('/') || out.is_empty() {
        out.push('/');
    }
    out
}

/// The pairs, sorted. They are escaped already; what is not yet (outside ASCII) becomes so.
fn canonical_query(query: &str) -> Vec<u8> {
    let mut escaped = String::with_capacity(query.len() + 8);
    escape(query, "%&=+!$'()*,;:@/?", &mut escaped);
    let mut pairs = Pairs::default();
    for pair in escaped.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.put(name, value.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(escaped.len() + 1);
    if escaped.is_empty() {
        return out;
    }
    for (at, (name, value)) in pairs.0.iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value);
    }
    out
}

fn escape(text: &str, kept: &str, out: &mut String) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// `20150830T123600Z`.
fn timestamp(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}{minute:02}{second:02}Z", record::day(ms).replace('-', ""))
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
