//! What the gateway itself says in this form: events, errors (API reference, "Errors"), model lists ("Models").

use crate::dialect::ModelInfo;
use crate::dialect::json_writer::JsonWriter;
use crate::error::ApiError;

/// An event of a stream; `fill` says its members behind the type.
pub(super) fn event(out: &mut String, kind: &str, fill: impl FnOnce(&mut JsonWriter)) {
    let mut json = JsonWriter::with_capacity(256);
    json.object(|json| {
        json.member("type", kind);
        fill(json);
    });
    for piece in ["event: ", kind, "\ndata: ", &json.into_string(), "\n\n"] {
        out.push_str(piece);
    }
}

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// `{"type":"error","error":{…}}`. Beside Anthropic's members: our code, and the field that it is about.
pub(super) fn error_body(error: &ApiError) -> String {
    let mut json = JsonWriter::default();
    json.object(|json| {
        json.member("type", "error");
        json.key("error").object(|json| {
            json.member("type", error_type(error.status));
            json.member("message", &error.message);
            json.member("code", error.code);
            if let Some(param) = &error.param {
                json.member("param", param);
            }
        });
    });
    json.into_string()
}

/// The same as an event of a stream whose status is already sent.
pub(super) fn error_event(error: &ApiError) -> String {
    format!("event: error\ndata: {}\n\n", error_body(error))
}

fn entry(json: &mut JsonWriter, model: ModelInfo<'_>) {
    json.object(|json| {
        json.member("type", "model");
        json.member("id", model.name);
        json.member("display_name", model.name);
        json.member("created_at", &date(model.created_s));
    });
}

/// All of them: there is one page.
pub(super) fn model_list(models: &mut dyn Iterator<Item = ModelInfo<'_>>) -> String {
    let mut json = JsonWriter::default();
    let mut ends: Option<(String, String)> = None;
    json.object(|json| {
        json.key("data").array(|json| {
            for model in models {
                entry(json, model);
                let first = ends.take().map_or_else(|| model.name.to_owned(), |(first, _)| first);
                ends = Some((first, model.name.to_owned()));
            }
        });
        json.key("has_more").bool(false);
        for (name, id) in [
            ("first_id", ends.as_ref().map(|(first, _)| first)),
            ("last_id", ends.as_ref().map(|(_, last)| last)),
        ] {
            match id {
                Some(id) => json.member(name, id),
                None => json.key(name).raw("null"),
            }
        }
    });
    json.into_string()
}

pub(super) fn model_entry(model: ModelInfo<'_>) -> String {
    let mut json = JsonWriter::default();
    entry(&mut json, model);
    json.into_string()
}

/// Unix seconds as RFC 3339 has them.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = (if month < 10 { month + 3 } else { month - 9 }, year + era * 400);
    let year = if month <= 2 { year + 1 } else { year };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn errors_have_anthropics_types() {
        for (status, expected) in [
            (400, "invalid_request_error"),
            (422, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (529, "overloaded_error"),
            (504, "timeout_error"),
        ] {
            assert_eq!(error_type(status), expected, "{status}");
        }
        let error = ApiError::invalid("missing_field", Some("model"), "no `model`");
        assert_eq!(
            error_body(&error),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"no `model`","code":"missing_field","param":"model"}}"#
        );
        assert!(error_event(&error).starts_with("event: error\ndata: {\"type\":\"error\""));
    }

    #[test]
    fn models() {
        let models = [
            ModelInfo { name: "a", created_s: 0, facts: None },
            ModelInfo { name: "b", created_s: 0, facts: None },
        ];
        let list = model_list(&mut models.into_iter());
        assert!(
            list.contains(
                r#"{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"}"#
            )
        );
        assert!(list.ends_with(r#""has_more":false,"first_id":"a","last_id":"b"}"#), "{list}");
        assert!(model_list(&mut std::iter::empty()).ends_with(r#""first_id":null,"last_id":null}"#));
        assert!(model_entry(models[1]).contains(r#""id":"b""#));
    }
}
