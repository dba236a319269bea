//! What the gateway itself says in Google's form: errors (<https://google.aip.dev/193>) and models
//! (<https://ai.google.dev/api/models>).

use crate::dialect::ModelInfo;
use crate::dialect::json_writer::JsonWriter;
use crate::error::ApiError;

/// The name that a status has in `google.rpc.Code`.
fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        405 | 501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// `{"error":{…}}`, which has to be the first member: Python's client looks for it there in a stream.
pub(super) fn error_body(error: &ApiError) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.key("error").object(|json| {
            json.key("code").number(error.status.into());
            json.member("message", &error.message);
            json.member("status", status_name(error.status));
            json.key("details").array(|json| details(json, error));
        });
    });
    json.into_string()
}

fn details(json: &mut JsonWriter, error: &ApiError) {
    let mut detail = |kind: &str, fill: &dyn Fn(&mut JsonWriter)| {
        json.object(|json| {
            json.member("@type", &format!("type.googleapis.com/google.rpc.{kind}"));
            fill(json);
        });
    };
    detail("ErrorInfo", &|json| {
        // Google's own word, by which clients know a key that is refused.
        let reason = match error.code {
            "invalid_api_key" => "API_KEY_INVALID".to_owned(),
            code => code.to_ascii_uppercase(),
        };
        json.member("reason", &reason);
        json.member("domain", "moegate");
    });
    if let Some(field) = &error.param {
        detail("BadRequest", &|json| {
            json.key("fieldViolations").array(|json| {
                json.object(|json| {
                    json.member("field", field);
                    json.member("description", &error.message);
                });
            });
        });
    }
    if let Some(seconds) = error.retry_after_s {
        detail("RetryInfo", &|json| json.member("retryDelay", &format!("{seconds}s")));
    }
}

pub(super) fn error_event(error: &ApiError) -> String {
    format!("data: {}\n\n", error_body(error))
}

pub(super) fn model_list(models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| json.key("models").array(|json| models.for_each(|own| model(json, own))));
    json.into_string()
}

pub(super) fn model_entry(own: ModelInfo<'_>) -> String {
    let mut json = JsonWriter::default();
    model(&mut json, own);
    json.into_string()
}

fn model(json: &mut JsonWriter, own: ModelInfo<'_>) {
    json.object(|json| {
        json.member("name", &format!("models/{}", own.name));
        json.member("version", "1");
        json.member("displayName", own.name);
        json.key("supportedGenerationMethods").array(|json| {
            for method in ["generateContent", "streamGenerateContent", "countTokens"] {
                json.string(method);
            }
        });
    });
}
