//! Who is calling.

use super::Gateway;
use super::stream::Watch;
use crate::auth::made::{self, Note};
use crate::auth::{self, KeyDigest, KeyRing};
use crate::config::{Config, Key, LedgerStore, Route};
use crate::error::ApiError;
use crate::platform::{Platform, SecretsUnavailable};
use crate::routing;
use crate::secret::Secrets;
use http::Request;
use std::ops::Deref;
use std::sync::Arc;

/// How long the store may take for a key, in milliseconds.
const LOAD_MS: u64 = 5_000;

/// The client key that a request came with.
#[derive(Debug)]
pub(super) enum Caller<'g> {
    Configured(&'g Key),
    /// Made at run time, with the configured key, or with the admin key.
    Made(Arc<Note>, Option<&'g Key>),
}

impl Deref for Caller<'_> {
    type Target = Key;

    fn deref(&self) -> &Key {
        match self {
            Self::Configured(key) => key,
            Self::Made(note, _) => &note.key,
        }
    }
}

impl<'g> Caller<'g> {
    /// The configured key that it was made with: its limits hold for this one too.
    pub(super) fn maker(&self) -> Option<&'g Key> {
        match self {
            Self::Configured(_) => None,
            Self::Made(_, maker) => *maker,
        }
    }

    /// Whether it may use that model.
    pub(super) fn may_use(&self, model: &str) -> bool {
        routing::is_allowed(self, model) && self.maker().is_none_or(|maker| routing::is_allowed(maker, model))
    }

    /// The route for `model`.
    ///
    /// # Errors
    /// As of [`routing::find`], by its own models or its maker's.
    pub(super) fn route<'c>(&self, config: &'c Config, model: &str) -> Result<&'c Route, ApiError> {
        if let Some(maker) = self.maker() {
            routing::find(config, maker, model)?;
        }
        routing::find(config, self, model)
    }
}

/// The client key that a request came with.
///
/// # Errors
/// 401 for none or an unknown one; 503 where nobody can tell.
pub(super) async fn client<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    head: &Request<()>,
) -> Result<Caller<'g>, ApiError> {
    let token = credential(gateway, head)?;
    let digest = auth::digest(token);
    let keys = keys(platform, gateway).await?;
    let unknown = match keys.client(&digest) {
        Ok(at) => {
            let key = gateway.config.keys.get(at);
            return key
                .map(Caller::Configured)
                .ok_or_else(|| ApiError::internal("internal", "a key is gone"));
        }
        Err(unknown) => unknown,
    };
    if gateway.config.ledger.store == LedgerStore::KeyValue
        || !made::has_form(token)
        || keys.admin(&digest).is_ok()
    {
        return Err(unknown);
    }
    let note = note(platform, digest).await?.ok_or(unknown)?;
    let maker = note.maker(&gateway.config, platform.now_ms())?;
    Ok(Caller::Made(note, maker))
}

/// What this instance or the store knows of a key made at run time.
async fn note<P: Platform>(platform: &P, digest: KeyDigest) -> Result<Option<Arc<Note>>, ApiError> {
    let asked_ms = platform.now_ms();
    if let Some(known) = platform.state(|state| state.made_keys.get(&digest, asked_ms)) {
        return Ok(known);
    }
    let key = made::store_key(&moegate_wire::sign::to_hex(&digest));
    let mut watch = Watch::new(platform);
    let Some(Ok(found)) = watch.run_unattended(platform.load(&key), asked_ms + LOAD_MS).await else {
        return Err(ApiError::keys_unavailable());
    };
    let note = match found.map(|text| serde_json::from_str::<Note>(&text)) {
        None => None,
        Some(Ok(note)) => Some(Arc::new(note)),
        Some(Err(error)) => {
            platform.log(&format!("the store's {key} is of no version that this one reads: {error}")).await;
            return Err(ApiError::keys_unavailable());
        }
    };
    platform.state(|state| state.made_keys.insert(digest, note.clone(), asked_ms));
    Ok(note)
}

/// Who may change keys: the admin key (`None`), or a configured one with `makes_keys`.
///
/// # Errors
/// As for [`client`]; 403 for another key.
pub(super) async fn maker<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    head: &Request<()>,
) -> Result<Option<&'g Key>, ApiError> {
    if admin(platform, gateway, head).await.is_ok() {
        return Ok(None);
    }
    match client(platform, gateway, head).await? {
        Caller::Configured(key) if key.makes_keys => Ok(Some(key)),
        _ => Err(ApiError::makes_no_keys()),
    }
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
