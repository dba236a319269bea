//! The executor, and what no work may do.

use super::super::*;
use super::{NOW, SECRET, bytes, client, either, own, panics, request, streams, world};
use std::cell::RefCell;

#[test]
fn time_jumps_to_whatever_comes_first() {
    let world = world(Script::Refuse);
    run(&world, client(), async |platform| {
        assert_eq!(either(platform.sleep(70), platform.sleep(60_000)).await, Ok(()));
        assert_eq!(platform.now_ms(), NOW + 70);
        platform.sleep(0).await;
        assert_eq!(platform.now_ms(), NOW + 70);
        // The timer that lost is gone.
        platform.sleep(10).await;
    });
    assert_eq!(world.now_ms(), NOW + 80);
}

#[test]
fn what_waits_for_ever_is_a_panic() {
    let world = world(Script::Silence);
    let said = panics(|| {
        run(&world, client(), async |platform| drop(platform.fetch(request()).await));
    });
    assert_eq!(said, "it waits for ever: [0] of 1 requests");
    assert!(
        panics(|| drop(run(&world, client(), async |platform| platform.cancelled().await)))
            .contains("for ever")
    );
    let endless = world_of_endless_comments();
    let said = panics(|| {
        run(&endless, client(), async |platform| {
            let mut incoming = platform.fetch(request()).await.unwrap().into_body();
            while platform.read(&mut incoming).await.is_ok() {}
        });
    });
    assert!(said.contains("an hour"), "{said}");
}

fn world_of_endless_comments() -> World {
    world(streams(&[], End::Endless))
}

/// In which order three pieces of work come to their points.
fn order(seed: u64) -> Vec<(u32, u64)> {
    let world = world(Script::Refuse);
    let order = RefCell::new(Vec::new());
    let noted = &order;
    let work = |number: u32| {
        async move |platform: &Fake<'_>| {
            for _ in 0..3 {
                platform.log("x").await;
                noted.borrow_mut().push((number, platform.now_ms() - NOW));
            }
        }
    };
    let works = (0..3).map(|number| (client().starting_after(u64::from(number / 2) * 50), work(number)));
    let got = run_all(&world, works.collect(), seed);
    assert_eq!(got.len(), 3);
    order.into_inner()
}

#[test]
fn requests_are_interleaved_by_the_seed() {
    let orders: Vec<_> = (0..8).map(order).collect();
    assert_eq!(orders, (0..8).map(order).collect::<Vec<_>>());
    assert!(orders.iter().any(|one| *one != orders[0]), "always the same order");
    let alternates =
        |one: &Vec<(u32, u64)>| one[..6].windows(2).filter(|pair| pair[0].0 != pair[1].0).count() > 1;
    assert!(orders.iter().any(alternates), "one after the other");
    // The third one begins when it is its time.
    assert!(orders.iter().all(|one| one[6..].iter().all(|&(number, ms)| (number, ms) == (2, 50))));
}

#[test]
fn the_runtime_drops_the_work_where_it_is_told_to() {
    let world = world(streams(&[bytes("x")], End::Clean));
    let work = async |platform: &Fake<'_>| {
        let incoming = platform.fetch(request()).await.unwrap().into_body();
        let mut outgoing = platform.begin(Response::new(()));
        platform.pipe(incoming, &mut outgoing).await.unwrap();
        platform.close(outgoing).await.unwrap();
    };
    let steps = run(&world, client(), work).steps;
    assert_eq!(steps, 4);
    for step in 0..steps {
        let got = run(&world, client().cancelled_at_step(step), work);
        assert_eq!((got.is_whole, got.is_broken_off), (false, step > 0), "{step}");
    }
    assert!(run(&world, client().cancelled_at_step(steps), work).is_whole);
    let got = run(&world, client().cancelled_after(30), async |platform| {
        let _outgoing = platform.begin(Response::new(()));
        platform.sleep(1_000).await;
    });
    assert_eq!((got.is_broken_off, got.end_ms), (true, Some(30)));
}

#[test]
fn what_the_trait_forbids_is_a_panic() {
    let said = panics(|| {
        run(&world(streams(&[Piece::After(50), bytes("x")], End::Clean)), client(), async |platform| {
            let mut incoming = platform.fetch(request()).await.unwrap().into_body();
            let _late = either(platform.read(&mut incoming), platform.sleep(1)).await;
            let _lost = platform.read(&mut incoming).await;
        });
    });
    assert!(said.contains("a read was dropped"), "{said}");
    let said = panics(|| {
        run(&world(Script::Refuse), client().taking(1, 10), async |platform| {
            let mut outgoing = platform.begin(Response::new(()));
            for _ in 0..3 {
                let _late = either(platform.write(&mut outgoing, own("long")), platform.sleep(1)).await;
            }
        });
    });
    assert!(said.contains("a write was dropped"), "{said}");
    let said = panics(|| {
        run(&world(Script::Refuse), client(), async |platform| {
            platform.respond(Response::new(own("one"))).await.unwrap();
            drop(platform.begin(Response::new(())));
        });
    });
    assert!(said.contains("a second reply"), "{said}");
    let said = panics(|| {
        run(&world(Script::Refuse), client(), async |platform| {
            platform.log(&format!("key: {SECRET}")).await;
        });
    });
    assert!(said.contains("a secret in the log"), "{said}");
    let said = panics(|| {
        run(&world(Script::Refuse), client(), async |platform| {
            let mut request = request();
            request.headers_mut().insert("authorization", SECRET.parse().unwrap());
            drop(platform.fetch(request).await);
        });
    });
    assert!(said.contains("not marked as sensitive"), "{said}");
    let said = panics(|| {
        run(&world(Script::Refuse), client(), async |platform| {
            platform.state(|_| platform.state(|_| ()));
        });
    });
    assert!(said.contains("within itself"), "{said}");
}
