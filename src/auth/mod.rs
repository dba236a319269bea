//! Who is calling. Pure.

pub mod browser;
mod credential;
pub mod made;
pub mod oidc;

pub use credential::{HEADERS as CREDENTIAL_HEADERS, credential};

use crate::config::{Admin, Config, KeyHash};
use crate::error::ApiError;
use crate::secret::{Secret, Secrets};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The SHA-256 of a client's key.
pub type KeyDigest = [u8; 32];

/// The digest of a key as a client sent it.
#[must_use]
pub fn digest(token: &str) -> KeyDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// Which key a digest is of: one look-up however many keys there are.
///
/// A look-up takes a time that depends on the digest, which tells nothing: whoever can choose digests cannot choose what
/// they are digests of.
#[derive(Debug, Default)]
pub struct KeyRing {
    /// Index of the key in the configuration.
    clients: HashMap<KeyDigest, usize>,
    admin: Option<KeyDigest>,
}

impl KeyRing {
    /// Of all keys whose hash is known. A missing or unreadable hash means that the key does not exist.
    #[must_use]
    pub fn new(config: &Config, secrets: &Secrets) -> Self {
        let stored = |hash: KeyHash<'_>| match hash {
            KeyHash::Here(text) => moegate_wire::sign::from_hex(text),
            KeyHash::InSecret(name) => secrets.get(name).and_then(Secret::key_hash),
        };
        let mut clients = HashMap::with_capacity(config.keys.len());
        for (at, key) in config.keys.iter().enumerate() {
            if let Some(digest) = key.hash().and_then(stored) {
                // As it was with a search: of two keys with the same hash the last one counts.
                clients.insert(digest, at);
            }
        }
        Self { clients, admin: config.admin.as_ref().and_then(Admin::hash).and_then(stored) }
    }

    /// The names of the secrets that hold hashes.
    pub fn secret_names(config: &Config) -> impl Iterator<Item = &str> {
        let admin = config.admin.as_ref().and_then(Admin::hash);
        let hashes = config.keys.iter().filter_map(|key| key.hash()).chain(admin);
        hashes.filter_map(|hash| match hash {
            KeyHash::InSecret(name) => Some(name),
            KeyHash::Here(_) => None,
        })
    }

    /// The index of the client key with this digest.
    ///
    /// # Errors
    /// 401.
    pub fn client(&self, digest: &KeyDigest) -> Result<usize, ApiError> {
        self.clients.get(digest).copied().ok_or_else(unknown)
    }

    /// The digest of the client key with this index.
    #[must_use]
    pub fn digest_of(&self, key: usize) -> Option<&KeyDigest> {
        self.clients.iter().find(|(_, at)| **at == key).map(|(digest, _)| digest)
    }

    /// Whether it is the admin key's digest.
    ///
    /// # Errors
    /// 401.
    pub fn admin(&self, digest: &KeyDigest) -> Result<(), ApiError> {
        if self.admin.as_ref().is_some_and(|admin| equal(admin, digest)) { Ok(()) } else { Err(unknown()) }
    }
}

pub(crate) fn unknown() -> ApiError {
    ApiError::unauthorized(
        "this key is not known to the gateway: see that it is whole and for this address; keys are given out by whoever runs the gateway",
    )
}

/// Constant time: no early exit.
fn equal(a: &KeyDigest, b: &KeyDigest) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    fn config() -> Config {
        let key = |name: &str, here: Option<&str>, secret: Option<&str>| Key {
            tenant: None,
            name: name.into(),
            sha256: here.map(|key| moegate_wire::sign::to_hex(&Sha256::digest(key))),
            sha256_secret: secret.map(Into::into),
            models: None,
            errors: None,
            limits: Vec::new(),
            makes_keys: false,
            oidc: None,
        };
        Config {
            gateway: Default::default(),
            origins: vec![],
            routes: vec![],
            keys: vec![
                key("a", Some("mg-a"), None),
                key("b", None, Some("B")),
                key("c", None, Some("MISSING")),
            ],
            tenants: Vec::new(),
            ledger: crate::config::Ledger::default(),
            telemetry: Default::default(),
            admin: Some(Admin { sha256: None, sha256_secret: Some("ADMIN".into()) }),
        }
    }

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        for (name, key) in [("B", "mg-b"), ("ADMIN", "mg-admin")] {
            secrets.insert(name, Secret::new(&moegate_wire::sign::to_hex(&Sha256::digest(key))).unwrap());
        }
        secrets
    }

    #[test]
    fn clients() {
        let ring = KeyRing::new(&config(), &secrets());
        for (token, expected) in [
            ("mg-a", Some(0)),
            ("mg-b", Some(1)),
            ("mg-c", None),
            ("mg-admin", None),
            ("", None),
            ("' OR 1=1 --", None),
        ] {
            assert_eq!(ring.client(&digest(token)).ok(), expected, "{token}");
        }
    }

    #[test]
    fn the_admin_key_is_a_key_of_its_own() {
        let config = config();
        let ring = KeyRing::new(&config, &secrets());
        assert!(ring.admin(&digest("mg-admin")).is_ok() && ring.admin(&digest("mg-a")).is_err());
        assert!(KeyRing::new(&config, &Secrets::default()).admin(&digest("mg-admin")).is_err());
        let without = Config { admin: None, ..config };
        assert!(KeyRing::new(&without, &secrets()).admin(&digest("mg-admin")).is_err());
    }

    /// A missing hash must not be matched by the hash of nothing, nor by an empty secret.
    #[test]
    fn a_key_without_a_hash_does_not_exist() {
        let mut config = config();
        config.keys.retain(|key| key.name == "c");
        for value in [None, Some("00"), Some("not hex")] {
            let mut secrets = Secrets::default();
            if let Some(secret) = value.and_then(Secret::new) {
                secrets.insert("MISSING", secret);
            }
            let ring = KeyRing::new(&config, &secrets);
            assert!(["x", "", "00"].iter().all(|token| ring.client(&digest(token)).is_err()));
        }
    }

    #[test]
    fn a_thousand_keys_are_one_look_up() {
        let mut config = config();
        let first = config.keys[0].clone();
        config.keys = (0..1000)
            .map(|at| Key {
                name: format!("k{at}"),
                sha256: Some(moegate_wire::sign::to_hex(&digest(&format!("mg-{at}")))),
                ..first.clone()
            })
            .collect();
        let ring = KeyRing::new(&config, &Secrets::default());
        assert_eq!((ring.clients.len(), ring.client(&digest("mg-777")).ok()), (1000, Some(777)));
    }
}
