//! Access tokens for a Google service account: the JWT bearer grant (RFC 7523, section 2.1; "Using OAuth 2.0 for Server to
//! Server Applications" in Google's documentation).
//!
//! The gateway posts [`ServiceAccount::token_request`] as `application/x-www-form-urlencoded` to the token endpoint and reads
//! the answer with [`AccessToken::read`].

use super::rs256;
use super::rsa_key::{BadKey, RsaKey};
use crate::dialect::json;
use crate::error::shown_text;
use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;
use std::fmt;

/// Google's token endpoint.
pub const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long an assertion is good, in seconds: the longest that Google takes.
const GOOD_FOR_S: u64 = 3600;
/// A token is not held for longer, in seconds, whatever the answer says; organisations can have them last 12 hours.
const LONGEST_S: u64 = 12 * 3600;

/// A service account and its private key.
pub struct ServiceAccount {
    email: String,
    key_id: String,
    key: RsaKey,
    token_uri: String,
}

/// Why the JSON of a service account is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAccount {
    /// It is no JSON object.
    NotJson,
    /// It is another kind of credentials, such as a user's.
    NotServiceAccount,
    /// It lacks this member, or the member is not a text or an empty one.
    Missing(&'static str),
    /// Its `token_uri` is not the one that the gateway asks.
    TokenUri,
    /// Its `private_key`.
    Key(BadKey),
}

impl fmt::Display for BadAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str(
                "it is not JSON: store the whole key file as it was downloaded (`gcloud iam service-accounts keys create`)",
            ),
            Self::NotServiceAccount => f.write_str(
                "its `type` is not `service_account`: create a key for a service account (`gcloud iam service-accounts keys create`)",
            ),
            Self::Missing(name) => write!(
                f,
                "it has no `{name}`: store the whole key file as it was downloaded (`gcloud iam service-accounts keys create`)"
            ),
            Self::TokenUri => f.write_str(
                "its `token_uri` is not the endpoint that the gateway asks for tokens: use a key of Google Cloud, or take the member out",
            ),
            Self::Key(key) => write!(f, "its `private_key` cannot be used: {key}"),
        }
    }
}

impl std::error::Error for BadAccount {}

impl From<BadKey> for BadAccount {
    fn from(key: BadKey) -> Self {
        Self::Key(key)
    }
}

impl ServiceAccount {
    /// Reads a key file. `token_uri` is the endpoint to ask, [`TOKEN_URI`] but in tests: it never comes from the file, where
    /// it must be the same or absent.
    ///
    /// # Errors
    /// [`BadAccount`].
    pub fn parse(file: &[u8], token_uri: &str) -> Result<Self, BadAccount> {
        const MEMBERS: [&str; 5] = ["type", "client_email", "private_key_id", "private_key", "token_uri"];
        let text = str::from_utf8(file).map_err(|_| BadAccount::NotJson)?;
        let members = json::pick(text, &MEMBERS).ok_or(BadAccount::NotJson)?;
        let member = |at: usize| {
            let text = members[at].and_then(json::string).filter(|text| !text.is_empty());
            text.ok_or(BadAccount::Missing(MEMBERS[at]))
        };
        if member(0)? != "service_account" {
            return Err(BadAccount::NotServiceAccount);
        }
        if members[4].is_some() && member(4)? != token_uri {
            return Err(BadAccount::TokenUri);
        }
        Ok(Self {
            email: member(1)?.into_owned(),
            key_id: member(2)?.into_owned(),
            key: RsaKey::from_pem(&member(3)?)?,
            token_uri: token_uri.to_owned(),
        })
    }

    /// Where the token request goes.
    #[must_use]
    pub fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// The body of the token request, a form. `now_ms`: Unix milliseconds; Google refuses a time that is off by minutes.
    ///
    /// # Errors
    /// [`BadKey::Inconsistent`].
    pub fn token_request(&self, now_ms: u64) -> Result<String, BadKey> {
        let assertion = self.assertion(now_ms / 1000)?;
        Ok(format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"))
    }

    /// The signed JWT.
    fn assertion(&self, now_s: u64) -> Result<String, BadKey> {
        let [key_id, email, audience] =
            [&self.key_id, &self.email, &self.token_uri].map(|text| Value::from(text.as_str()));
        let header = format!(r#"{{"alg":"RS256","typ":"JWT","kid":{key_id}}}"#);
        let expires_s = now_s + GOOD_FOR_S;
        let claims = format!(
            r#"{{"iss":{email},"scope":"{SCOPE}","aud":{audience},"iat":{now_s},"exp":{expires_s}}}"#
        );
        let [header, claims] = [header, claims].map(|part| Base64UrlUnpadded::encode_string(part.as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature = rs256::sign(&self.key, signed.as_bytes())?;
        Ok(format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature)))
    }
}

/// A token for `Authorization: Bearer`.
pub struct AccessToken {
    pub token: Secret,
    /// When it is good no longer, in Unix milliseconds.
    pub expires_ms: u64,
}

/// Why the token endpoint's answer has no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoToken {
    /// It says no, with this error and description.
    Refused(String),
    /// It is not what a token endpoint answers.
    Unreadable,
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(
                f,
                "Google gave no access token for the service account: {why}; see that its key still exists (`gcloud iam service-accounts keys list`) and that the clock is right"
            ),
            Self::Unreadable => {
                f.write_str("the answer of Google's token endpoint cannot be read; try again in a moment")
            }
        }
    }
}

impl std::error::Error for NoToken {}

impl AccessToken {
    /// Reads the token endpoint's answer, of whatever status (RFC 6749, sections 5.1 and 5.2). `now_ms`: when the request was
    /// sent, in Unix milliseconds.
    ///
    /// # Errors
    /// [`NoToken`].
    pub fn read(answer: &[u8], now_ms: u64) -> Result<Self, NoToken> {
        const MEMBERS: [&str; 4] = ["access_token", "expires_in", "error", "error_description"];
        let text = str::from_utf8(answer).map_err(|_| NoToken::Unreadable)?;
        let [token, expires, error, description] = json::pick(text, &MEMBERS).ok_or(NoToken::Unreadable)?;
        if let Some(error) = error {
            // Not OAuth's form, but that of Google's other APIs: an object, shown as it is.
            let error = json::string(error).unwrap_or(error.get().into());
            let description = description.and_then(json::string);
            let why = description.map_or(error.to_string(), |description| format!("{error}: {description}"));
            return Err(NoToken::Refused(shown_text(&why)));
        }
        let token = token.and_then(json::string).and_then(|token| Secret::new(&token));
        let (Some(token), Some(seconds)) = (token, expires.and_then(json::whole_number)) else {
            return Err(NoToken::Unreadable);
        };
        Ok(Self { token, expires_ms: now_ms + seconds.min(LONGEST_S) * 1000 })
    }
}

#[cfg(test)]
#[path = "service_account_tests.rs"]
mod tests;
