//! Who is calling.

use super::issued::{self, Issued};
use super::stream::Watch;
use super::{Gateway, tokens};
use crate::auth::made::{self, Note};
use crate::auth::{self, KeyDigest, KeyRing, browser, oidc};
use crate::config::{Config, Key, LedgerStore, Route};
use crate::error::ApiError;
use crate::ledger::operation::Hold;
use crate::platform::{Platform, SecretsUnavailable};
use crate::routing;
use crate::secret::Secrets;
use http::Request;
use std::ops::Deref;
use std::sync::Arc;

/// How long the store may take for a key, in milliseconds.
const LOAD_MS: u64 = 5_000;

/// Who a request came from.
pub(super) enum Caller<'g> {
    Configured(&'g Key),
    /// Made at run time, with the configured key, or with the admin key.
    Made(Arc<Note>, Option<&'g Key>),
    /// With a token of an issuer that stands for the key.
    Issued(Issued<'g>),
    /// With a browser token.
    Browser(Box<Browser<'g>>),
}

/// A browser token, as a key.
pub(super) struct Browser<'g> {
    /// What the token was made with, no more than it may use itself.
    pub(super) key: Key,
    /// Whom that one was made with.
    pub(super) maker: Option<&'g Key>,
    /// What it may use in all.
    pub(super) hold: Hold,
    pub(super) user: Option<String>,
}

impl Deref for Caller<'_> {
    type Target = Key;

    fn deref(&self) -> &Key {
        match self {
            Self::Configured(key) => key,
            Self::Made(note, _) => &note.key,
            Self::Issued(issued) => issued.key,
            Self::Browser(token) => &token.key,
        }
    }
}

impl<'g> Caller<'g> {
    /// The configured key that it was made with: its limits hold for this one too.
    pub(super) fn maker(&self) -> Option<&'g Key> {
        match self {
            Self::Configured(_) | Self::Issued(_) => None,
            Self::Made(_, maker) => *maker,
            Self::Browser(token) => token.maker,
        }
    }

    /// The configured key that it is.
    fn configured(&self) -> Option<&'g Key> {
        match self {
            Self::Configured(key) => Some(key),
            Self::Issued(issued) => Some(issued.key),
            Self::Made(..) | Self::Browser(_) => None,
        }
    }

    /// What a browser token may use.
    pub(super) fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Browser(token) => Some(&token.hold),
            _ => None,
        }
    }

    /// Whom its requests are for, whatever they say.
    pub(super) fn user(&self) -> Option<&String> {
        match self {
            Self::Issued(issued) => issued.user.as_ref(),
            Self::Browser(token) => token.user.as_ref(),
            _ => None,
        }
    }

    /// What its requests belong to, where they do not say.
    pub(super) fn tag(&self) -> Option<&String> {
        match self {
            Self::Issued(issued) => issued.tag.as_ref(),
            _ => None,
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
        if self.hold().is_some() && !self.may_use(model) {
            return Err(ApiError::token_not_allowed("this token is not for this model"));
        }
        if let Some(maker) = self.maker() {
            routing::find(config, maker, model)?;
        }
        routing::find(config, self, model)
    }
}

/// The client key that a request came with; no browser token, which only asks models.
///
/// # Errors
/// As for [`caller`]; 403 for a browser token.
pub(super) async fn client<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    head: &Request<()>,
) -> Result<Caller<'g>, ApiError> {
    match caller(platform, gateway, head).await? {
        Caller::Browser(_) => Err(ApiError::token_not_allowed("a browser token may only ask models")),
        caller => Ok(caller),
    }
}

/// Who a request came from.
///
/// # Errors
/// 401 for nobody or somebody unknown; 503 where nobody can tell.
pub(super) async fn caller<'g, P: Platform>(
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
    if token.starts_with(browser::PREFIX) {
        return tokens::caller(platform, gateway, head, token).await.map(Box::new).map(Caller::Browser);
    }
    if oidc::has_form(token) && gateway.config.keys.iter().any(|key| key.oidc.is_some()) {
        return issued::caller(platform, gateway, token).await.map(Caller::Issued);
    }
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
pub(super) async fn note<P: Platform>(
    platform: &P,
    digest: KeyDigest,
) -> Result<Option<Arc<Note>>, ApiError> {
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
    let maker = client(platform, gateway, head).await?.configured().filter(|key| key.makes_keys);
    maker.map(Some).ok_or_else(ApiError::makes_no_keys)
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

pub(super) fn credential<'h>(gateway: &Gateway, head: &'h Request<()>) -> Result<&'h str, ApiError> {
    auth::credential(head.headers(), head.uri().query(), gateway.config.gateway.url_keys)
}

/// Read once per instance; not remembered where the platform could not tell.
pub(super) async fn keys<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
) -> Result<&'g KeyRing, ApiError> {
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
