//! The access token that an origin on Google's cloud wants: made of its service account's key, and held by the instance.

use super::context::RequestContext;
use crate::config::Kind;
use crate::error::ApiError;
use crate::platform::{Payload, Platform};
use crate::routing::Target;
use crate::secret::OriginSecrets;
use crate::signing::service_account::{AccessToken, ServiceAccount, TOKEN_URI};
use http::{HeaderValue, Method, header};

/// How long the token endpoint may take, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// The largest answer of it that is read, in bytes.
const LARGEST: usize = 64 * 1024;

impl<'a, P: Platform> RequestContext<'a, P> {
    /// Puts the token into the origin's secrets, where its kind wants one.
    ///
    /// # Errors
    /// 500 for a key that cannot be used, 502 where no token was given; the client's key is never to blame.
    pub(super) async fn authorize(
        &mut self,
        target: Target<'a>,
        key: usize,
        secrets: &mut OriginSecrets<'a>,
    ) -> Result<(), ApiError> {
        if target.origin.kind != Kind::Vertex {
            return Ok(());
        }
        let at = (target.index.origin, key);
        let now_ms = self.platform.now_ms();
        let held = self.platform.state(|state| state.tokens.authorization(at, now_ms));
        let value = match held {
            Some(value) => value,
            None => {
                let token = self.token(&target.origin.name, secrets).await?;
                self.platform
                    .state(|state| {
                        state.tokens.insert(at, token);
                        state.tokens.authorization(at, now_ms)
                    })
                    .ok_or_else(|| {
                        no_token(&target.origin.name, "the token that Google gave is good no longer")
                    })?
            }
        };
        secrets.set_authorization(value);
        Ok(())
    }

    async fn token(&mut self, origin: &str, secrets: &OriginSecrets<'a>) -> Result<AccessToken, ApiError> {
        let platform = self.platform;
        let now_ms = platform.now_ms();
        let Some(file) = secrets.bearer() else {
            return Err(no_token(origin, "it has no `secret` with the key of a service account"));
        };
        let body = file.sign_with(|file| {
            let account = ServiceAccount::parse(file, TOKEN_URI).map_err(|error| error.to_string())?;
            account.token_request(now_ms).map_err(|error| error.to_string())
        });
        let body = body.map_err(|why| {
            let text = format!("the secret of origin `{origin}` is no key of a service account: {why}");
            ApiError::misconfigured("secret_invalid", text)
        })?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = [(header::CONTENT_TYPE, form)].into_iter().collect();
        let request = super::send::build(Method::POST, TOKEN_URI, headers, Payload::Own(body.into_bytes()))
            .ok_or_else(|| no_token(origin, "the token endpoint's URL cannot be read"))?;
        let until_ms = now_ms + PATIENCE_MS;
        let answer = async {
            let answer = platform.fetch(request).await.ok()?;
            platform.collect(answer.into_body(), LARGEST).await.ok()
        };
        let answer = self.watch.run(answer, until_ms).await.ok().flatten();
        let answer = answer.ok_or_else(|| {
            no_token(
                origin,
                "Google's token endpoint did not answer (on Spin it has to stand in allowed_outbound_hosts)",
            )
        })?;
        AccessToken::read(&answer, now_ms).map_err(|error| no_token(origin, &error.to_string()))
    }

    /// The origin has refused the token: the next attempt takes another.
    pub(super) fn forget_token(&self, target: &Target<'_>, key: usize) {
        self.platform.state(|state| state.tokens.forget((target.index.origin, key)));
    }
}

fn no_token(origin: &str, why: &str) -> ApiError {
    ApiError::upstream(502, "origin_token", format!("origin `{origin}` cannot be asked: {why}"))
}
