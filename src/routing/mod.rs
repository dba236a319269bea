//! Where a request goes: the rule tree of its route, turned into a list of targets.

mod plan;
mod wishes;

pub use plan::{Plan, RouteContext, estimate, plan};

use crate::config::{Config, Key, Kind, Model, Origin, Prefill, Route, StreamMode};
use crate::dialect::partial::Partial;
use crate::error::{ApiError, shown_name};
use moegate_wire::Price;

/// One index to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    pub route: &'a Route,
    pub origin: &'a Origin,
    pub model: &'a Model,
    /// Which origin, and which of all models of all origins, by the configuration's order.
    pub index: TargetIndex,
}

/// Where in the configuration a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetIndex {
    pub origin: usize,
    pub model: usize,
}

impl<'a> Target<'a> {
    /// The model of that name at the origin of that name. `None` only for what the validator refuses.
    #[must_use]
    pub fn of(config: &'a Config, route: &'a Route, origin: &str, model: &str) -> Option<Self> {
        let mut before = 0;
        for (at, found) in config.origins.iter().enumerate() {
            if found.name == origin {
                let model_at = found.models.iter().position(|found| found.name == model)?;
                let index = TargetIndex { origin: at, model: before + model_at };
                return Some(Self { route, origin: found, model: &found.models[model_at], index });
            }
            before += found.models.len();
        }
        None
    }

    /// What an attempt costs that begins at that time, in Unix milliseconds.
    #[must_use]
    pub fn price_at(&self, ms: u64) -> Price {
        self.origin.price_at(self.model, ms)
    }

    /// What names that price in records.
    #[must_use]
    pub fn price_version(&self, ms: u64) -> String {
        self.origin.price_version(self.model, ms)
    }

    /// How a stream from there passes.
    #[must_use]
    pub fn stream_mode(&self) -> StreamMode {
        if self.route.continues {
            return StreamMode::Pump;
        }
        self.route.stream.unwrap_or(match self.origin.kind {
            Kind::Moegate => StreamMode::Relay,
            _ => StreamMode::Pump,
        })
    }

    /// Milliseconds for the first content, or for the whole of an unstreamed answer.
    #[must_use]
    pub fn first_byte_ms(&self) -> u64 {
        u64::from(self.route.timeouts.first_byte_s.unwrap_or(self.origin.first_byte_timeout_s)) * 1000
    }

    /// Milliseconds between two chunks of a pumped stream.
    #[must_use]
    pub fn idle_ms(&self) -> u32 {
        self.route.timeouts.idle_s.unwrap_or(IDLE_S) * 1000
    }
}

/// Where the route says nothing.
const IDLE_S: u32 = 60;

/// Whether the target can go on with the partial answer.
#[must_use]
pub fn can_resume(target: &Target<'_>, partial: &Partial) -> bool {
    match target.origin.kind {
        Kind::Moegate => partial.has_all_tokens(),
        _ => partial.has_text_only() && target.origin.prefill() != Prefill::None,
    }
}

/// Whether `key` may use `model`.
#[must_use]
pub fn is_allowed(key: &Key, model: &str) -> bool {
    key.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
}

/// The models that `key` may use, in the configuration's order.
pub fn models<'a>(config: &'a Config, key: &'a Key) -> impl Iterator<Item = &'a str> {
    let names = |route: &'a Route| std::iter::once(&route.model).chain(&route.aliases).map(String::as_str);
    config.routes.iter().flat_map(names).filter(|model| is_allowed(key, model))
}

/// The route for `model`.
///
/// # Errors
/// 404 for a model without a route, with the names of those that this key may use; 403 for one it may not use.
pub fn find<'a>(config: &'a Config, key: &Key, model: &str) -> Result<&'a Route, ApiError> {
    let Some(route) = config.routes.iter().find(|route| route.has_name(model)) else {
        let known: Vec<_> = models(config, key).collect();
        let shown = shown_name(model);
        let message = format!(
            "there is no model {}; this key may use: {}",
            serde_json::Value::from(&*shown),
            known.join(", ")
        );
        return Err(ApiError::unknown_model(&shown, message));
    };
    if !is_allowed(key, model) {
        return Err(ApiError::forbidden(format!(
            "the key `{}` may not use the model `{model}`: add it to the key's `models` in moegate.toml",
            key.name
        )));
    }
    Ok(route)
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
