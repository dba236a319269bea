//! AWS Signature Version 4 in headers ("Create a signed AWS API request", IAM User Guide).

use crate::config::Authority;
use crate::metering::record;
use crate::payload::Payload;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
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

    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", to_hex(&Sha256::digest(&canonical)));
    let mut key = credentials.secret_access_key.sign_with(|secret| mac(&[b"AWS4", secret].concat(), day));
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = to_hex(&mac(&key, &text));
    let rest = format!("/{within}, SignedHeaders={signed_headers}, Signature={signature}");
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

    let mut headers = vec![("host", host.as_bytes().to_vec())];
    let ours =
        |name: &HeaderName| added.contains_key(name) || [header::HOST, header::AUTHORIZATION].contains(name);
    let theirs = request.headers.keys().filter(|name| !ours(name)).map(|name| (name, request.headers));
    for (name, map) in theirs.chain(added.keys().map(|name| (name, added))) {
        let values: Vec<_> = map.get_all(name).iter().map(trimmed).collect();
        headers.push((name.as_str(), values.join(&b',')));
    }
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");

    let mut out = Vec::with_capacity(1024);
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    };
    line(&[request.method.as_bytes()]);
    line(&[canonical_path(path).as_bytes()]);
    line(&[canonical_query(query).as_bytes()]);
    for (name, value) in &headers {
        line(&[name.as_bytes(), b":", value]);
    }
    line(&[]);
    line(&[names.as_bytes()]);
    out.extend_from_slice(to_hex(body).as_bytes());
    Some((out, names))
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

/// The pairs, sorted by name, then by value. They are escaped already; what is not yet (outside ASCII) becomes so.
fn canonical_query(query: &str) -> String {
    let mut escaped = String::with_capacity(query.len() + 8);
    escape(query, "%&=+!$'()*,;:@/?", &mut escaped);
    let mut pairs: Vec<_> = escaped
        .split('&')
        .filter(|_| !query.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn escape(text: &str, kept: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Without blanks around it, and with one blank for several.
fn trimmed(value: &HeaderValue) -> Vec<u8> {
    let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// `20150830T123600Z`.
fn timestamp(ms: u64) -> String {
    let seconds = ms / 1000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}{minute:02}{second:02}Z", record::day(ms).replace('-', ""))
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
