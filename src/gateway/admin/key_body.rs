//! What requests about keys say, and what a key may be that is made with another one.

use crate::config::{Config, Day, ErrorDetail, Key, Limit, Problem};
use crate::error::ApiError;
use crate::ledger::made_key::{Change, Models};
use crate::metering::{DAY_MS, HOUR_MS};
use crate::routing;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// How long the secrets before a rotated one stay good, and at most, in seconds.
const OVERLAP_S: u64 = 24 * 60 * 60;
const LONGEST_OVERLAP_S: u64 = 30 * 24 * 60 * 60;
/// Ten years, in seconds.
const LONGEST_TTL_S: u64 = 10 * 366 * 24 * 60 * 60;

/// Of all requests about keys; each takes some of the members.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeyBody {
    name: Option<String>,
    tenant: Option<String>,
    /// `Some(None)`: null, so all.
    #[serde(deserialize_with = "present")]
    models: Option<Option<Vec<String>>>,
    limits: Option<Vec<Limit>>,
    errors: Option<ErrorDetail>,
    /// Unix seconds, RFC 3339, or null: never.
    #[serde(deserialize_with = "present")]
    expires_at: Option<Box<RawValue>>,
    /// Seconds from now.
    ttl: Option<u64>,
    /// Seconds.
    overlap: Option<u64>,
}

/// Where null is something else than nothing.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn invalid(param: &'static str, text: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::invalid("invalid_key", Some(param), text)
}

impl KeyBody {
    /// # Errors
    /// 400: it is no JSON, or has other members.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let text = std::str::from_utf8(body)
            .map_err(|_| ApiError::invalid("invalid_json", None, "the body is no UTF-8 text"))?;
        serde_json::from_str(text)
            .map_err(|error| ApiError::invalid("invalid_key", None, format!("the body is no key: {error}")))
    }

    /// A new key and when it expires (Unix milliseconds).
    ///
    /// # Errors
    /// 400 for what cannot be, 403 for more than its maker has.
    pub(super) fn into_key(
        self,
        config: &Config,
        maker: Option<&Key>,
        now_ms: u64,
    ) -> Result<(Key, Option<u64>), ApiError> {
        let expires_ms = self.expires_ms(now_ms)?.filter(|ms| *ms > 0);
        if self.overlap.is_some() {
            return Err(invalid("overlap", "`overlap` belongs to rotate"));
        }
        let name =
            self.name.ok_or_else(|| invalid("name", "a key needs a `name`: it stands in its records"))?;
        let mut key = Key {
            name,
            sha256: None,
            sha256_secret: None,
            tenant: self.tenant,
            models: self.models.flatten(),
            errors: self.errors,
            limits: self.limits.unwrap_or_default(),
            makes_keys: false,
            oidc: None,
        };
        if let Some(maker) = maker {
            weaken(&mut key, maker)?;
        }
        check(config, &key)?;
        Ok((key, expires_ms))
    }

    /// What is changed of a key.
    ///
    /// # Errors
    /// As for [`Self::into_key`].
    pub(super) fn into_change(
        self,
        config: &Config,
        maker: Option<&Key>,
        now_ms: u64,
    ) -> Result<Change, ApiError> {
        let expires_ms = self.expires_ms(now_ms)?;
        for (name, is_there) in [
            ("name", self.name.is_some()),
            ("tenant", self.tenant.is_some()),
            ("errors", self.errors.is_some()),
            ("overlap", self.overlap.is_some()),
        ] {
            if is_there {
                return Err(invalid(name, format!("`{name}` is not changed here: make another key")));
            }
        }
        if self.limits.is_none() && self.models.is_none() && expires_ms.is_none() {
            return Err(invalid(
                "limits",
                "nothing is changed: send `limits`, `models`, `expires_at` or `ttl`",
            ));
        }
        let mut key = Key {
            name: "key".to_owned(),
            sha256: None,
            sha256_secret: None,
            tenant: None,
            models: self.models.clone().flatten(),
            errors: None,
            limits: self.limits.clone().unwrap_or_default(),
            makes_keys: false,
            oidc: None,
        };
        if let Some(maker) = maker {
            weaken(&mut key, maker)?;
        }
        check(config, &key)?;
        let models = self.models.map(|models| models.map_or(Models::All, Models::These));
        Ok(Change::Limit { limits: self.limits, models, expires_ms })
    }

    /// For how long the secrets before stay good, in milliseconds.
    ///
    /// # Errors
    /// 400 for other members, or for too long.
    pub(super) fn into_overlap_ms(self) -> Result<u64, ApiError> {
        let overlap_s = self.overlap.unwrap_or(OVERLAP_S);
        let Self {
            name: None,
            tenant: None,
            models: None,
            limits: None,
            errors: None,
            expires_at: None,
            ttl: None,
            ..
        } = self
        else {
            return Err(invalid("overlap", "rotate takes `overlap` alone, in seconds"));
        };
        if overlap_s > LONGEST_OVERLAP_S {
            return Err(invalid("overlap", format!("`overlap` is in seconds, at most {LONGEST_OVERLAP_S}")));
        }
        Ok(overlap_s * 1000)
    }

    /// 0: never. `None`: nothing is said.
    fn expires_ms(&self, now_ms: u64) -> Result<Option<u64>, ApiError> {
        let ms = match (&self.expires_at, self.ttl) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(invalid("ttl", "either `expires_at` or `ttl`, not both")),
            (None, Some(ttl)) if ttl > 0 && ttl <= LONGEST_TTL_S => now_ms + ttl * 1000,
            (None, Some(_)) => {
                return Err(invalid("ttl", format!("`ttl` is in seconds, 1 to {LONGEST_TTL_S}")));
            }
            (Some(at), None) => match moment_ms(at.get()) {
                Some(ms) => ms,
                None => {
                    let text = "`expires_at` must be Unix seconds or a time of RFC 3339, such as 1798761600 or \"2027-01-01T00:00:00Z\"; null: never";
                    return Err(invalid("expires_at", text));
                }
            },
        };
        if ms > 0 && ms <= now_ms {
            return Err(invalid("expires_at", "this time is over: `DELETE /keys/{name}` revokes a key"));
        }
        Ok(Some(ms))
    }
}

/// A key of its maker's tenant, with no more than its maker has. Limits need no look: its maker's hold as well.
///
/// # Errors
/// 403 with what is more.
fn weaken(key: &mut Key, maker: &Key) -> Result<(), ApiError> {
    let tenant = maker.tenant_or_name();
    if key.tenant.as_deref().is_some_and(|wanted| wanted != tenant) {
        let text = format!("keys that are made with `{}` are of the tenant `{tenant}`", maker.name);
        return Err(ApiError::stronger_key("tenant", text));
    }
    key.tenant = Some(tenant.to_owned());
    let others = key.models.iter().flatten().find(|model| !routing::is_allowed(maker, model));
    if let Some(model) = others {
        let text = format!(
            "the key `{}` may not use the model {} itself",
            maker.name,
            serde_json::Value::from(crate::error::shown_name(model))
        );
        return Err(ApiError::stronger_key("models", text));
    }
    if key.errors == Some(ErrorDetail::Full) && maker.error_detail() == ErrorDetail::Plain {
        let text = format!("the key `{}` is told `plain` errors itself", maker.name);
        return Err(ApiError::stronger_key("errors", text));
    }
    Ok(())
}

/// By the rules of the configuration.
fn check(config: &Config, key: &Key) -> Result<(), ApiError> {
    match config.problems_of_key(key).first() {
        None => Ok(()),
        Some(Problem { path, message }) => {
            Err(ApiError::invalid("invalid_key", None, format!("{path}: {message}")))
        }
    }
}

/// A JSON value: Unix seconds, RFC 3339, or null (0).
fn moment_ms(json: &str) -> Option<u64> {
    if json == "null" {
        return Some(0);
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) => rfc3339_ms(&text),
        Err(_) => json.parse::<u64>().ok()?.checked_mul(1000).filter(|ms| *ms > 0 && *ms < 1 << 53),
    }
}

/// RFC 3339, section 5.6; fractions of a second are dropped.
fn rfc3339_ms(text: &str) -> Option<u64> {
    let day_ms = Day::parse(text.get(..10)?).ok()?.start_ms();
    let time = text.get(10..)?.strip_prefix(['T', 't', ' '])?;
    let number = |text: &str, most: u64| {
        let is_one = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_one && *number <= most)
    };
    let two = |text: &str, most| {
        let (hours, minutes) = text.split_once(':')?;
        Some(number(hours, most)? * HOUR_MS + number(minutes, 59)? * 60_000)
    };
    // A leap second counts as the next one.
    let clock_ms = two(time.get(..5)?, 23)? + number(time.get(5..8)?.strip_prefix(':')?, 60)? * 1000;
    let mut zone = time.get(8..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
        zone = rest;
    }
    let local_ms = day_ms + clock_ms;
    let ms = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => Some(local_ms),
        ("+", offset) => local_ms.checked_sub(two(offset, 23)?),
        ("-", offset) => local_ms.checked_add(two(offset, 23)?),
        _ => None,
    };
    ms.filter(|ms| *ms >= DAY_MS)
}

#[cfg(test)]
#[path = "key_body_tests.rs"]
mod tests;
