//! Secrets, bound to one origin by type.
//!
//! **Invariant**: a [`Secret`] implements neither `Debug`, `Display` nor `Serialize`; the only ways out of it are
//! [`headers`], which gives its text for a URL of its own origin, and [`Secret::sign_with`].

use crate::config::{Authority, Kind, Origin};
use crate::error::ApiError;
use crate::payload::Payload;
use crate::signing::sigv4;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::ops::Deref;

/// The value of a platform secret. Never empty; blanks around it (a trailing newline from a file) are gone.
pub struct Secret(String);

impl Secret {
    /// `None` for an empty value: it counts as missing. What cannot stand in a header is refused when it is to be sent, by
    /// name ([`OriginSecrets::of`]).
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        let value = value.trim();
        (!value.is_empty()).then(|| Self(value.to_owned()))
    }

    /// As a header's value, which is never shown. `None` where it holds a line break or another control character.
    pub(crate) fn header_value(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// For hashes of client keys, which live in the same store.
    #[must_use]
    pub fn key_hash(&self) -> Option<[u8; 32]> {
        moegate_wire::sign::from_hex(&self.0)
    }

    /// Runs `sign` over the bytes, for tickets and receipts.
    pub fn sign_with<T>(&self, sign: impl FnOnce(&[u8]) -> T) -> T {
        sign(self.0.as_bytes())
    }

    /// Whether it stands somewhere in `bytes`: an answer that echoes a key must not pass. Short ones (`EMPTY` is a
    /// usual key of local servers) are ordinary words and not looked for.
    #[must_use]
    pub fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.0.len() >= 16 && memchr::memmem::find(bytes, self.0.as_bytes()).is_some()
    }
}

/// Secrets the platform was asked for, by name.
#[derive(Default)]
pub struct Secrets(Vec<(String, Secret)>);

impl Secrets {
    pub fn insert(&mut self, name: &str, secret: Secret) {
        self.0.push((name.to_owned(), secret));
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, secret)| secret)
    }
}

/// The secrets of one origin, for one attempt.
pub struct OriginSecrets<'a> {
    origin: &'a Origin,
    bearer: Option<Secret>,
    /// The bearer's header, then the further ones.
    headers: Vec<(HeaderName, HeaderValue)>,
    others: Vec<Secret>,
    aws: Option<AwsSecrets<'a>>,
}

/// What requests to AWS are signed with, beside the secret access key.
struct AwsSecrets<'a> {
    region: &'a str,
    access_key_id: Secret,
    session_token: Option<Secret>,
}

impl<'a> OriginSecrets<'a> {
    /// The names of the secrets for an attempt with the key of that number: 0 is `secret`, then the spare ones.
    pub fn names(origin: &'a Origin, key: usize) -> impl Iterator<Item = &'a str> {
        let aws =
            origin.aws.iter().flat_map(|aws| std::iter::once(&aws.access_key_id).chain(&aws.session_token));
        let others = origin.secret_headers.values().chain(aws);
        bearer_name(origin, key).into_iter().chain(others.map(String::as_str))
    }

    /// Every secret that an attempt with the key of that number needs must be there.
    ///
    /// # Errors
    /// 500 that names the secret that is missing or cannot stand in a header, never its value.
    pub fn of(origin: &'a Origin, key: usize, secrets: &Secrets) -> Result<Self, ApiError> {
        let get = |name: &str| match secrets.get(name) {
            Some(Secret(value)) => Ok(Secret(value.clone())),
            None => Err(missing(origin, name)),
        };
        let find = |name: &str, prefix: &str| {
            let secret = get(name)?;
            let value = secret.header_value(prefix).ok_or_else(|| unfit(origin, name))?;
            Ok((secret, value))
        };
        let mut headers = Vec::with_capacity(1 + origin.secret_headers.len());
        let mut bearer = None;
        if let Some(name) = bearer_name(origin, key) {
            bearer = Some(match key_header(origin) {
                Some((header, prefix)) => {
                    let (secret, value) = find(name, prefix)?;
                    headers.push((header, value));
                    secret
                }
                None => get(name)?,
            });
        }
        let aws = match &origin.aws {
            None => None,
            Some(aws) => Some(AwsSecrets {
                region: &aws.region,
                access_key_id: get(&aws.access_key_id)?,
                session_token: aws.session_token.as_deref().map(get).transpose()?,
            }),
        };
        let mut others = Vec::with_capacity(origin.secret_headers.len());
        for (header, name) in &origin.secret_headers {
            let (secret, value) = find(name, "")?;
            // The validator lets no other names through.
            let header = HeaderName::try_from(header.as_str()).map_err(|_| unfit(origin, name))?;
            headers.push((header, value));
            others.push(secret);
        }
        Ok(Self { origin, bearer, headers, others, aws })
    }

    /// The key that signs tickets and receipts.
    #[must_use]
    pub fn bearer(&self) -> Option<&Secret> {
        self.bearer.as_ref()
    }

    /// Puts the headers into a request to `url`; none at all unless scheme and authority are the origin's own.
    pub fn attach(&self, url: &str, headers: &mut HeaderMap) {
        if !self.is_own(url) {
            return;
        }
        headers.extend(self.headers.iter().cloned());
    }

    /// Whether scheme and authority are the origin's own.
    fn is_own(&self, url: &str) -> bool {
        Authority::of(url).is_some_and(|authority| Some(authority) == self.origin.authority())
    }

    /// Another key takes the place of the secret, which only signs: an access token.
    pub fn set_authorization(&mut self, value: HeaderValue) {
        // It must not come back in an answer either.
        let token =
            value.to_str().ok().and_then(|text| Secret::new(text.strip_prefix("Bearer ").unwrap_or(text)));
        self.others.extend(token);
        self.headers.push((header::AUTHORIZATION, value));
    }

    /// Signs a request, where the origin wants that; not at all unless scheme and authority are the origin's own.
    ///
    /// # Errors
    /// 500 that says which secret cannot be used.
    pub fn sign<B: Deref<Target = [u8]>>(
        &self,
        url: &str,
        headers: &mut HeaderMap,
        body: &Payload<B>,
        now_ms: u64,
    ) -> Result<(), ApiError> {
        let (Some(aws), Some(secret)) = (&self.aws, &self.bearer) else { return Ok(()) };
        if !self.is_own(url) {
            return Ok(());
        }
        let credentials = sigv4::Credentials {
            access_key_id: &aws.access_key_id,
            secret_access_key: secret,
            session_token: aws.session_token.as_ref(),
        };
        let scope = sigv4::Scope { region: aws.region, service: "bedrock" };
        let content_type = headers.get(header::CONTENT_TYPE).cloned();
        let signed = content_type.into_iter().map(|value| (header::CONTENT_TYPE, value)).collect();
        let request = sigv4::Request { method: "POST", url, headers: &signed };
        let added = sigv4::sign(&request, body, &credentials, &scope, now_ms).map_err(|why| {
            let text = format!("the request to origin `{}` cannot be signed: {why}", self.origin.name);
            ApiError::misconfigured("secret_invalid", text)
        })?;
        headers.extend(added);
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        let aws =
            self.aws.iter().flat_map(|aws| std::iter::once(&aws.access_key_id).chain(&aws.session_token));
        self.bearer.iter().chain(&self.others).chain(aws)
    }

    /// The text with all of them struck out; `None` where none stands in it.
    #[must_use]
    pub fn struck_from(&self, text: &str) -> Option<String> {
        let mut struck = None;
        for Secret(secret) in self.all().filter(|s| s.occurs_in(text.as_bytes())) {
            struck = Some(struck.as_deref().unwrap_or(text).replace(secret.as_str(), "[secret]"));
        }
        struck
    }

    /// Whether any of them stands in `bytes`.
    #[must_use]
    pub fn occur_in(&self, bytes: &[u8]) -> bool {
        self.all().any(|secret| secret.occurs_in(bytes))
    }
}

/// The header that an origin wants its key in, and what stands before it. `None`: the key only signs.
fn key_header(origin: &Origin) -> Option<(HeaderName, &'static str)> {
    match origin.kind {
        Kind::Vertex => None,
        Kind::Bedrock if origin.aws.is_some() => None,
        Kind::Anthropic => Some((HeaderName::from_static("x-api-key"), "")),
        Kind::Gemini => Some((HeaderName::from_static("x-goog-api-key"), "")),
        Kind::AzureOpenai => Some((HeaderName::from_static("api-key"), "")),
        _ => Some((header::AUTHORIZATION, "Bearer ")),
    }
}

fn missing(origin: &Origin, name: &str) -> ApiError {
    ApiError::misconfigured(
        "secret_missing",
        format!(
            "the gateway has no value for the secret `{name}` of origin `{}`: set it (Workers: `wrangler secret put {name}`, or a line in .dev.vars; Spin: `SPIN_VARIABLE_{name}`) and try again",
            origin.name
        ),
    )
}

fn unfit(origin: &Origin, name: &str) -> ApiError {
    ApiError::misconfigured(
        "secret_invalid",
        format!(
            "the value of the secret `{name}` of origin `{}` holds a line break or another character that no header may have: set it again",
            origin.name
        ),
    )
}

fn bearer_name(origin: &Origin, key: usize) -> Option<&str> {
    origin.secret.iter().chain(&origin.spare_secrets).nth(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin {
            name: "o".into(),
            kind: Kind::Openai,
            url: url.into(),
            secret: Some("KEY".into()),
            spare_secrets: vec!["OTHER".into()],
            secret_headers: [("x-access", "ACCESS"), ("x-access-id", "ACCESS_ID")]
                .map(|(header, name)| (header.to_owned(), name.to_owned()))
                .into(),
            first_byte_timeout_s: 1,
            breaker: Default::default(),
            retry_percent: 20,
            limits: Vec::new(),
            prefill: Default::default(),
            stream_usage: Default::default(),
            gpu_hour: None,
            wake: None,
            models: vec![],
            fields: Default::default(),
            responses: None,
            api_version: None,
            aws: None,
        }
    }

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in
            [("KEY", "sk-1\n"), ("ACCESS", "door"), ("ACCESS_ID", "who"), ("OTHER", "not for this one")]
        {
            secrets.insert(name, Secret::new(value).unwrap());
        }
        secrets
    }

    fn attached(url: &str) -> Vec<(String, String)> {
        with_key(0, url)
    }

    fn with_key(key: usize, url: &str) -> Vec<(String, String)> {
        let origin = origin("https://api.example.com/v1");
        let mut headers = HeaderMap::new();
        OriginSecrets::of(&origin, key, &secrets()).ok().unwrap().attach(url, &mut headers);
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn a_spare_key_takes_the_place_of_the_first() {
        let headers = with_key(1, "https://api.example.com/v1/chat/completions");
        assert_eq!(headers[0], ("authorization".to_owned(), "Bearer not for this one".to_owned()));
        assert_eq!(headers[1].0, "x-access");
        let origin = origin("https://api.example.com/v1");
        let names = |key| OriginSecrets::names(&origin, key).collect::<Vec<_>>();
        assert_eq!(names(0), ["KEY", "ACCESS", "ACCESS_ID"]);
        assert_eq!(names(1), ["OTHER", "ACCESS", "ACCESS_ID"]);
    }

    #[test]
    fn they_go_to_their_own_origin() {
        let expected = [("authorization", "Bearer sk-1"), ("x-access", "door"), ("x-access-id", "who")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(attached("https://api.example.com/v1/chat/completions"), expected);
    }

    #[test]
    fn and_nowhere_else() {
        for url in [
            "http://api.example.com/v1",
            "https://api.example.com:444/v1",
            "https://api.example.com.evil.example/v1",
            "https://api.example.com@evil.example/v1",
            "https://evil.example/api.example.com",
            "https://evil.example#api.example.com",
            "",
        ] {
            assert_eq!(attached(url), [], "{url}");
        }
    }

    #[test]
    fn a_missing_one_is_named() {
        let origin = origin("https://api.example.com/v1");
        let error = OriginSecrets::of(&origin, 0, &Secrets::default()).err().unwrap();
        assert_eq!((error.status, error.code), (424, "secret_missing"));
        assert!(error.message.contains("`KEY`"));
    }

    #[test]
    fn one_with_a_line_break_is_refused_by_name() {
        let origin = origin("https://api.example.com/v1");
        for value in ["sk-1\r\nx-evil: 1", "sk-1\nsk-2", "a\u{0}b"] {
            let mut secrets = secrets();
            secrets.0.retain(|(name, _)| name != "KEY");
            secrets.insert("KEY", Secret::new(value).unwrap());
            let error = OriginSecrets::of(&origin, 0, &secrets).err().unwrap();
            assert_eq!((error.status, error.code), (424, "secret_invalid"));
            assert!(error.message.contains("`KEY`") && !error.message.contains("sk-"), "{}", error.message);
        }
    }

    #[test]
    fn an_empty_one_is_missing() {
        assert!(Secret::new(" \n").is_none());
    }
}
