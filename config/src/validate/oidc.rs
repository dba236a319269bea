//! Tokens of issuers in the place of keys.

use super::Problems;
use crate::oidc::SharedIssuer;
use crate::{Authority, Config, Key, LedgerStore, Oidc};

impl Problems {
    /// `path` is the key's.
    pub(super) fn oidc(&mut self, path: &str, key: &Key, oidc: &Oidc) {
        if key.sha256.is_some() || key.sha256_secret.is_some() {
            self.add(path, "has both a hash and `oidc`: make it two keys");
        }
        let path = format!("{path}.oidc");
        self.issuers_url(&format!("{path}.issuer"), &oidc.issuer);
        if oidc.jwks_url().is_empty() {
            let text = format!(
                "is missing: give the `jwks_uri` that stands in {}/.well-known/openid-configuration",
                oidc.issuer.trim_end_matches('/')
            );
            self.add(format!("{path}.jwks"), text);
        } else {
            self.issuers_url(&format!("{path}.jwks"), oidc.jwks_url());
        }
        if oidc.audience.is_empty() {
            self.add(
                format!("{path}.audience"),
                "is empty: give the gateway's own URL, and have the app ask for it",
            );
        }
        if oidc.algorithms.is_empty() {
            self.add(format!("{path}.algorithms"), "has no algorithm: no token could be good");
        }
        self.range(&format!("{path}.leeway_s"), oidc.leeway_s, 0, 300);
        for (name, values) in oidc.pins() {
            let path = format!("{path}.{name}");
            if values.is_empty() {
                self.add(&path, "has no value: no token could be good");
            }
            for value in values {
                if value.is_empty() || value.contains('*') {
                    self.add(
                        &path,
                        format!(
                            "{value:?} is compared as a whole, without wildcards: write the claim's value out"
                        ),
                    );
                }
            }
        }
        for name in oidc.claims.keys() {
            let has_own = match name.as_str() {
                "owner_id" => oidc.owner_id.is_some(),
                "project_id" => oidc.project_id.is_some(),
                "environment" => !oidc.environment.is_empty(),
                _ => false,
            };
            if matches!(name.as_str(), "iss" | "aud" | "exp" | "nbf" | "iat") || has_own {
                self.add(format!("{path}.claims.{name}"), "is looked at already: leave it out here");
            }
        }
        let is_pinned = |name: &&str| oidc.pins().any(|(pinned, _)| pinned == *name);
        match SharedIssuer::of(&oidc.issuer) {
            Some(shared) => {
                for names in shared.pins.iter().filter(|names| !names.iter().any(&is_pinned)) {
                    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                    let text = format!(
                        "must pin {}: {} signs for everybody, and anybody can ask it for a token for this audience",
                        names.join(" or "),
                        shared.issuer
                    );
                    self.add(&path, text);
                }
            }
            None if oidc.pins().next().is_none() => self.add(
                &path,
                "pins no claim, so every token of the issuer for this audience would be good: pin at least one, such as claims = { sub = \"…\" }",
            ),
            None => {}
        }
    }

    /// Of `gateway.token_secret`.
    pub(super) fn token_secret(&mut self, name: &str, config: &Config) {
        let path = "gateway.token_secret";
        self.secret_name(path, name);
        let of_origins = config.origins.iter().flat_map(crate::Origin::secret_names);
        if of_origins.chain(config.hash_secrets()).any(|other| other == name) {
            self.add(path, format!("`{name}` is an origin's or a key's: give tokens a secret of their own"));
        }
        if config.ledger.store == LedgerStore::KeyValue {
            self.add(path, "needs the ledger's database, which counts what a token uses: `[ledger] store = \"key-value\"` has no tokens");
        }
    }

    /// Keys that were changed on their way would make any token good.
    fn issuers_url(&mut self, path: &str, url: &str) {
        match Authority::of(url) {
            Some(authority) if authority.scheme == "https" || authority.is_loopback() => {}
            Some(_) => self.add(path, "must be https (http is for loopback addresses only)"),
            None => self
                .add(path, format!("{url:?} is not an absolute URL: write it as https://host[:port]/path")),
        }
        if !url.bytes().all(|b| b.is_ascii_graphic())
            || url.contains(['#', '"', '\\', '<', '>', '^', '`', '{', '|', '}'])
        {
            self.add(path, "has a character that no URL has");
        }
    }
}
