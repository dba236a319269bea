//! Browser tokens: `POST /v1/tokens` makes one, and requests come with it.

use super::authenticate::{self, Browser, Caller};
use super::stream::Watch;
use super::{Gateway, reply};
use crate::auth;
use crate::auth::browser::{self, Claims};
use crate::config::{Dollars, ErrorDetail, Key};
use crate::error::{ApiError, shown_name};
use crate::json::from_bytes;
use crate::ledger::operation::Hold;
use crate::platform::Platform;
use crate::request_id;
use crate::routing;
use crate::secret::Secret;
use http::{Request, header};
use moegate_wire::Nanodollars;
use serde::Deserialize;

/// Seconds for which a token is good, and at most.
const USUAL_S: u64 = 600;
const LONGEST_S: u64 = 3600;
const USUAL_REQUESTS: u64 = 100;
const MOST_REQUESTS: u64 = 10_000;
const MOST_MODELS: usize = 32;
const LONGEST_TEXT: usize = 256;
/// Bytes of a body at most, and how long it may take to come.
const LARGEST: usize = 16 * 1024;
const BODY_MS: u64 = 10_000;

/// What a token shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    models: Vec<String>,
    origin: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    ttl: Option<u64>,
    #[serde(default)]
    requests: Option<u64>,
    #[serde(default)]
    dollars: Option<Dollars>,
}

fn invalid(param: &'static str, text: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::invalid("invalid_token_request", Some(param), text)
}

/// Answers with a token that may do a part of what the caller's key may.
///
/// # Errors
/// 400 for what no token can be, 403 for a model that the key may not use; as of [`authenticate::client`].
pub(super) async fn make<P: Platform>(
    platform: &P,
    gateway: &Gateway,
    head: &Request<()>,
) -> Result<(), ApiError> {
    let caller = authenticate::client(platform, gateway, head).await?;
    let secret = secret(platform, gateway).await?;
    let until_ms = platform.now_ms() + BODY_MS;
    let read = Watch::new(platform).run_unattended(platform.read_body(LARGEST), until_ms).await;
    let body = read.ok_or_else(ApiError::body_timeout)?.map_err(|_| {
        ApiError::invalid("invalid_token_request", None, "the body broke off, or is over 16 KiB")
    })?;
    let wanted: Wanted = from_bytes(&body).map_err(|error| {
        let text = format!("the body does not say what the token is for (`models`, `origin`): {error}");
        ApiError::invalid("invalid_token_request", None, text)
    })?;
    let Wanted { models, origin, user, ttl, requests, dollars } = wanted;
    if models.is_empty() || models.len() > MOST_MODELS {
        return Err(invalid("models", "a token is for 1 to 32 models: name them"));
    }
    for model in &models {
        caller.route(&gateway.config, model)?;
    }
    if !gateway.is_page(&origin) {
        let text = format!(
            "pages of `{}` may not call this gateway: give the origin as browsers send it, one that stands in gateway.cors.origins of moegate.toml",
            shown_name(&origin)
        );
        return Err(invalid("origin", text));
    }
    let within = |name, value: Option<u64>, usual, most| match value.unwrap_or(usual) {
        value if (1..=most).contains(&value) => Ok(value),
        _ => Err(invalid(name, format!("must be 1 to {most}"))),
    };
    let ttl = within("ttl", ttl, USUAL_S, LONGEST_S)?;
    let requests = within("requests", requests, USUAL_REQUESTS, MOST_REQUESTS)?;
    // Whom the caller's own token is for is not the app's to change.
    let user = caller.user().cloned().or(user);
    if user.as_ref().is_some_and(|user| user.is_empty() || user.len() > LONGEST_TEXT) {
        return Err(invalid("user", "must have 1 to 256 bytes"));
    }
    let now_ms = platform.now_ms();
    let mut random = [0; 10];
    platform.random(&mut random);
    let digest = auth::digest(authenticate::credential(gateway, head)?);
    let claims = Claims {
        id: request_id::make(now_ms, random),
        key: caller.name.clone(),
        mark: secret.sign_with(|secret| browser::mark(secret, &caller, Some(&digest))),
        made: matches!(caller, Caller::Made(..)).then(|| moegate_wire::sign::to_hex(&digest)),
        models,
        origin,
        user,
        from: now_ms / 1000,
        until: now_ms / 1000 + ttl,
        requests,
        cost: dollars.map(Dollars::nanodollars),
    };
    let token = secret.sign_with(|secret| claims.sign(secret));
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let or_null = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    let models: Vec<_> = claims.models.iter().map(|model| text(model)).collect();
    let body = format!(
        r#"{{"token":"{token}","id":"{}","expires_at":{},"models":[{}],"origin":{},"user":{},"requests":{},"dollars":{}}}"#,
        claims.id,
        claims.until,
        models.join(","),
        text(&claims.origin),
        or_null(claims.user.as_deref().map(text)),
        claims.requests,
        or_null(claims.cost.map(|cost| format!("\"{}\"", Nanodollars(cost).to_dollars()))),
    );
    reply::json(platform, gateway.allowed(head), body).await;
    Ok(())
}

/// Who has such a token.
///
/// # Errors
/// 401 where it is good no longer, or never was; 403 for another page; 503 where nobody can tell.
pub(super) async fn caller<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    head: &Request<()>,
    token: &str,
) -> Result<Browser<'g>, ApiError> {
    let secret = secret(platform, gateway).await?;
    let origin = head.headers().get(header::ORIGIN).map(http::HeaderValue::as_bytes);
    let now_ms = platform.now_ms();
    let claims = secret.sign_with(|secret| Claims::read(token, secret, origin, now_ms))?;
    let config = &gateway.config;
    let gone = || {
        ApiError::bad_token(
            "the key that this token was made with is gone or has changed: ask for a new one".to_owned(),
        )
    };
    let made = claims.made.as_deref().and_then(moegate_wire::sign::from_hex);
    let (parent, maker): (Key, Option<&Key>) = match made {
        Some(hash) => {
            let note = authenticate::note(platform, hash).await?.ok_or_else(gone)?;
            let maker = note.maker(config, now_ms).map_err(|_| gone())?;
            (note.key.clone(), maker)
        }
        None => {
            let at = config.keys.iter().position(|key| key.name == claims.key).ok_or_else(gone)?;
            let key = &config.keys[at];
            let digest = authenticate::keys(platform, gateway).await?.digest_of(at);
            if secret.sign_with(|secret| browser::mark(secret, key, digest)) != claims.mark {
                return Err(gone());
            }
            (key.clone(), None)
        }
    };
    if parent.name != claims.key {
        return Err(gone());
    }
    let models = claims.models.into_iter().filter(|model| routing::is_allowed(&parent, model)).collect();
    let hold = Hold {
        scope: format!("token/{}", claims.id),
        from_ms: claims.from * 1000,
        to_ms: claims.until * 1000,
        requests: Some(claims.requests),
        tokens: None,
        cost: claims.cost,
    };
    let key = Key { models: Some(models), errors: Some(ErrorDetail::Plain), makes_keys: false, ..parent };
    Ok(Browser { key, maker, hold, user: claims.user })
}

/// What tokens are signed with.
///
/// # Errors
/// 400 where there are none, 500 where the secret is missing or too short, 503 where nobody can tell.
async fn secret<P: Platform>(platform: &P, gateway: &Gateway) -> Result<Secret, ApiError> {
    let Some(name) = &gateway.config.gateway.token_secret else {
        return Err(ApiError::invalid(
            "no_tokens",
            None,
            "this gateway makes no browser tokens: name a secret for them as `token_secret` under [gateway] in moegate.toml",
        ));
    };
    let secret = platform.secret(name).await.map_err(|_| ApiError::secrets_unavailable())?;
    let Some(secret) = secret else {
        return Err(ApiError::misconfigured(
            "secret_missing",
            format!("the gateway has no value for the secret `{name}`, which browser tokens are signed with"),
        ));
    };
    if secret.sign_with(|text| text.len() < browser::SHORTEST_SECRET) {
        return Err(ApiError::misconfigured(
            "secret_invalid",
            format!(
                "the secret `{name}` is shorter than {} characters: make one with `openssl rand -hex 32`",
                browser::SHORTEST_SECRET
            ),
        ));
    }
    Ok(secret)
}
