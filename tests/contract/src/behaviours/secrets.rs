//! What goes to an origin, and what never does.

use crate::fixtures::{
    ADMIN_KEY, APP_KEY, FAR_ACCESS, FAR_KEY, OWN_KEY, Receipts, always, answer_text, chat, json, own, paced,
    streamed,
};
use crate::stage::{Behaviour, Stage, expect_error};
use moegate::platform::fake::{Arrived, End};
use moegate_wire::{Ending, Ticket, header};

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "own_key_at_own_origin",
        "our own server gets its key and a signed ticket with id and price",
        own_origin,
    ),
    Behaviour::new(
        "far_key_at_far_origin",
        "a third party gets its key and its extra secret headers, and no ticket",
        far_origin,
    ),
    Behaviour::new(
        "receipt_request",
        "the question for a receipt carries our own server's key",
        receipt_request,
    ),
    Behaviour::new(
        "echoed_secret_is_withheld",
        "an answer that holds the origin's key is withheld (502)",
        echoed,
    ),
    Behaviour::new(
        "missing_secret",
        "a platform secret that is missing is 500 and named, and the origin is not called",
        missing,
    ),
];

/// No key but the origin's own stands anywhere in the request.
fn holds_only(arrived: &Arrived, its_own: &[&str]) {
    let text = format!("{:?} {} {}", arrived.headers, arrived.path, String::from_utf8_lossy(&arrived.body));
    for secret in [APP_KEY, ADMIN_KEY, OWN_KEY, FAR_KEY, FAR_ACCESS] {
        assert_eq!(text.contains(secret), its_own.contains(&secret), "{secret} in {text}");
    }
}

fn own_origin(stage: &mut Stage<'_>) {
    let reply = stage.play(own(json(200, answer_text()), Receipts::Missing), &chat("own-model"));
    let arrived = stage.generation();
    assert_eq!(
        (arrived.authority.as_str(), arrived.path.as_str()),
        ("127.0.0.1:28711", "/v1/chat/completions")
    );
    assert_eq!(arrived.header("authorization"), Some(format!("Bearer {OWN_KEY}").as_str()));
    assert_eq!(arrived.header("x-access"), None);
    holds_only(&arrived, &[OWN_KEY]);
    let record = stage.settled();
    let ticket =
        Ticket::decode(arrived.header(header::TICKET).unwrap(), OWN_KEY.as_bytes(), record.started_ms / 1000);
    let ticket = ticket.unwrap();
    assert_eq!(ticket.request_id, record.id);
    assert_eq!(
        (ticket.price.rates.input, ticket.price.rates.cached_input, ticket.price.rates.output),
        (1_000_000_000, 500_000_000, 2_000_000_000)
    );
    assert_eq!(arrived.header(header::REQUEST_ID), Some(record.id.as_str()));
    assert_eq!(reply.header(header::REQUEST_ID), record.id);
}

fn far_origin(stage: &mut Stage<'_>) {
    stage.play(always(json(200, answer_text())), &chat("far-model"));
    let arrived = stage.generation();
    assert_eq!(
        (arrived.authority.as_str(), arrived.path.as_str()),
        ("127.0.0.1:28712", "/api/v1/chat/completions")
    );
    assert_eq!(arrived.header("authorization"), Some(format!("Bearer {FAR_KEY}").as_str()));
    assert_eq!(arrived.header("x-access"), Some(FAR_ACCESS));
    assert_eq!(arrived.header(header::TICKET), None);
    holds_only(&arrived, &[FAR_KEY, FAR_ACCESS]);
    stage.settled();
}

fn receipt_request(stage: &mut Stage<'_>) {
    let script = paced(&[crate::fixtures::finish()], End::Clean);
    stage.play(own(script, Receipts::Signed(Ending::Complete)), &streamed("own-model"));
    let record = stage.settled();
    let arrived = stage.host.arrived();
    let [generation, receipt] = &arrived[..] else { panic!("{arrived:?}") };
    holds_only(generation, &[OWN_KEY]);
    holds_only(receipt, &[OWN_KEY]);
    assert!(receipt.path.starts_with(&format!("/v1/receipts/{}", record.id)), "{}", receipt.path);
    assert_eq!(receipt.header("authorization"), Some(format!("Bearer {OWN_KEY}").as_str()));
}

fn echoed(stage: &mut Stage<'_>) {
    for status in [200, 400, 500] {
        for secret in [FAR_KEY, FAR_ACCESS] {
            let body = format!(r#"{{"error":{{"message":"bad key {secret}"}}}}"#);
            let reply = stage.play(always(json(status, body)), &chat("far-model"));
            expect_error(&reply, 502, "origin_leaked_secret", "withheld");
            assert!(!format!("{reply:?}").contains(secret), "{reply:?}");
            assert_eq!(stage.settled().ending, Ending::Error);
        }
    }
}

fn missing(stage: &mut Stage<'_>) {
    expect_error(&stage.refused(&chat("unset-model")), 424, "secret_missing", "UNSET_KEY");
}
