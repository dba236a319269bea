//! OpenAI's endpoints beside generations, and Responses, through the whole gateway.

use super::*;
use crate::config::authoring;
use crate::platform::fake::{Arrived, Client, Got, Script, Scripted, World, serve};
use moegate_wire::sign;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEY: &str = "mg-test-0123456789";

fn gateway() -> Gateway {
    let origin = |name: &str, kind: &str, more: &str| {
        format!(
            "[[origins]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"https://{name}.example/v1\"\nsecret = \"{}\"\n{more}\
             [[origins.models]]\nname = \"there\"\ninput = \"1\"\noutput = \"2\"\n",
            name.to_uppercase()
        )
    };
    let text = [
        origin("claude", "anthropic", ""),
        origin("far", "openai", ""),
        origin("full", "openai", "responses = true\n"),
        "[[routes]]\nmodel = \"m\"\norigin_model = \"there\"\nrule = { order = [{ origin = \"claude\" }, { origin = \"far\" }] }\n".to_owned(),
        "[[routes]]\nmodel = \"r\"\norigin_model = \"there\"\nrule = { order = [{ origin = \"far\" }, { origin = \"full\" }] }\n".to_owned(),
        "[[keys]]\nname = \"k\"\nsha256_secret = \"K\"\n".to_owned(),
    ];
    Gateway::new(authoring::parse(&text.concat()).unwrap())
}

fn asked(path: &str, content_type: &str, body: &[u8], answer: Scripted) -> (Got, World) {
    let secrets = ["CLAUDE", "FAR", "FULL"].map(|name| (name.to_owned(), format!("sk-{name}-0123456789")));
    let mut secrets: BTreeMap<_, _> = secrets.into_iter().collect();
    secrets.insert("K".to_owned(), sign::to_hex(&Sha256::digest(KEY)));
    let world = World::new(1_795_262_400_000, secrets);
    world.answer(Arc::new(move |_: &Arrived| Script::from(answer.clone())));
    let head = Request::post(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", content_type)
        .header("content-length", body.len())
        .body(())
        .unwrap();
    let got = serve(&world, &gateway(), head, Client::new(body.to_vec()));
    (got, world)
}

fn header_of<'g>(got: &'g Got, name: &str) -> &'g str {
    let reply = got.reply.as_ref().unwrap();
    reply.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn embeddings_are_metered_and_skip_who_has_none() {
    let answer = r#"{"object":"list","data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let body = br#"{"model":"m","input":"a"}"#;
    let (got, world) =
        asked("/v1/embeddings", "application/json", body, Scripted::new(200, "application/json", answer));
    assert_eq!(got.reply.as_ref().unwrap().status(), 200, "{}", String::from_utf8_lossy(&got.body));
    let arrived = world.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].authority.as_str(), arrived[0].path.as_str()), ("far.example", "/v1/embeddings"));
    assert_eq!(String::from_utf8_lossy(&arrived[0].body), r#"{"model":"there","input":"a"}"#);
    assert_eq!(header_of(&got, "x-moegate-cost"), "0.000008");
    assert!(header_of(&got, "x-moegate-attempt-log").contains("claude"));
}

#[test]
fn a_sound_keeps_its_content_type() {
    let sound = b"ID3\x04\0\xff\xfb\x90";
    let body = br#"{"model":"m","input":"a","voice":"b"}"#;
    let (got, _) =
        asked("/v1/audio/speech", "application/json", body, Scripted::new(200, "audio/mpeg", sound));
    assert_eq!(got.body, sound);
    assert_eq!(header_of(&got, "content-type"), "audio/mpeg");
    // An error is the gateway's own JSON.
    let (got, _) =
        asked("/v1/audio/speech", "application/json", body, Scripted::new(500, "text/plain", "No"));
    assert_eq!(header_of(&got, "content-type"), "application/json");
    assert!(String::from_utf8_lossy(&got.body).contains("\"error\""));
}

#[test]
fn a_form_goes_with_its_boundary() {
    let form = |model: &str| {
        format!(
            "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n\
             --b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b1--\r\n"
        )
    };
    let content_type = "multipart/form-data; boundary=b1";
    let answer = Scripted::new(200, "text/plain; charset=utf-8", "Hi there");
    let (got, world) = asked("/v1/audio/transcriptions", content_type, form("m").as_bytes(), answer);
    assert_eq!(got.body, b"Hi there");
    assert_eq!(header_of(&got, "content-type"), "text/plain; charset=utf-8");
    let arrived = &world.arrived()[0];
    assert_eq!(arrived.header("content-type"), Some(content_type));
    assert_eq!(String::from_utf8_lossy(&arrived.body), form("there"));
}

#[test]
fn responses_go_to_who_can_be_told_them() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","model":"there","output":[],"usage":{"input_tokens":8,"output_tokens":1,"total_tokens":9}}"#;
    let body = br#"{"model":"r","input":"And now?","previous_response_id":"resp_0"}"#;
    let (got, world) =
        asked("/v1/responses", "application/json", body, Scripted::new(200, "application/json", answer));
    assert_eq!(got.reply.as_ref().unwrap().status(), 200, "{}", String::from_utf8_lossy(&got.body));
    let arrived = world.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].authority.as_str(), arrived[0].path.as_str()), ("full.example", "/v1/responses"));
    assert_eq!(header_of(&got, "x-moegate-cost"), "0.00001");
}
