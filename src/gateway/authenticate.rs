//! Who is calling.

use super::Gateway;
use crate::auth::{self, KeyRing};
use crate::config::Key;
use crate::error::ApiError;
use crate::platform::{Platform, SecretsUnavailable};
use crate::secret::Secrets;
use http::Request;

/// The client key that a request came with.
///
/// # Errors
/// 401 for none or an unknown one; 503 where nobody can tell.
pub(super) async fn client<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    head: &Request<()>,
) -> Result<&'g Key, ApiError> {
    let digest = auth::digest(credential(gateway, head)?);
    let at = keys(platform, gateway).await?.client(&digest)?;
    gateway.config.keys.get(at).ok_or_else(|| ApiError::internal("internal", "a key is gone"))
}

/// Whether a request came with the admin key.
///
/// # Errors
/// As for [`client`].
pub(super) async fn admin<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    let digest = auth::digest(credential(gateway, head)?);
    keys(platform, gateway).await?.admin(&digest)
}

fn credential<'h>(gateway: &Gateway, head: &'h Request<()>) -> Result<&'h str, ApiError> {
    auth::credential(head.headers(), head.uri().query(), gateway.config.gateway.url_keys)
}

/// Read once per instance; not remembered where the platform could not tell.
async fn keys<'g, P: Platform>(platform: &P, gateway: &'g Gateway) -> Result<&'g KeyRing, ApiError> {
    if let Some(keys) = gateway.keys.get() {
        return Ok(keys);
    }
    let names = KeyRing::secret_names(&gateway.config);
    let secrets = look_up(platform, names).await.map_err(|_| ApiError::secrets_unavailable())?;
    Ok(gateway.keys.get_or_init(|| KeyRing::new(&gateway.config, &secrets)))
}

/// Those of the secrets that there are.
pub(super) async fn look_up<P: Platform>(
    platform: &P,
    names: impl Iterator<Item = &str>,
) -> Result<Secrets, SecretsUnavailable> {
    let mut secrets = Secrets::default();
    for name in names {
        if let Some(secret) = platform.secret(name).await? {
            secrets.insert(name, secret);
        }
    }
    Ok(secrets)
}
