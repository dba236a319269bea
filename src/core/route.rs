//! Where a request goes.

use super::config::{Config, Key, Kind, Model, Origin, Route, StreamWay};
use super::error::ApiError;

/// One place to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    pub route: &'a Route,
    pub origin: &'a Origin,
    pub model: &'a Model,
}

impl Target<'_> {
    /// How a stream from there passes.
    #[must_use]
    pub fn stream_way(&self) -> StreamWay {
        self.route.stream.unwrap_or(match self.origin.kind {
            Kind::Moegate => StreamWay::Relay,
            Kind::Openai => StreamWay::Pump,
        })
    }
}

/// Whether `key` may use `model`.
#[must_use]
pub fn is_allowed(key: &Key, model: &str) -> bool {
    key.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
}

/// The models that `key` may use, in the configuration's order.
pub fn models<'a>(config: &'a Config, key: &'a Key) -> impl Iterator<Item = &'a str> {
    config.routes.iter().map(|route| route.model.as_str()).filter(|model| is_allowed(key, model))
}

/// The target for `model`.
///
/// # Errors
/// 404 for a model without a route, with the names of those that this key may use; 403 for one it may not use.
pub fn plan<'a>(config: &'a Config, key: &Key, model: &str) -> Result<Target<'a>, ApiError> {
    let found = config.routes.iter().find(|route| route.model == model).and_then(|route| {
        let origin = config.origin(&route.origin)?;
        Some(Target { route, origin, model: origin.model(route.served_model())? })
    });
    let Some(target) = found else {
        let known: Vec<_> = models(config, key).collect();
        return Err(ApiError::unknown_model(format!(
            "there is no model {}; this key may use: {}",
            serde_json::Value::from(model),
            known.join(", ")
        )));
    };
    if !is_allowed(key, model) {
        return Err(ApiError::forbidden(format!(
            "the key `{}` may not use the model `{model}`: add it to the key's `models` in moegate.toml",
            key.name
        )));
    }
    Ok(target)
}
