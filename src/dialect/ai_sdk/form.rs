//! What the gateway itself says: errors, and the models at `/config`.

use super::parts::generation_id;
use crate::dialect::json_writer::JsonWriter;
use crate::dialect::{ModelFacts, ModelInfo};
use crate::error::{ApiError, Detail};

/// 404 for what is not served below `/vN/ai`.
pub(super) fn not_served() -> ApiError {
    ApiError {
        message: "the gateway serves /language-model, /embedding-model, /reranking-model, /image-model and /config here; speech, transcription, video, batches and realtime have no origin that they could go to".into(),
        ..ApiError::not_found()
    }
}

/// The `type` by which the SDK chooses an error's class. Never `authentication_error`: it puts a text of its own about
/// Vercel's keys in the place of ours, and takes the status away.
fn class(error: &ApiError) -> &'static str {
    match error.status {
        _ if error.code == "model_not_found" => "model_not_found",
        401..=403 => "forbidden",
        404 => "not_found",
        424 => "failed_dependency",
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_request_error",
        _ => "internal_server_error",
    }
}

/// What both an error's body and an error within a stream hold.
pub(super) fn error_members(json: &mut JsonWriter, error: &ApiError) {
    json.member("message", &error.message);
    json.member("type", class(error));
    match (error.detail.as_deref(), &error.param) {
        // What fills the error's `modelId`.
        (Some(Detail::UnknownModel(model)), _) => {
            json.key("param").object(|json| json.member("modelId", model));
        }
        (_, Some(param)) => json.member("param", param),
        (_, None) => {}
    }
    json.member("code", error.code);
}

/// `{"error":{…},"generationId":"gen_…"}`: the id that `gateway.getGenerationInfo` takes, where there are records. The SDK shows it
/// behind the message.
pub(super) fn error_body(error: &ApiError, request_id: Option<&str>) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.key("error").object(|json| error_members(json, error));
        if let Some(id) = request_id {
            json.member("generationId", &generation_id(id));
        }
    });
    json.into_string()
}

/// `GET /config`. The SDK refuses the whole list where `specificationVersion` is not its own.
pub(super) fn config(models: &mut dyn Iterator<Item = ModelInfo<'_>>, version: usize) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| json.key("models").array(|json| models.for_each(|own| model(json, own, version))));
    json.into_string()
}

fn model(json: &mut JsonWriter, own: ModelInfo<'_>, version: usize) {
    json.object(|json| {
        json.member("id", own.name);
        json.member("name", own.name);
        json.key("specification").object(|json| {
            json.member("specificationVersion", ["v2", "v3", "v4"][version]);
            json.member("provider", "moegate");
            json.member("modelId", own.name);
        });
        if let Some(facts) = &own.facts {
            json.member("modelType", facts.kind());
            model_facts(json, facts);
        }
    });
}

/// Price, context and the longest answer, as Vercel's `/v1/models` names them too.
pub(in crate::dialect) fn model_facts(json: &mut JsonWriter, facts: &ModelFacts<'_>) {
    for (name, tokens) in [("context_window", facts.context_tokens), ("max_tokens", facts.max_output_tokens)]
    {
        if let Some(tokens) = tokens {
            json.key(name).number(tokens.into());
        }
    }
    let rates = &facts.rates;
    if rates.input == 0 && rates.output == 0 {
        return;
    }
    json.key("pricing").object(|json| {
        json.member("input", &per_token(rates.input));
        json.member("output", &per_token(rates.output));
        json.member("input_cache_read", &per_token(rates.cached_input));
        json.member("input_cache_write", &per_token(rates.cache_write));
    });
}

/// Nano-dollars for a million tokens as dollars for one.
fn per_token(rate: u64) -> String {
    const UNIT: u64 = 1_000_000_000_000_000;
    let mut text = format!("{}.{:015}", rate / UNIT, rate % UNIT);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_one_token() {
        for (rate, text) in [
            (1_250_000_000, "0.00000125"),
            (1_000_000_000_000_000, "1"),
            (0, "0"),
            (1, "0.000000000000001"),
            (12_000_000_000, "0.000012"),
        ] {
            assert_eq!(per_token(rate), text);
        }
    }

    #[test]
    fn the_text_of_every_error_reaches_the_app() {
        for (error, class) in [
            (ApiError::unauthorized("a revoked key"), "forbidden"),
            (ApiError::forbidden("no"), "forbidden"),
            (ApiError::budget("spent".to_owned()), "forbidden"),
            (ApiError::unknown_model("none", "none".to_owned()), "model_not_found"),
            (ApiError::not_found(), "not_found"),
            (ApiError::method("POST"), "invalid_request_error"),
            (ApiError::limited("requests", "slow".to_owned(), 1, None), "rate_limit_exceeded"),
            (ApiError::upstream(429, "origin_error", "slow"), "rate_limit_exceeded"),
            (ApiError::upstream(502, "origin_error", "broken"), "internal_server_error"),
        ] {
            let body: serde_json::Value = serde_json::from_str(&error_body(&error, None)).unwrap();
            assert_eq!(body["error"]["type"], class, "{error:?}");
            assert_eq!(body["error"]["message"], *error.message);
        }
    }

    #[test]
    fn what_an_error_is_about() {
        let said = |error: &ApiError, id: Option<&str>| -> serde_json::Value {
            serde_json::from_str(&error_body(error, id)).unwrap()
        };
        let unknown = said(&ApiError::unknown_model("gpt-9", "there is no model".to_owned()), None);
        assert_eq!(unknown["error"]["param"], serde_json::json!({"modelId": "gpt-9"}));
        assert!(unknown.get("generationId").is_none());
        let field = said(&ApiError::invalid("invalid_value", Some("prompt"), "no"), None);
        assert_eq!(field["error"]["param"], "prompt");
        let failed = said(&ApiError::upstream(502, "origin_error", "broken"), Some("r1"));
        assert_eq!(failed["generationId"], "gen_r1");
        assert!(failed["error"].get("param").is_none());
    }
}
