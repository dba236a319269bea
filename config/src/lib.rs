//! The definition of `moegate.toml`.
//!
//! One set of types gives the parser, the validator, the JSON Schema and the reference page. What builds the gateway
//! reads and validates the TOML and puts it in as JSON of the same types ([`embedded`]), so that the edge carries no TOML
//! reader. This is a crate of its own because the gateway and what builds it both need it.
#![forbid(unsafe_code)]

mod admin;
mod cache;
mod cors;
mod day;
pub mod embedded;
mod fields;
pub mod key;
mod kind;
mod limit;
mod money;
mod oidc;
mod origin;
mod policy;
mod price;
mod replace;
mod rule;
mod telemetry;
mod validate;
mod wake;

#[cfg(feature = "authoring")]
pub mod authoring;

pub use admin::{Admin, KeyHash};
pub use cache::Cache;
pub use cors::Cors;
pub use day::Day;
pub use fields::{DENIED_FIELDS, DeniedAction, FieldPolicy, is_harmless, is_same_field};
pub use kind::Kind;
pub use limit::{Ledger, LedgerStore, Limit, OnLedgerFailure, ReserveOrder, Tenant, Window};
pub use money::DollarsPerMillion;
pub use oidc::{Algorithm, Oidc, Values};
pub use origin::{Authority, Aws, Origin};
pub use policy::{Action, Breaker, Budget, Dollars, Failure, Prefill, StreamUsage, Timeouts};
pub use price::{Model, PastPrice, PriceStep};
pub use replace::replaceable;
pub use rule::{Condition, Leaf, Part, Rule, RuleTable};
pub use telemetry::{Telemetry, TraceTo};
pub use validate::Problem;
pub use wake::{Cold, Wake, WakeVia};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The whole of `moegate.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What holds for every request.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where requests may be sent. Compiled in: neither a client nor a stored value can add one.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Which model name goes where.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Who may call. Without any key every call is answered 401.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Limits that the keys of a tenant share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Tenant>,
    /// Who may read `/usage`. Without it nobody may.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// Where the account of all attempts is kept.
    #[serde(default)]
    pub ledger: Ledger,
    /// Traces: what goes on to origins, and where the gateway's own spans go.
    #[serde(default, skip_serializing_if = "Telemetry::is_default")]
    pub telemetry: Telemetry,
}

/// What holds for every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// The largest request body in MiB; a larger one is answered 413. At most 32: a Worker has 128 MB in all. On Fermyon
    /// Wasm Functions at most 10.
    pub max_body_mib: u32,
    /// MiB of request bodies that one instance holds at once; a request that would exceed it is answered 503 with
    /// `Retry-After`. At least `max_body_mib` and at most 48: a Worker has 128 MB in all for everything that one instance
    /// does at a time, and a body may stand there twice (as it came, and as it goes to the origin).
    pub max_inflight_mib: u32,
    /// Seconds for which an answer to a request with an `Idempotency-Key` is kept and given again, without another call
    /// to an origin, to a request with the same key and body. 0: not at all. At most 3600.
    pub idempotency_s: u32,
    /// Which web pages may call the gateway from a browser (CORS), such as `cors = { origins = ["https://app.example"] }`.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Whether clients may send their key in the URL (`?key=`), as some of Gemini's do. URLs end in logs, so it is refused
    /// by default.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub url_keys: bool,
    /// The name of the platform secret that browser tokens (`POST /v1/tokens`) are signed with: at least 32 characters, known
    /// to nobody else. Another value ends all tokens. Default: there are no browser tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<String>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            max_body_mib: 32,
            max_inflight_mib: 32,
            idempotency_s: 600,
            cors: None,
            url_keys: false,
            token_secret: None,
        }
    }
}

/// Requests for one model name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name that clients ask for.
    pub model: String,
    /// Further names for the same route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The name of the one origin. Instead of `rule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The name by which origins know the model, where a rule does not say. Default: the route's `model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_model: Option<String>,
    /// Which origins are tried, in which order. Instead of `origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// How streams pass. Default: `relay` for origins of kind `moegate`, otherwise `pump`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamMode>,
    /// Whether another origin goes on with a stream that broke off in the middle: it gets the conversation with what has
    /// come so far, and the client sees one stream. Streams of such a route are pumped. Default: the client gets an error.
    #[serde(default, rename = "continue", skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// What happens to a request that an origin of another API cannot be told in full: whether what cannot be said there is
    /// left out. Default: that origin is left out, and without another one the answer is 400, naming the parameter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_unsupported: bool,
    /// Whether an answer is kept and given again to the same request of the same tenant, such as
    /// `cache = { seconds = 300 }`. Streams of such a route are pumped. Default: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// What one request may spend over all its retries and fallbacks.
    #[serde(default)]
    pub budget: Budget,
    /// Time limits of its attempts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What may be used over this route, by all keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// What happens to its requests while an origin wakes that sleeps. Default: `fallback` where the rule has another origin,
    /// otherwise `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<Cold>,
    /// What happens to its requests while the ledger cannot be reached.
    #[serde(default)]
    pub on_ledger_failure: OnLedgerFailure,
    /// What follows a failure, where it shall not be the usual: failure → action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "authoring", schemars(schema_with = "policy::actions_schema"))]
    pub on: BTreeMap<Failure, Action>,
}

impl Route {
    /// Whether clients may ask for it by `name`.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.model == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// The rule; a single origin is one leaf.
    #[must_use]
    pub fn rule(&self) -> Cow<'_, Rule> {
        match (&self.rule, &self.origin) {
            (Some(rule), _) => Cow::Borrowed(rule),
            (None, origin) => {
                let origin = origin.clone().unwrap_or_default();
                Cow::Owned(Rule::To(Leaf { origin, model: None }))
            }
        }
    }

    /// The name by which the leaf's origin knows the model.
    #[must_use]
    pub fn model_at<'a>(&'a self, leaf: Option<&'a str>) -> &'a str {
        leaf.or(self.origin_model.as_deref()).unwrap_or(&self.model)
    }

    /// What follows a failure.
    #[must_use]
    pub fn action(&self, failure: Failure) -> Action {
        match failure {
            Failure::Refused => Action::Stop,
            _ => self.on.get(&failure).copied().unwrap_or_else(|| failure.default_action()),
        }
    }
}

/// How a stream passes through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StreamMode {
    /// The runtime's own pipe; usage comes from the origin's signed receipt. Only for origins of kind `moegate`.
    Relay,
    /// Every event is looked at as it passes; usage comes from the stream.
    Pump,
}

/// One client key. Only its hash is ever stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Appears in usage records. Letters, digits, `-`, `_`.
    pub name: String,
    /// The hash itself: 64 hex digits, as `moegate keys new` prints them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Instead: the name of the platform secret that holds the 64 hex digits. Missing or empty there: the key does
    /// not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_secret: Option<String>,
    /// Instead: which tokens of an OpenID Connect issuer are this key, such as `oidc = { issuer = "https://oidc.vercel.com/acme",
    /// audience = "https://gw.acme.dev", owner_id = "team_…", project_id = "prj_…", environment = ["production"] }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Box<Oidc>>,
    /// The tenant it belongs to, for conditions in rules. Letters, digits, `-`, `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The models this key may use. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// How much answers to this key tell of what went wrong at origins. Default: `plain` for a key with a `tenant`, `full`
    /// for one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorDetail>,
    /// What may be used with this key, and with the keys that are made with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Whether keys may be made with this key while the gateway runs (`POST /keys`): for its tenant and its models, within its
    /// limits, for as long as it stands here itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub makes_keys: bool,
}

/// How much an answer tells of what went wrong at an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ErrorDetail {
    /// An origin's own text, the header `x-moegate-attempt-log`, and which secret is missing.
    Full,
    /// Class, status, `Retry-After` and request id, in the gateway's words. An origin's text of a 401, 402, 403, 429 or
    /// 5xx (which may name the operator's account, its limits and balance), `secret_missing` and the header
    /// `x-moegate-attempt-log` are in the operator's log only. Texts about the request itself (400, 404, 413, 422, and a
    /// content filter's) stay, unless they are about the key, the account or its limits.
    Plain,
}

impl Key {
    /// How much answers to this key tell: as `errors` says, otherwise plain for a tenant's key and full for others.
    #[must_use]
    pub fn error_detail(&self) -> ErrorDetail {
        let usual = if self.tenant.is_some() { ErrorDetail::Plain } else { ErrorDetail::Full };
        self.errors.unwrap_or(usual)
    }

    /// Always there in a validated configuration.
    #[must_use]
    pub fn hash(&self) -> Option<KeyHash<'_>> {
        KeyHash::of(self.sha256.as_deref(), self.sha256_secret.as_deref())
    }
}

impl Key {
    /// Who the admin key is where it stands who made a key.
    pub const ADMIN: &str = "admin";

    /// The tenant it belongs to; a key without one is a tenant of its own, of its name.
    #[must_use]
    pub fn tenant_or_name(&self) -> &str {
        self.tenant.as_deref().unwrap_or(&self.name)
    }
}

impl Config {
    /// All lists of limits, with their paths.
    pub(crate) fn all_limits(&self) -> impl Iterator<Item = (String, &[Limit])> {
        let keys = self.keys.iter().enumerate().map(|(i, key)| (format!("keys[{i}]"), &*key.limits));
        let tenants = self.tenants.iter().enumerate();
        let tenants = tenants.map(|(i, tenant)| (format!("tenants[{i}]"), &*tenant.limits));
        let routes = self.routes.iter().enumerate();
        let routes = routes.map(|(i, route)| (format!("routes[{i}]"), &*route.limits));
        let origins = self.origins.iter().enumerate();
        let origins = origins.map(|(i, origin)| (format!("origins[{i}]"), &*origin.limits));
        keys.chain(tenants).chain(routes).chain(origins)
    }

    /// The origin of that name.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.name == name)
    }

    /// The names of all platform secrets this configuration refers to, sorted, each once.
    #[must_use]
    pub fn secret_names(&self) -> Vec<&str> {
        let mut names = self.needed_secrets();
        names.extend(self.hash_secrets());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The same without those of keys: where one of these is missing, something fails that should not.
    #[must_use]
    pub fn needed_secrets(&self) -> Vec<&str> {
        let origins = self.origins.iter().flat_map(Origin::secret_names);
        let wakes = self.origins.iter().filter_map(|origin| origin.wake_secret().map(|(name, _)| name));
        let collector = self.telemetry.secret_headers.values().map(String::as_str);
        let tokens = self.gateway.token_secret.as_deref();
        let mut names: Vec<_> = origins.chain(wakes).chain(collector).chain(tokens).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Every key's hash with its path, the admin's last; those of tokens have none.
    fn hashes(&self) -> impl Iterator<Item = (String, Option<KeyHash<'_>>)> {
        let keys = self.keys.iter().enumerate().filter(|(_, key)| key.oidc.is_none());
        let keys = keys.map(|(i, key)| (format!("keys[{i}]"), key.hash()));
        keys.chain(self.admin.iter().map(|admin| ("admin".to_owned(), admin.hash())))
    }

    /// The names of request headers that rules look at, in lower case, sorted, each once.
    #[must_use]
    pub fn rule_headers(&self) -> Vec<String> {
        let mut names: Vec<_> = self.routes.iter().flat_map(Route::rule_headers).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn hash_secrets(&self) -> impl Iterator<Item = &str> {
        self.hashes().filter_map(|(_, hash)| match hash {
            Some(KeyHash::InSecret(name)) => Some(name),
            _ => None,
        })
    }
}
