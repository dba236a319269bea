//! Who is calling.

use super::config::{Admin, Config, Key, KeyHash};
use super::error::ApiError;
use super::secret::{Secret, Secrets};
use sha2::{Digest, Sha256};

/// The client key behind `Authorization: Bearer …`.
///
/// Every configured hash is compared, each in constant time, so that the time taken tells nothing of which matched.
///
/// # Errors
/// 401 that says which of the three ways it failed: no header, not a bearer token, not a known key.
pub fn client<'a>(
    config: &'a Config,
    authorization: Option<&str>,
    secrets: &Secrets,
) -> Result<&'a Key, ApiError> {
    let presented = presented(authorization)?;
    let mut found = None;
    for key in &config.keys {
        if key.hash().is_some_and(|hash| matches(hash, &presented, secrets)) {
            found = Some(key);
        }
    }
    found.ok_or_else(unknown)
}

/// Whether the caller holds the admin key.
///
/// # Errors
/// 401 as for [`client`].
pub fn admin(config: &Config, authorization: Option<&str>, secrets: &Secrets) -> Result<(), ApiError> {
    let presented = presented(authorization)?;
    let hash = config.admin.as_ref().and_then(Admin::hash);
    if hash.is_some_and(|hash| matches(hash, &presented, secrets)) { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> ApiError {
    ApiError::unauthorized("this key is not known to the gateway; `moegate keys new` makes one")
}

/// The SHA-256 of the presented token.
fn presented(authorization: Option<&str>) -> Result<[u8; 32], ApiError> {
    let header = authorization.filter(|header| !header.is_empty()).ok_or_else(|| {
        ApiError::unauthorized("no key was sent: send the header `Authorization: Bearer <your key>`")
    })?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    if token.is_empty() {
        return Err(ApiError::unauthorized("the Authorization header must read `Bearer <your key>`"));
    }
    Ok(Sha256::digest(token.as_bytes()).into())
}

fn matches(hash: KeyHash<'_>, presented: &[u8; 32], secrets: &Secrets) -> bool {
    let stored = match hash {
        KeyHash::Here(text) => moegate_wire::sign::from_hex(text),
        KeyHash::InSecret(name) => secrets.get(name).and_then(Secret::key_hash),
    };
    stored.is_some_and(|stored| equal(&stored, presented))
}

/// Constant time: no early exit.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let key = |name: &str, here: Option<&str>, secret: Option<&str>| Key {
            tenant: None,
            name: name.into(),
            sha256: here.map(|key| moegate_wire::sign::to_hex(&Sha256::digest(key))),
            sha256_secret: secret.map(Into::into),
            models: None,
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
        let config = config();
        let name =
            |header| client(&config, header, &secrets()).map(|key| key.name.as_str()).map_err(|e| e.message);
        assert_eq!(name(Some("Bearer mg-a")), Ok("a"));
        assert_eq!(name(Some("bearer  mg-b ")), Ok("b"));
        for (header, part) in [
            (None, "no key was sent"),
            (Some(""), "no key was sent"),
            (Some("Bearer"), "must read"),
            (Some("Bearer "), "must read"),
            (Some("Basic bWctYQ=="), "must read"),
            (Some("mg-a"), "must read"),
            (Some("Bearer mg-c"), "not known"),
            (Some("Bearer mg-admin"), "not known"),
            (Some("Bearer ' OR 1=1 --"), "not known"),
        ] {
            let error = name(header).unwrap_err();
            assert!(error.contains(part), "{header:?}: {error}");
        }
    }

    #[test]
    fn the_admin_key_is_a_key_of_its_own() {
        let config = config();
        assert!(admin(&config, Some("Bearer mg-admin"), &secrets()).is_ok());
        assert!(admin(&config, Some("Bearer mg-a"), &secrets()).is_err());
        assert!(admin(&config, Some("Bearer mg-admin"), &Secrets::default()).is_err());
        assert!(admin(&Config { admin: None, ..config }, Some("Bearer mg-admin"), &secrets()).is_err());
    }

    /// A missing hash must not be matched by the hash of nothing, nor by an empty secret.
    #[test]
    fn a_key_without_a_hash_does_not_exist() {
        let mut config = config();
        config.keys.retain(|key| key.name == "c");
        assert!(client(&config, Some("Bearer x"), &Secrets::default()).is_err());
        for value in ["00", "not hex"] {
            let mut secrets = Secrets::default();
            secrets.insert("MISSING", Secret::new(value).unwrap());
            assert!(client(&config, Some("Bearer x"), &secrets).is_err());
        }
    }
}
