//! Errors of origins.

use super::answers::{context, options};
use super::*;

#[test]
fn errors_of_origins_are_read() {
    for (event, message) in [
        (
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"Broken\",\"param\":null,\"sequence_number\":2}\n\n",
            "Broken",
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"Spent\"}}\n\n",
            "Spent",
        ),
        (
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"Broken\"}}}\n\n",
            "Broken",
        ),
        ("event: error\ndata: {\"type\":\"server_error\",\"message\":\"Broken\"}\n\n", "Broken"),
        ("data: {\"error\":{\"message\":\"Before it\"}}\n\n", "Before it"),
    ] {
        let mut codec = SAME.stream(options());
        let (read, output) = codec.event(event.as_bytes(), true);
        let error = SAME.error(200, &read.error.unwrap()).unwrap();
        assert_eq!((error.message.as_deref(), error.readable), (Some(message), true), "{event}");
        assert_eq!(output, Output::Pass);
    }
    let failed = br#"{"object":"response","status":"failed","output":[],"error":{"code":"server_error","message":"Broken"},"usage":null}"#;
    assert!(SAME.answer(failed, &context()).unwrap().dubious);
    assert_eq!(SAME.error(200, failed).unwrap().message.as_deref(), Some("Broken"));
}
