//! `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs with commas between them, values percent-encoded as in W3C Baggage
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// # Errors
/// Which pair is none; its value is not said, since it may be a key.
pub(super) fn parse(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or("give name=value pairs with commas between them, such as authorization=Basic%20abc")?;
        let name = name.trim();
        let wrong = |what: &str| format!("the {what} of the header {name:?} cannot be sent");
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| wrong("value"))?;
        value.set_sensitive(true);
        headers.append(HeaderName::try_from(name).map_err(|_| wrong("name"))?, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let headers = parse(" authorization=Basic%20YWJj== , x-team=a ,").unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(
            (&headers["authorization"], &headers["x-team"]),
            (&HeaderValue::from_static("Basic YWJj=="), &HeaderValue::from_static("a"))
        );
        assert_eq!(parse("").unwrap().len(), 0);
        for (bad, part) in [("secret", "name=value"), ("a b=secret", "name of"), ("a=secret%0A", "value of")]
        {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
