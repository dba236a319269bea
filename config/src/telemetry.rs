//! Traces: what goes on to origins, and where the gateway's own spans go.

use crate::Authority;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Traces: what goes on to origins, and where the gateway's own spans go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Which origins get the header `traceparent` of W3C Trace Context. An invalid one goes nowhere.
    pub traceparent: TraceTo,
    /// Where the gateway's spans go: the URL of a collector that takes OTLP over HTTP as JSON, such as
    /// `https://collector.example/v1/traces`. Default: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// Headers for the collector whose values are platform secrets: header → secret name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_headers: BTreeMap<String, String>,
    /// Of the requests without a `traceparent`, how many have spans, in percent. With one, its flag decides. 0 to 100.
    pub sample_percent: u32,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            traceparent: TraceTo::default(),
            otlp: None,
            secret_headers: BTreeMap::new(),
            sample_percent: 100,
        }
    }
}

/// Which origins get a `traceparent`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TraceTo {
    /// Those of kind `moegate`, and they get `tracestate`, too.
    #[default]
    Own,
    /// Third parties as well; they get no `tracestate`.
    All,
    /// None.
    None,
}

impl Telemetry {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a client's `traceparent` is looked at.
    #[must_use]
    pub fn reads_traceparent(&self) -> bool {
        self.otlp.is_some() || self.traceparent != TraceTo::None
    }

    /// Scheme and authority of the collector.
    #[must_use]
    pub fn authority(&self) -> Option<Authority<'_>> {
        self.otlp.as_deref().and_then(Authority::of)
    }
}
