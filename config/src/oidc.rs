//! Client keys that are tokens of an OpenID Connect issuer.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tokens of an OpenID Connect issuer (JWTs) in the place of a key, so that an app holds no secret: Vercel, GitHub Actions,
/// Google Cloud, Kubernetes and others give their workloads such tokens. A signature only says who has issued a token, and one
/// issuer serves everybody: so what the token is for (`audience`) and whose it is (the other members) are compared too, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The claim `iss`, exactly, such as `https://oidc.vercel.com/acme`.
    pub issuer: String,
    /// The claim `aud`, exactly: best the gateway's own URL, asked for by the app. A token for several audiences is refused,
    /// since any of them could send it here.
    pub audience: String,
    /// Where the issuer's public keys are (a JWKS): https. Default: where Vercel, GitHub Actions, GitLab and Google have theirs;
    /// for other issuers it is the `jwks_uri` of `<issuer>/.well-known/openid-configuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// How tokens may be signed. What a token says of its algorithm is only compared with this, and with the kind of its key: a token
    /// that names another one is refused. Those issuers sign with RS256, which is the default.
    #[serde(default = "usual_algorithms", skip_serializing_if = "is_usual")]
    pub algorithms: Vec<Algorithm>,
    /// The claim `owner_id`: Vercel's team, `team_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// The claim `project_id`: Vercel's project, `prj_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The claim `environment`: one of these, such as `["production"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Further claims and the values that they may have, one or several, such as `{ repository = "acme/app" }`. Compared as a
    /// whole: there are no wildcards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Values>,
    /// The claim that records have as their `user`, in place of what the request says, such as `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The claim that records have as their `tag` where the request has none, such as `environment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Seconds by which the clocks of issuer and gateway may differ. At most 300.
    #[serde(default = "usual_leeway_s")]
    pub leeway_s: u32,
}

fn usual_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256]
}

fn is_usual(algorithms: &[Algorithm]) -> bool {
    algorithms == [Algorithm::Rs256]
}

fn usual_leeway_s() -> u32 {
    30
}

/// How a token may be signed, and with a key of which kind (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, by RSA keys of 2048 to 4096 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with SHA-256, by keys on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// EdDSA by Ed25519 keys; Ed448 is none of them.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// As tokens, keys and the configuration write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// One value, or several of which any will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Values {
    One(String),
    Any(Vec<String>),
}

impl Values {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Any(values) => values,
        }
    }
}

impl Oidc {
    /// The claims that a token must have besides `iss`, `aud` and its times, each with the values it may have.
    pub fn pins(&self) -> impl Iterator<Item = (&str, &[String])> {
        let vercel = [("owner_id", self.owner_id.as_slice()), ("project_id", self.project_id.as_slice())];
        let environment = Some(("environment", &*self.environment)).filter(|(_, values)| !values.is_empty());
        let claims = self.claims.iter().map(|(name, values)| (name.as_str(), values.all()));
        vercel.into_iter().filter(|(_, values)| !values.is_empty()).chain(environment).chain(claims)
    }

    /// Where the issuer's keys are; empty where the configuration should say so and does not.
    #[must_use]
    pub fn jwks_url(&self) -> &str {
        match &self.jwks {
            Some(url) => url,
            None => SharedIssuer::of(&self.issuer).map_or("", |shared| shared.jwks),
        }
    }
}

/// An issuer that signs for everybody, with the same keys.
pub(crate) struct SharedIssuer {
    /// What its `iss` is, or begins with before a slash.
    pub(crate) issuer: &'static str,
    pub(crate) jwks: &'static str,
    /// Of each list one claim has to be pinned.
    pub(crate) pins: &'static [&'static [&'static str]],
}

const SHARED: [SharedIssuer; 4] = [
    SharedIssuer {
        issuer: "https://oidc.vercel.com",
        jwks: "https://oidc.vercel.com/.well-known/jwks",
        pins: &[&["owner_id"], &["project_id"], &["environment"]],
    },
    SharedIssuer {
        issuer: "https://token.actions.githubusercontent.com",
        jwks: "https://token.actions.githubusercontent.com/.well-known/jwks",
        pins: &[&["repository", "repository_id", "sub"]],
    },
    SharedIssuer {
        issuer: "https://gitlab.com",
        jwks: "https://gitlab.com/oauth/discovery/keys",
        pins: &[&["project_path", "project_id", "sub"]],
    },
    SharedIssuer {
        issuer: "https://accounts.google.com",
        jwks: "https://www.googleapis.com/oauth2/v3/certs",
        pins: &[&["sub", "email"]],
    },
];

impl SharedIssuer {
    pub(crate) fn of(issuer: &str) -> Option<&'static Self> {
        SHARED.iter().find(|shared| {
            issuer.strip_prefix(shared.issuer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}
