//! Which members of a request's body go to an origin.

use crate::{Kind, Origin};
use serde::{Deserialize, Serialize};

/// What third parties' origins don't get unless [`FieldPolicy::allow`] says so: members that choose another model,
/// provider or price class, a place to store, or where the request goes.
///
/// Of aggregators: `models`, `provider`, `route`, `fallbacks`, `plugins`. Of OpenAI: `service_tier` (`priority` costs
/// more), `store` (keeps prompt and answer). Of proxies such as LiteLLM: `fallbacks`, `api_base`, `base_url`, `api_key`.
pub const DENIED_FIELDS: [&str; 10] = [
    "models",
    "provider",
    "route",
    "fallbacks",
    "plugins",
    "service_tier",
    "store",
    "api_base",
    "base_url",
    "api_key",
];

/// What no origin can do without, or the gateway reads the answer by; `deny` can't name them.
pub(crate) const NEEDED_FIELDS: [&str; 5] = ["model", "messages", "prompt", "stream", "stream_options"];

/// Which members of a request's body go to this origin. A third party's origin doesn't get, by default, what could
/// choose another model, provider, price class or place to store under your key: `models`, `provider`, `route`,
/// `fallbacks`, `plugins`, `service_tier`, `store`, `api_base`, `base_url`, `api_key`; the last three are
/// refused from every client whatever stands here. One of kind `moegate` gets all others.
/// Names are compared without regard to case, `-` and `_`, as some origins read them. A value that asks for nothing
/// passes whatever its name: `null`, `false`, and a `service_tier` of `"auto"` or `"default"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "authoring", schemars(rename = "Fields"))]
#[serde(deny_unknown_fields, default)]
pub struct FieldPolicy {
    /// Names taken out of the list of what is denied by default, such as `["service_tier"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Further names that are denied, such as `["logit_bias"]`. Not `model`, `messages`, `prompt`, `stream` and
    /// `stream_options`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// What happens to a request that has a denied member.
    pub denied: DeniedAction,
}

impl FieldPolicy {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to a request that has a denied member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeniedAction {
    /// It isn't sent to this origin: another one of the plan that takes the member is tried, and without one the answer is
    /// 400, naming the member and the origin.
    #[default]
    Refuse,
    /// It is sent without the member.
    Drop,
}

/// Whether two names of members are one to an origin that doesn't read them exactly: without regard to case, `-` and
/// `_`. The names are decoded, without JSON's escapes.
///
/// Go's `encoding/json` matches by Unicode's simple folding, by which U+017F is an `s` and U+212A a `k`; its version 2 can
/// leave out `-` and `_`.
#[must_use]
pub fn is_same_field(one: &str, other: &str) -> bool {
    fn folded(name: &str) -> impl Iterator<Item = char> {
        let kept = name.chars().filter(|c| !matches!(c, '-' | '_'));
        kept.map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
    }
    folded(one).eq(folded(other))
}

/// Whether a denied member's value asks for nothing, so that it may pass: `null`, `false`, and `"auto"` or `"default"`
/// for `service_tier`. `value` is the JSON as it stands in the request, without blanks around it.
#[must_use]
pub fn is_harmless(field: &str, value: &str) -> bool {
    matches!(value, "null" | "false")
        || matches!(value, "\"auto\"" | "\"default\"") && is_same_field(field, "service_tier")
}

impl Origin {
    /// Whether this origin shall not get a member of that name (decoded) in a request's body; what
    /// [`is_harmless`] may pass all the same.
    #[must_use]
    pub fn denies(&self, field: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| is_same_field(name, field));
        named(&self.fields.deny) || is_denied_by_default(self.kind, field) && !named(&self.fields.allow)
    }

    /// What happens to a request that has a denied member.
    #[must_use]
    pub fn denied_action(&self) -> DeniedAction {
        self.fields.denied
    }
}

/// Whether origins of this kind don't get the member unless it is allowed.
pub(crate) fn is_denied_by_default(kind: Kind, field: &str) -> bool {
    kind != Kind::Moegate && DENIED_FIELDS.iter().any(|name| is_same_field(name, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_the_laxest_origin_does() {
        for (one, other, same) in [
            ("model", "model", true),
            ("model", "Model", true),
            ("service_tier", "serviceTier", true),
            ("service_tier", "SERVICE-TIER", true),
            ("service_tier", "\u{17f}ervice_tier", true),
            ("api_key", "api_\u{212a}ey", true),
            ("model", "models", false),
            ("model", "m\u{f6}del", false),
            ("", "_", true),
            ("store", "restore", false),
        ] {
            assert_eq!(is_same_field(one, other), same, "{one} {other}");
            assert_eq!(is_same_field(other, one), same, "{other} {one}");
        }
    }

    #[test]
    fn values_that_ask_for_nothing() {
        for (field, value, harmless) in [
            ("store", "null", true),
            ("store", "false", true),
            ("store", "true", false),
            ("store", "\"auto\"", false),
            ("service_tier", "\"auto\"", true),
            ("serviceTier", "\"default\"", true),
            ("service_tier", "\"flex\"", false),
            ("service_tier", "\"AUTO\"", false),
            ("models", "[]", false),
            ("store", "0", false),
        ] {
            assert_eq!(is_harmless(field, value), harmless, "{field}: {value}");
        }
    }
}
