//! What pages are told, with CORS on and off.

use super::*;
use crate::config::authoring;
use crate::platform::fake::{Client, World, serve};
use std::collections::BTreeMap;

fn gateway(cors: &str) -> Gateway {
    Gateway::new(authoring::parse(&format!("[gateway]\n{cors}")).unwrap())
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Status and headers, without those that all answers have.
fn answer(gateway: &Gateway, request: Request<()>) -> (u16, Vec<(String, String)>) {
    let world = World::new(0, BTreeMap::new());
    let reply = serve(&world, gateway, request, Client::new(Vec::new())).reply.unwrap();
    let headers =
        reply.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let of_all = [
        "content-type",
        "cache-control",
        "allow",
        "www-authenticate",
        "x-moegate-request-id",
        "content-security-policy",
    ];
    let mut headers: Vec<_> = headers.filter(|(name, _)| !of_all.contains(&name.as_str())).collect();
    headers.sort();
    (reply.status().as_u16(), headers)
}

const ASKS: [(&str, &str); 3] = [
    ("origin", "https://app.example"),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
];

#[test]
fn nothing_is_said_where_it_is_off() {
    let gateway = gateway("");
    assert!(gateway.wanted_headers().iter().all(|name| !WANTED.contains(name)));
    for (method, path, status) in [
        (Method::OPTIONS, "/v1/chat/completions", 405),
        (Method::GET, "/health", 200),
        (Method::GET, "/v1/models", 401),
        (Method::GET, "/", 200),
        (Method::GET, "/nowhere", 404),
    ] {
        assert_eq!(answer(&gateway, request(method, path, &ASKS)), (status, Vec::new()), "{path}");
    }
}

#[test]
fn a_listed_page_may_send_what_it_asks_for() {
    let gateway =
        gateway(r#"cors = { origins = ["http://localhost:3000", "https://app.example"], max_age_s = 9 }"#);
    assert!(WANTED.iter().all(|name| gateway.wanted_headers().contains(name)));
    let (status, headers) = answer(&gateway, request(Method::OPTIONS, "/v1/chat/completions", &ASKS));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(status, 204);
    assert_eq!(
        headers,
        [
            ("access-control-allow-headers", "authorization,content-type,x-stainless-os"),
            ("access-control-allow-methods", "GET, HEAD, POST"),
            ("access-control-allow-origin", "https://app.example"),
            ("access-control-max-age", "9"),
            ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
    );
}

#[test]
fn what_is_no_list_of_names_does_not_come_back() {
    let gateway = gateway(r#"cors = { origins = ["*"] }"#);
    let long = "a".repeat(LONGEST_LIST + 1);
    for (asked, back) in [("x-a, x_b", true), ("", true), ("a;b", false), ("<b>", false), (&long, false)] {
        let headers = [ASKS[0], ASKS[1], (ASKS[2].0, asked)];
        let reply = gateway.preflight(&request(Method::OPTIONS, "/", &headers)).unwrap().unwrap();
        assert_eq!(reply.headers().contains_key("access-control-allow-headers"), back, "{asked}");
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
    }
}

#[test]
fn other_pages_and_other_questions() {
    let gateway = gateway(r#"cors = { origins = ["https://app.example"] }"#);
    let (status, headers) =
        answer(&gateway, request(Method::GET, "/health", &[("origin", "https://other.example")]));
    assert_eq!((status, headers), (200, vec![("vary".to_owned(), "Origin".to_owned())]));
    for near in
        ["https://app.example.evil.example", "https://app.example:8443", "http://app.example", "null", ""]
    {
        let asks = [("origin", near), ASKS[1]];
        let (status, headers) = answer(&gateway, request(Method::OPTIONS, "/v1/models", &asks));
        assert_eq!((status, headers.len()), (403, 1), "{near}: {headers:?}");
    }
    // Not a preflight: no page asks.
    for headers in [&ASKS[..1], &ASKS[1..2]] {
        assert_eq!(answer(&gateway, request(Method::OPTIONS, "/v1/models", headers)).0, 405);
    }
}
