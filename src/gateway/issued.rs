//! Callers with a token of an OpenID Connect issuer, and where the issuer's keys come from.

use super::stream::Watch;
use super::{Gateway, send};
use crate::auth::oidc::jwks::{self, Found, PublicKey};
use crate::auth::oidc::{Token, refused};
use crate::config::{Algorithm, Key, Oidc};
use crate::error::ApiError;
use crate::platform::{Payload, Platform};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::sync::Arc;

/// The largest set of keys that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// How often a request looks whether another one has been given the keys, in milliseconds.
const LOOK_MS: u64 = 50;

/// What a token stands for.
pub(super) struct Issued<'g> {
    pub(super) key: &'g Key,
    pub(super) user: Option<String>,
    pub(super) tag: Option<String>,
}

/// The key that the token stands for.
///
/// # Errors
/// 401 that says why it stands for none; 503 where the issuer's keys cannot be had.
pub(super) async fn caller<'g, P: Platform>(
    platform: &P,
    gateway: &'g Gateway,
    token: &str,
) -> Result<Issued<'g>, ApiError> {
    let token = Token::parse(token)?;
    let now_ms = platform.now_ms();
    let mut why = None;
    let mut found = None;
    for key in &gateway.config.keys {
        let Some(oidc) = key.oidc.as_ref().filter(|oidc| token.is_of(&oidc.issuer)) else { continue };
        match token.suits(oidc, now_ms) {
            Ok(algorithm) => {
                found = Some((key, oidc, algorithm));
                break;
            }
            Err(error) => why = why.or(Some(error)),
        }
    }
    let Some((key, oidc, algorithm)) = found else {
        return Err(why.unwrap_or_else(|| {
            refused("is of an issuer (`iss`) that this gateway does not take tokens of")
        }));
    };
    let (keys, at) = public_key(platform, oidc, &token.key_id()?, algorithm).await?;
    token.verify(&keys[at])?;
    let claim = |name: &Option<String>| name.as_ref().and_then(|name| token.claim(name));
    Ok(Issued { key, user: claim(&oidc.user), tag: claim(&oidc.tag) })
}

/// The issuer's key of that name for that algorithm, and where it stands among the others.
async fn public_key<P: Platform>(
    platform: &P,
    oidc: &Oidc,
    id: &str,
    algorithm: Algorithm,
) -> Result<(Arc<[PublicKey]>, usize), ApiError> {
    let url = oidc.jwks_url();
    let until_ms = platform.now_ms() + jwks::PATIENCE_MS;
    loop {
        let now_ms = platform.now_ms();
        match platform.state(|state| state.issuers.find(url, id, algorithm, now_ms)) {
            Found::Key(keys, at) => return Ok((keys, at)),
            Found::Ask => ask(platform, url, id, algorithm).await,
            Found::Wait if now_ms < until_ms => platform.sleep(LOOK_MS).await,
            Found::Unknown => {
                return Err(refused(
                    "is signed with a key (`kid`) that its issuer does not have for this algorithm",
                ));
            }
            Found::Wait | Found::Unreachable => return Err(ApiError::issuer_unavailable(&oidc.issuer)),
        }
    }
}

/// Has the instance know the keys that are there: what another instance has left of late, else what the issuer gives.
///
/// Requests that wait look at the instance's state: a promise of this request's would be of no use to others on Workers.
async fn ask<P: Platform>(platform: &P, url: &str, id: &str, algorithm: Algorithm) {
    let now_ms = platform.now_ms();
    let place = format!("jwks/{}", moegate_wire::sign::to_hex(&crate::auth::digest(url)));
    let mut watch = Watch::new(platform);
    let until_ms = now_ms + jwks::PATIENCE_MS;
    let left = watch.run_unattended(platform.recall(&place), until_ms).await.flatten();
    let left = left.as_deref().and_then(|text| {
        let (of_ms, set) = text.split_once(' ')?;
        let of_ms = of_ms.parse().ok().filter(|of_ms| now_ms < of_ms + jwks::LONGEST_MS)?;
        Some((jwks::parse(set)?, of_ms))
    });
    let has = |(keys, of_ms): &(Vec<PublicKey>, u64)| {
        now_ms < of_ms + jwks::FRESH_MS && keys.iter().any(|key| key.is(id, algorithm))
    };
    let mut given = None;
    if !left.as_ref().is_some_and(has) {
        given = watch.run_unattended(fetch(platform, url), until_ms).await.flatten();
        if given.is_none() {
            platform.log(&format!("{url} did not give its keys (it is asked again after 30 s)")).await;
        }
    }
    let keys = given.as_deref().and_then(jwks::parse);
    let is_given = keys.is_some();
    platform.state(|state| match (keys, left) {
        (Some(keys), _) => state.issuers.answered(url, Some(keys), now_ms),
        (None, Some((keys, of_ms))) => state.issuers.answered(url, Some(keys), of_ms),
        (None, None) => state.issuers.answered(url, None, now_ms),
    });
    if let Some(set) = given.filter(|_| is_given) {
        platform.remember(&place, &format!("{now_ms} {set}"), jwks::LONGEST_MS / 1000).await;
    }
}

/// The set of keys that stands there.
async fn fetch<P: Platform>(platform: &P, url: &str) -> Option<String> {
    let json = (header::ACCEPT, HeaderValue::from_static("application/json"));
    let headers: HeaderMap = [json].into_iter().collect();
    let answer = platform.fetch(send::build(Method::GET, url, headers, Payload::Empty)?).await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = platform.collect(answer.into_body(), LARGEST).await.ok()?;
    String::from_utf8(body.to_vec()).ok()
}
