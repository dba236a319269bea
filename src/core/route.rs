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

/// A model's name as it stands in a path, with its `%XX` decoded. `None` if that is not UTF-8 text.
#[must_use]
pub fn decode_name(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            bytes.push(u8::try_from(digit(0)? << 4 | digit(1)?).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        for (text, name) in [
            ("tiny", Some("tiny")),
            ("meta-llama%2FLlama-4", Some("meta-llama/Llama-4")),
            ("meta-llama/Llama-4", Some("meta-llama/Llama-4")),
            ("%c3%A9", Some("é")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
            ("%+1", None),
        ] {
            assert_eq!(decode_name(text).as_deref(), name, "{text}");
        }
    }
}
