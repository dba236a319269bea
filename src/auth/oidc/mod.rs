//! Tokens of OpenID Connect issuers in the place of client keys: JSON Web Tokens (RFC 7519) in the compact form (RFC 7515).
//!
//! What a token says of itself is never followed: its algorithm must be one that the configuration has and the one that its key is
//! of, keys come from where the configuration says, and the header's `jwk`, `jku` and `x5u` are not looked at.

pub mod jwks;

use crate::config::{Algorithm, Oidc};
use crate::dialect::json;
use crate::error::{ApiError, shown_name};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwks::PublicKey;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Bytes of a token at most; those of the clouds have one or two thousand.
const LONGEST: usize = 8 * 1024;

/// Whether it has the form of a token: no key of ours has a point.
#[must_use]
pub fn has_form(token: &str) -> bool {
    token.starts_with("eyJ") && token.contains('.')
}

/// A token, taken apart. Nothing in it is verified.
pub struct Token<'t> {
    /// Header and claims as they were signed.
    signed: &'t str,
    signature: Vec<u8>,
    header: Members,
    claims: Members,
}

impl<'t> Token<'t> {
    /// # Errors
    /// 401 for what is no such token.
    pub fn parse(token: &'t str) -> Result<Self, ApiError> {
        if token.len() > LONGEST {
            return Err(refused("is longer than 8 KiB"));
        }
        let not_one =
            || refused("is not of three parts of base64url, of which the first two are JSON objects");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_one)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_one)?;
        let bytes = |part: &str| Base64UrlUnpadded::decode_vec(part).map_err(|_| not_one());
        let object = |part: &str| -> Result<Members, ApiError> {
            let text = String::from_utf8(bytes(part)?).map_err(|_| not_one())?;
            Members::parse(&text).map_err(|twice| match twice {
                true => refused("says something twice: two members of one object have the same name"),
                false => not_one(),
            })
        };
        Ok(Self { header: object(header)?, claims: object(claims)?, signature: bytes(signature)?, signed })
    }

    /// Whether it says that this is its issuer.
    #[must_use]
    pub fn is_of(&self, issuer: &str) -> bool {
        self.claim("iss").is_some_and(|own| own == issuer)
    }

    /// What it says that its key is called.
    ///
    /// # Errors
    /// 401 where it does not.
    pub fn key_id(&self) -> Result<String, ApiError> {
        self.header.text("kid").filter(|id| !id.is_empty()).ok_or_else(|| refused("names no key (`kid`)"))
    }

    /// A claim as text, where it is a text, a number or a truth value.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<String> {
        self.claims.text(name)
    }

    /// Whether it says what it has to say, whoever may have signed it; then by which algorithm its key has to be found.
    ///
    /// # Errors
    /// 401 that names what is amiss; never the value that would be right.
    pub fn suits(&self, oidc: &Oidc, now_ms: u64) -> Result<Algorithm, ApiError> {
        let named = self.header.text("alg").unwrap_or_default();
        let Some(&algorithm) = oidc.algorithms.iter().find(|own| own.name() == named) else {
            return Err(refused(&format!(
                "says that it is signed by `{}`, which is none of the key's `algorithms` in moegate.toml",
                shown_name(&named)
            )));
        };
        if self.header.get("crit").is_some() {
            return Err(refused("has an extension (`crit`) that the gateway does not know"));
        }
        let is_ours = match self.claims.get("aud") {
            None => false,
            Some(raw) if raw.get().starts_with('[') => {
                let list = json::list(raw).unwrap_or_default();
                if list.len() > 1 {
                    return Err(refused(
                        "is for several audiences (`aud`), any of which could send it here: have it made for this one alone",
                    ));
                }
                list.first().and_then(|raw| json::string(raw)).is_some_and(|one| one == oidc.audience)
            }
            Some(raw) => json::string(raw).is_some_and(|one| one == oidc.audience),
        };
        if !is_ours {
            return Err(refused(
                "is for another audience (`aud`) than this gateway: ask the issuer for one with the gateway's own",
            ));
        }
        let (now_s, leeway_s) = (now_ms / 1000, u64::from(oidc.leeway_s));
        let expires_s =
            self.claims.date("exp").ok_or_else(|| refused("does not say when it expires (`exp`)"))?;
        if expires_s.saturating_add(leeway_s) <= now_s {
            return Err(refused(
                "has expired: take a new one for each request, or before the old one is over",
            ));
        }
        for name in ["nbf", "iat"] {
            let from_s = match self.claims.get(name) {
                None => continue,
                Some(_) => self.claims.date(name),
            };
            if from_s.is_none_or(|from_s| from_s > now_s + leeway_s) {
                return Err(refused(&format!("is not good yet (`{name}`)")));
            }
        }
        for (name, values) in oidc.pins() {
            let own = self.claim(name);
            if !own.as_ref().is_some_and(|own| values.contains(own)) {
                let own =
                    own.map_or_else(|| "is not there".to_owned(), |own| format!("is `{}`", shown_name(&own)));
                return Err(refused(&format!(
                    "is not one that this gateway takes: its `{}` {own}",
                    shown_name(name)
                )));
            }
        }
        Ok(algorithm)
    }

    /// Whether it is signed with that key.
    ///
    /// # Errors
    /// 401.
    pub fn verify(&self, key: &PublicKey) -> Result<(), ApiError> {
        match key.verifies(self.signed.as_bytes(), &self.signature) {
            true => Ok(()),
            false => Err(refused("has a signature that is not its issuer's")),
        }
    }
}

/// 401: the token, and what is amiss with it.
pub(crate) fn refused(why: &str) -> ApiError {
    ApiError::bad_token(format!("the token {why}"))
}

/// The members of a JSON object, none of them twice (RFC 7519, section 4: which of two counts is read differently).
#[derive(Default)]
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// # Errors
    /// Whether it is because of a name that occurs twice.
    fn parse(text: &str) -> Result<Self, bool> {
        let mut members = Self::default();
        let mut twice = false;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Read { members: &mut members.0, twice: &mut twice }.deserialize(&mut deserializer);
        match read.and_then(|()| deserializer.end()) {
            Ok(()) if !twice => Ok(members),
            _ => Err(twice),
        }
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    fn text(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?;
        match raw.get().as_bytes().first()? {
            b'"' => json::string(raw).map(std::borrow::Cow::into_owned),
            b'{' | b'[' | b'n' => None,
            _ => Some(raw.get().to_owned()),
        }
    }

    /// A NumericDate (RFC 7519, section 2), in whole seconds.
    fn date(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?.get();
        text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()
    }
}

struct Read<'m> {
    members: &'m mut Vec<(String, Box<RawValue>)>,
    twice: &'m mut bool,
}

impl<'a> DeserializeSeed<'a> for Read<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Read<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if self.members.iter().any(|(own, _)| *own == name) {
                *self.twice = true;
                return Err(A::Error::custom("twice"));
            }
            let value: &RawValue = map.next_value()?;
            self.members.push((name, value.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod algorithm_tests;
#[cfg(test)]
mod tests;
