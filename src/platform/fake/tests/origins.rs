//! Origins, the store and the rest of the world.

use super::super::*;
use super::{NOW, bytes, client, either, own, panics, request, streams, world};
use std::cell::Cell;

#[test]
fn an_origin_plays_its_script_in_its_own_time() {
    let pieces = [bytes("a"), Piece::After(30), bytes("b"), bytes(""), Piece::After(5), bytes("c")];
    let world = world(Script::After(100, Box::new(streams(&pieces, End::Clean).into())));
    run(&world, client(), async |platform| {
        let reply = platform.fetch(request()).await.unwrap();
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        let (mut incoming, mut seen) = (reply.into_body(), Vec::new());
        while let Some(chunk) = platform.read(&mut incoming).await.unwrap() {
            seen.push((String::from_utf8_lossy(&chunk).into_owned(), platform.now_ms() - NOW));
            // Whoever reads late finds what has come meanwhile.
            platform.sleep(10).await;
        }
        let expected = [("a", 100), ("b", 130), ("c", 140)].map(|(text, ms)| (text.to_owned(), ms));
        assert_eq!(seen, expected);
    });
    let arrived = world.arrived();
    assert_eq!((arrived[0].authority.as_str(), arrived[0].path.as_str()), ("origin:80", "/v1?x=1"));
    assert_eq!((arrived[0].method.as_str(), &arrived[0].body[..]), ("POST", &b"{}"[..]));
    assert!(!world.was_dropped(0));
}

#[test]
fn bodies_end_as_the_script_says() {
    for (end, expected) in [(End::Clean, Ok(None)), (End::Cut, Err(Broken)), (End::Reset, Err(Broken))] {
        let world = world(streams(&[bytes("x")], end));
        run(&world, client(), async |platform| {
            let mut incoming = platform.fetch(request()).await.unwrap().into_body();
            assert_eq!(platform.read(&mut incoming).await, Ok(Some(Bytes::from(b"x".to_vec()))));
            assert_eq!(platform.read(&mut incoming).await, expected);
        });
        assert!(!world.was_dropped(0));
    }
    for end in [End::Stall, End::Endless] {
        let world = world(streams(&[bytes("x")], end));
        run(&world, client(), async |platform| {
            let mut incoming = platform.fetch(request()).await.unwrap().into_body();
            let all = async { while platform.read(&mut incoming).await != Ok(None) {} };
            assert_eq!(either(all, platform.sleep(100)).await, Err(()));
            assert!(!world.was_dropped(0));
        });
        assert!(world.was_dropped(0));
    }
}

#[test]
fn heads_that_do_not_come() {
    for script in [Script::Refuse, Script::Reset] {
        let arrives = usize::from(script == Script::Reset);
        let world = world(script);
        run(&world, client(), async |platform| {
            assert_eq!(platform.fetch(request()).await.err(), Some(FetchError::Connect));
        });
        assert_eq!((world.arrived().len(), world.was_dropped(0)), (arrives, false));
    }
    let world = world(Script::Silence);
    run(&world, client(), async |platform| {
        assert!(either(platform.fetch(request()), platform.sleep(1_000)).await.is_err());
    });
    assert!(world.was_dropped(0));
    world.deny("origin:80");
    run(&world, client(), async |platform| {
        assert_eq!(platform.fetch(request()).await.err(), Some(FetchError::Denied));
    });
    assert_eq!(world.arrived().len(), 1);
}

#[test]
fn an_answer_is_collected_up_to_its_limit() {
    for (end, limit, expected) in [
        (End::Clean, 4, Ok(4)),
        (End::Clean, 3, Err(BodyError::TooLarge)),
        (End::Cut, 9, Err(BodyError::Broken)),
    ] {
        let world = world(streams(&[bytes("ab"), bytes("cd")], end));
        run(&world, client(), async |platform| {
            let incoming = platform.fetch(request()).await.unwrap().into_body();
            assert_eq!(platform.collect(incoming, limit).await.map(|all| all.len()), expected);
        });
        assert_eq!(world.was_dropped(0), expected == Err(BodyError::TooLarge));
    }
}

#[test]
fn an_origin_may_wait_until_the_client_has_something() {
    let world = world(streams(&[bytes("ab"), Piece::Until(2), bytes("cd"), Piece::Until(4)], End::Clean));
    let got = run(&world, client().taking(1, 10), async |platform| {
        let mut incoming = platform.fetch(request()).await.unwrap().into_body();
        let mut outgoing = platform.begin(Response::new(()));
        while let Some(chunk) = platform.read(&mut incoming).await.unwrap() {
            platform.write(&mut outgoing, Payload::Passed(chunk)).await.unwrap();
        }
        platform.close(outgoing).await.unwrap();
    });
    assert_eq!((&got.body[..], got.is_whole), (&b"abcd"[..], true));
    assert_eq!((got.head_ms, got.end_ms), (Some(0), Some(40)));
    // It does not come where the gateway holds it back.
    let said = panics(|| {
        run(&world, client(), async |platform| {
            let mut incoming = platform.fetch(request()).await.unwrap().into_body();
            while platform.read(&mut incoming).await != Ok(None) {}
        });
    });
    assert!(said.contains("for ever"), "{said}");
}

#[test]
fn pipes_pass_all_and_leave_the_reply_open() {
    let script = |end| streams(&[bytes("a"), Piece::Until(1), bytes("b")], end);
    for (end, expected) in [(End::Clean, Ok(())), (End::Reset, Err(PipeError::Broken))] {
        let got = run(&world(script(end)), client(), async |platform| {
            let incoming = platform.fetch(request()).await.unwrap().into_body();
            let mut outgoing = platform.begin(Response::new(()));
            assert_eq!(platform.pipe(incoming, &mut outgoing).await, expected);
            platform.write(&mut outgoing, own("!")).await.unwrap();
            platform.close(outgoing).await.unwrap();
        });
        assert_eq!((&got.body[..], got.is_whole), (&b"ab!"[..], true));
    }
    let world = world(script(End::Stall));
    run(&world, client(), async |platform| {
        let incoming = platform.fetch(request()).await.unwrap().into_body();
        let mut outgoing = platform.begin(Response::new(()));
        assert_eq!(either(platform.pipe(incoming, &mut outgoing), platform.sleep(9)).await, Err(()));
        assert!(world.was_dropped(0));
        platform.write(&mut outgoing, own("!")).await.unwrap();
        platform.close(outgoing).await.unwrap();
    });
    run(&world, client().staying_while(|body| body.is_empty()), async |platform| {
        let incoming = platform.fetch(request()).await.unwrap().into_body();
        let mut outgoing = platform.begin(Response::new(()));
        assert_eq!(platform.pipe(incoming, &mut outgoing).await, Err(PipeError::Left));
    });
    assert!(world.was_dropped(1));
}

#[test]
fn the_store_misbehaves_as_told() {
    let world = world(Script::Refuse);
    let put = |key: &'static str| {
        let result = Cell::new(None);
        run(&world, client(), async |platform| {
            result.set(either(platform.put_record(key, "v", "{}"), platform.sleep(60_000)).await.ok());
        });
        result.get()
    };
    let keys = || world.stored().into_iter().map(|stored| stored.key).collect::<Vec<_>>();
    world.fail_store(1);
    assert_eq!((put("a"), keys()), (Some(Err(StoreError)), vec![]));
    world.hazards(Hazards { stored_but_failing: 1, lost: 1, hanging: 1, put_ms: 7, ..Hazards::default() });
    assert_eq!((put("b"), world.now_ms()), (Some(Err(StoreError)), NOW + 7));
    assert_eq!((put("c"), put("d"), put("e")), (Some(Ok(())), None, Some(Ok(()))));
    assert_eq!(keys(), ["b", "e"]);
    world.store("c", "no record", "no JSON");
    world.hazards(Hazards { recall_after_ms: 100, failing: 1, ..Hazards::default() });
    run(&world, client(), async |platform| {
        assert_eq!(platform.list_records("", None).await.err(), Some(StoreError));
        let page = platform.list_records("", None).await.unwrap();
        let seen: Vec<_> = page.entries.iter().map(|one| (one.name.as_str(), one.summary.get())).collect();
        assert_eq!(seen, [("b", "{}"), ("c", "null"), ("e", "{}")]);
        platform.remember("k", "v", 1).await;
        assert_eq!(platform.recall("k").await, None);
        platform.sleep(100).await;
        assert_eq!(platform.recall("k").await.as_deref(), Some("v"));
        platform.sleep(1_000).await;
        assert_eq!(platform.recall("k").await, None);
        assert!(platform.secret("KEY").await.is_ok_and(|found| found.is_some()));
        assert!(platform.secret("OTHER").await.is_ok_and(|found| found.is_none()));
        world.lose_secrets(true);
        assert!(platform.secret("KEY").await.is_err());
    });
}

#[test]
fn draws_differ() {
    let world = world(Script::Refuse);
    run(&world, client(), async |platform| {
        let (mut one, mut other) = ([0; 10], [0; 10]);
        platform.random(&mut one);
        platform.random(&mut other);
        assert_ne!(one, other);
        assert_ne!(one[8..], other[8..]);
    });
}
