//! What clients send, take and leave.

use super::super::*;
use super::{NOW, client, either, own, request, streams, world};
use std::cell::Cell;

#[test]
fn a_reply_that_is_not_closed_is_broken_off() {
    let world = world(Script::Refuse);
    let got = run(&world, client(), async |platform| {
        let mut outgoing = platform.begin(Response::new(()));
        platform.write(&mut outgoing, own("half")).await.unwrap();
    });
    assert_eq!((&got.body[..], got.is_whole, got.is_broken_off), (&b"half"[..], false, true));
    let got = run(&world, client(), async |platform| {
        let reply = Response::builder().status(404).body(own("no")).unwrap();
        platform.respond(reply).await.unwrap();
    });
    assert_eq!((&got.body[..], got.is_whole, got.is_broken_off), (&b"no"[..], true, false));
    assert_eq!(got.reply.unwrap().status(), 404);
}

#[test]
fn a_whole_reply_is_taken_after_the_work_is_done() {
    let world = world(Script::Refuse);
    let done_ms = Cell::new(0);
    let got = run(&world, client().taking(2, 50), async |platform| {
        platform.respond(Response::new(own("four"))).await.unwrap();
        done_ms.set(platform.now_ms() - NOW);
    });
    assert_eq!((done_ms.get(), got.end_ms, got.is_whole), (0, Some(100), true));
    let got = run(&world, client().taking_nothing_after(1), async |platform| {
        platform.respond(Response::new(own("four"))).await.unwrap();
    });
    assert_eq!((&got.body[..], got.is_whole), (&b"f"[..], false));
}

#[test]
fn a_client_that_takes_nothing_holds_writes_back() {
    let world = world(Script::Refuse);
    let got = run(&world, client().taking_nothing_after(3), async |platform| {
        let mut outgoing = platform.begin(Response::new(()));
        platform.write(&mut outgoing, own("abc")).await.unwrap();
        assert_eq!(either(platform.write(&mut outgoing, own("d")), platform.sleep(500)).await, Err(()));
        assert_eq!(either(platform.write(&mut outgoing, own("last")), platform.sleep(10)).await, Err(()));
        assert_eq!(either(platform.close(outgoing), platform.sleep(10)).await, Err(()));
    });
    assert_eq!((&got.body[..], got.is_broken_off, got.end_ms), (&b"abc"[..], true, Some(520)));
}

#[test]
fn clients_leave_and_the_platform_tells_or_does_not() {
    let world = world(streams(&[], End::Stall));
    for tells in [true, false] {
        world.tell_of_leaving(tells);
        let got = run(&world, client().leaving_after(250), async |platform| {
            let incoming = platform.fetch(request()).await.unwrap().into_body();
            let mut outgoing = platform.begin(Response::new(()));
            let began_ms = platform.now_ms();
            let told = either(platform.cancelled(), platform.sleep(1_000)).await;
            assert_eq!(told.is_ok(), tells);
            assert_eq!(platform.now_ms() - began_ms, if tells { 250 } else { 1_000 });
            assert_eq!(platform.write(&mut outgoing, own("x")).await, Err(Left));
            drop(incoming);
            assert_eq!(platform.close(outgoing).await, Err(Left));
        });
        assert!(got.has_left && !got.is_whole && !got.is_broken_off);
    }
    assert_eq!((world.dropped_after_ms(0), world.dropped_after_ms(1)), (Some(0), Some(750)));
}

#[test]
fn a_client_may_leave_by_what_it_has() {
    let world = world(Script::Refuse);
    for tells in [true, false] {
        world.tell_of_leaving(tells);
        let stays = |body: &[u8]| !body.ends_with(b"b");
        let got = run(&world, client().staying_while(stays), async |platform| {
            let mut outgoing = platform.begin(Response::new(()));
            assert_eq!(platform.write(&mut outgoing, own("a")).await, Ok(()));
            let told = if tells { Err(Left) } else { Ok(()) };
            assert_eq!(platform.write(&mut outgoing, own("b")).await, told);
            assert_eq!(platform.write(&mut outgoing, own("c")).await, Err(Left));
            assert_eq!(either(platform.cancelled(), platform.sleep(9)).await.is_ok(), tells);
        });
        assert_eq!((&got.body[..], got.has_left), (&b"ab"[..], true));
    }
}

#[test]
fn bodies_of_requests() {
    for (client, expected) in [
        (Client::new(b"abc".to_vec()), Ok(3)),
        (Client::new(b"abcd".to_vec()), Err(BodyError::TooLarge)),
        (Client::new(b"ab".to_vec()).breaking_off(), Err(BodyError::Broken)),
        (Client::new(b"ab".to_vec()).sending_for(40), Ok(2)),
    ] {
        let takes_ms = client.sends_for_ms;
        let world = world(Script::Refuse);
        run(&world, client, async |platform| {
            assert_eq!(platform.read_body(3).await.map(|body| body.len()), expected);
        });
        assert_eq!(world.now_ms(), NOW + takes_ms);
    }
}
