//! Browser tokens: what a page may use of a server's key, for an hour at most. Signed, not stored.

use crate::config::Key;
use crate::error::ApiError;
use crate::json::from_bytes;
use base64ct::{Base64UrlUnpadded, Encoding};
use moegate_wire::sign;
use serde::{Deserialize, Serialize};

/// What tokens begin with. Keys begin with `mg-`.
pub const PREFIX: &str = "mgt-";
/// Characters of a secret at least.
pub const SHORTEST_SECRET: usize = 32;
/// Bytes of a token at most.
const LONGEST: usize = 8 * 1024;
const LABEL: &str = "moegate browser token 1";
const LABEL_OF_KEY: &str = "moegate browser token's key 1";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub id: String,
    /// The name of the key that it was made with.
    pub key: String,
    /// A mark of that key's text: a key of the same name with another text did not make it.
    pub mark: String,
    /// The key's hash, where it was made at run time: what is known of it is found by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    pub models: Vec<String>,
    /// The page's, as browsers send it.
    pub origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Unix seconds.
    pub from: u64,
    pub until: u64,
    pub requests: u64,
    /// Nano-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

impl Claims {
    /// The token that says this.
    #[must_use]
    pub fn sign(&self, secret: &[u8]) -> String {
        // All of it are texts and numbers, which can be written.
        let claims = serde_json::to_vec(self).unwrap_or_default();
        let signature = sign::sign(secret, LABEL, &claims);
        format!("{PREFIX}{}.{signature}", Base64UrlUnpadded::encode_string(&claims))
    }

    /// What a token says that was signed with this secret and is for pages of this origin.
    ///
    /// # Errors
    /// 401, which a page answers by asking its server for another token; 403 for another page.
    pub fn read(token: &str, secret: &[u8], origin: Option<&[u8]>, now_ms: u64) -> Result<Self, ApiError> {
        let forged = || {
            ApiError::bad_token(
                "this token was not made by this gateway, or its secret has changed since: ask for a new one"
                    .to_owned(),
            )
        };
        if token.len() > LONGEST {
            return Err(forged());
        }
        let parts = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let (claims, signature) = parts.ok_or_else(forged)?;
        let claims = Base64UrlUnpadded::decode_vec(claims).map_err(|_| forged())?;
        if !sign::verify(secret, LABEL, &claims, signature) {
            return Err(forged());
        }
        let claims: Self = from_bytes(&claims).map_err(|_| forged())?;
        if claims.until <= now_ms / 1000 {
            return Err(ApiError::bad_token("this token has expired: ask for a new one".to_owned()));
        }
        if origin != Some(claims.origin.as_bytes()) {
            return Err(ApiError::token_not_allowed("this token is for pages of another origin"));
        }
        Ok(claims)
    }
}

/// The mark of a key: by its hash, or by the issuer of the tokens that stand for it.
#[must_use]
pub fn mark(secret: &[u8], key: &Key, hash: Option<&super::KeyDigest>) -> String {
    let of: &[u8] = match (&key.oidc, hash) {
        (Some(oidc), _) => oidc.issuer.as_bytes(),
        (None, Some(hash)) => hash,
        (None, None) => b"",
    };
    let mut mark = sign::sign(secret, LABEL_OF_KEY, of);
    mark.truncate(16);
    mark
}

#[cfg(test)]
#[path = "browser_tests.rs"]
mod tests;
