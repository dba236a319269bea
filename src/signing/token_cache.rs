//! Access tokens that an instance holds.

use super::service_account::AccessToken;
use http::HeaderValue;
use std::fmt;

/// A token is taken anew so long before it is good no longer, in milliseconds: the request has to arrive with it.
const MARGIN_MS: u64 = 60_000;

/// By origin and key, as they stand in the configuration.
#[derive(Default)]
pub struct TokenCache(Vec<((usize, usize), AccessToken)>);

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenCache({})", self.0.len())
    }
}

impl TokenCache {
    /// What goes into the header `Authorization`, while the token is good.
    #[must_use]
    pub fn authorization(&self, key: (usize, usize), now_ms: u64) -> Option<HeaderValue> {
        let (_, found) = self.0.iter().find(|(own, _)| *own == key)?;
        if now_ms + MARGIN_MS >= found.expires_ms {
            return None;
        }
        found.token.header_value("Bearer ")
    }

    pub fn insert(&mut self, key: (usize, usize), token: AccessToken) {
        self.forget(key);
        self.0.push((key, token));
    }

    /// The origin has refused it.
    pub fn forget(&mut self, key: (usize, usize)) {
        self.0.retain(|(own, _)| *own != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn tokens_are_used_while_they_are_good() {
        let mut cache = TokenCache::default();
        assert_eq!(cache.authorization((0, 0), 0), None);
        for (text, expires_ms) in [("old", 100_000), ("t", 200_000)] {
            cache.insert((0, 0), AccessToken { token: Secret::new(text).unwrap(), expires_ms });
        }
        let shown = |value: Option<HeaderValue>| value.map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(shown(cache.authorization((0, 0), 139_999)).as_deref(), Some("Bearer t"));
        assert_eq!(cache.authorization((0, 0), 140_000), None);
        assert_eq!(cache.authorization((0, 1), 0), None);
        cache.forget((0, 0));
        assert_eq!(cache.authorization((0, 0), 0), None);
    }
}
