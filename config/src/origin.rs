//! Origins: where requests may go, with what key.

use crate::{Breaker, Dollars, FieldPolicy, Kind, Limit, Model, Prefill, StreamUsage, Wake};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place that serves models.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Appears in records and response headers. Letters, digits, `-`, `_`.
    pub name: String,
    pub kind: Kind,
    /// The base that the endpoint's path is appended to, such as `https://api.example.com/v1` (`/chat/completions` follows).
    /// Anthropic: `https://api.anthropic.com/v1`. Gemini: `https://generativelanguage.googleapis.com/v1beta`. Azure:
    /// `https://NAME.openai.azure.com/openai/v1`. Bedrock: `https://bedrock-runtime.REGION.amazonaws.com`. Vertex:
    /// `https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION`. `http` only for loopback addresses.
    pub url: String,
    /// The name of the platform secret that is the key: sent as `Authorization: Bearer`, or in the header that the kind has
    /// for it (`x-api-key`, `x-goog-api-key`, `api-key`). Bedrock: a Bedrock API key, or with `aws` the secret access key,
    /// which only signs. Vertex: the JSON of a service account's key, which only signs. It goes to this origin and no other.
    /// On Spin the variable of that name in small letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Further secrets that take the place of `secret`, one after the other, when the origin refuses it or limits its rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spare_secrets: Vec<String>,
    /// Further headers whose values are platform secrets (tunnels and access proxies want them): header → secret name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_headers: BTreeMap<String, String>,
    /// Seconds until a stream's first content, or the whole of an unstreamed answer, must have come. 1 to 600; on Fermyon
    /// Wasm Functions less than 30.
    #[serde(default = "first_byte_timeout_s")]
    pub first_byte_timeout_s: u32,
    /// When it is left out for a while because it keeps failing.
    #[serde(default)]
    pub breaker: Breaker,
    /// Second and later attempts of the same request at this origin, in percent of the first ones, over some time: so an
    /// outage is not made worse by everybody's retries. Ten are in reserve. 0 to 100.
    #[serde(default = "retry_percent")]
    pub retry_percent: u32,
    /// What may be used at this origin, by all keys; what would exceed it goes to the next origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// How it is told to go on from a partial answer, for routes with `continue`. An origin of kind `moegate` gets a
    /// resume handle instead. Default: by kind; `continue_final_message` for `vllm` and `sglang`, otherwise `assistant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<Prefill>,
    /// How the tokens of its streams become known.
    #[serde(default)]
    pub stream_usage: StreamUsage,
    /// Whether it has `/responses`, so that requests of OpenAI's Responses API go there as they are; otherwise they are said
    /// as chat completions. Default: true for `azure-openai` and for `https://api.openai.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responses: Option<bool>,
    /// Azure only: the `api-version` for URLs of the form `https://NAME.openai.azure.com/openai/deployments`, which the
    /// model's name is appended to. Default: none, for `…/openai/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Bedrock only: signs requests (Signature Version 4) instead of sending a Bedrock API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// Which members of a request's body go to it.
    #[serde(default, skip_serializing_if = "FieldPolicy::is_default")]
    pub fields: FieldPolicy,
    /// Only for kind `moegate`: US dollars for an hour of its GPUs, as a string such as `"2.49"`. A request costs its share
    /// by the time that the origin measures for it, beside the prices of tokens, which may then be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_hour: Option<Dollars>,
    /// How it is woken, for one that sleeps when nothing is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<Wake>,
    /// The models it serves and what they cost.
    pub models: Vec<Model>,
}

fn first_byte_timeout_s() -> u32 {
    240
}

fn retry_percent() -> u32 {
    20
}

/// How requests to AWS are signed; the secret access key is the origin's `secret`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// Such as `us-east-1`.
    pub region: String,
    /// The name of the platform secret that holds the access key's id.
    pub access_key_id: String,
    /// The name of the platform secret that holds a session token, for temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

/// Scheme and authority of a URL, the thing a secret is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Authority<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// `host[:port]`.
    pub authority: &'a str,
}

impl<'a> Authority<'a> {
    /// Scheme and authority of an absolute `http(s)` URL in the plain form that the validator lets through: lower-case
    /// scheme and host, a port of 1 to 65535, no user info, nothing but letters, digits and `-` in a label.
    #[must_use]
    pub fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let good_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(label),
        };
        let good_port = port.is_none_or(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        (matches!(scheme, "http" | "https") && good_host && good_port).then_some(Self { scheme, authority })
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &'a str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => self.authority,
        }
    }

    /// Whether the host is an IP address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.host().starts_with('[') || self.host().parse::<std::net::Ipv4Addr>().is_ok()
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.host(), "localhost" | "[::1]")
            || self.host().parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl Origin {
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Scheme and authority of its URL; always there in a validated configuration.
    #[must_use]
    pub fn authority(&self) -> Option<Authority<'_>> {
        Authority::of(&self.url)
    }

    /// How it is told to go on from a partial answer.
    #[must_use]
    pub fn prefill(&self) -> Prefill {
        self.prefill.unwrap_or(match self.kind {
            Kind::Vllm | Kind::Sglang => Prefill::ContinueFinalMessage,
            _ => Prefill::Assistant,
        })
    }

    /// Whether requests of OpenAI's Responses API go there as they are.
    #[must_use]
    pub fn has_responses(&self) -> bool {
        self.responses.unwrap_or_else(|| match self.kind {
            Kind::AzureOpenai => self.api_version.is_none(),
            Kind::Openai => self.authority().is_some_and(|own| own.authority == "api.openai.com"),
            _ => false,
        })
    }

    pub(crate) fn secret_names(&self) -> impl Iterator<Item = &str> {
        let aws =
            self.aws.iter().flat_map(|aws| std::iter::once(&aws.access_key_id).chain(&aws.session_token));
        let own = self.secret.iter().chain(&self.spare_secrets).chain(self.secret_headers.values());
        own.chain(aws).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let parts = |url| Authority::of(url).map(|a| (a.scheme, a.authority, a.host(), a.is_loopback()));
        for (url, expected) in [
            ("https://api.example.com/v1", Some(("https", "api.example.com", "api.example.com", false))),
            ("http://127.0.0.1:8788/v1", Some(("http", "127.0.0.1:8788", "127.0.0.1", true))),
            ("http://[::1]:1", Some(("http", "[::1]:1", "[::1]", true))),
            ("http://[::1]", Some(("http", "[::1]", "[::1]", true))),
            ("https://localhost?x", Some(("https", "localhost", "localhost", true))),
            (
                "https://127.0.0.1.evil.example",
                Some(("https", "127.0.0.1.evil.example", "127.0.0.1.evil.example", false)),
            ),
            ("https://user@host", None),
            ("https://a\\b", None),
            ("https://a%2fb", None),
            ("HTTPS://host", None),
            ("ftp://host", None),
            ("https://Host", None),
            ("https://host:", None),
            ("https://host:0", None),
            ("https://host:99999", None),
            ("https://:80", None),
            ("https://a..b", None),
            ("https://[::1/v1", None),
            ("https://[zz]/v1", None),
            ("https:///v1", None),
            ("host/v1", None),
        ] {
            assert_eq!(parts(url), expected, "{url}");
        }
    }
}
