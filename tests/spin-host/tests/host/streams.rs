//! Streams, and clients that leave.

use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{End, head, post, send};
use crate::process::Host;

#[test]
fn pieces_arrive_as_they_are_written() {
    let host = Host::start(&[]);
    let mut answer = head(send(host.address, "GET", "/stream/3/2000/streamed", b"")).expect("an answer");
    let started = Instant::now();
    assert_eq!(answer.chunk(), Ok(Some(b"piece0000\n".to_vec())));
    assert!(started.elapsed() < Duration::from_millis(1500), "buffered for {:?}", started.elapsed());
    let answer = answer.finish();
    assert_eq!((answer.text().as_str(), answer.end), ("piece0001\npiece0002\n", End::Clean));
    host.wait_for("streamed", "complete");
}

#[test]
fn a_client_that_leaves_is_noticed_at_the_first_chunk_after_it() {
    let host = Host::start(&[]);
    let mut answer = head(send(host.address, "GET", "/stream/1000/2000/left", b"")).expect("an answer");
    assert_eq!(answer.chunk(), Ok(Some(b"piece0000\n".to_vec())));
    drop(answer);
    // As long as nothing is written nothing is noticed, and then at the first chunk.
    thread::sleep(Duration::from_millis(700));
    assert_eq!(host.text("/kv/get/left").1, "none");
    host.wait_for("left", "left at 1");
}

#[test]
fn stopping_cuts_streams_at_once_and_loses_the_work_behind_them() {
    let mut host = Host::start(&[]);
    let mut stream = head(send(host.address, "GET", "/stream/1000/50/streamed", b"")).expect("an answer");
    assert_eq!(stream.chunk(), Ok(Some(b"piece0000\n".to_vec())));
    let waiting = send(host.address, "GET", "/sleep/15000/slept", b"");
    thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    assert_eq!(host.terminate(), Some(0));
    // No last chunk, and no answer at all where none had begun.
    assert_eq!(stream.finish().end, End::Broken);
    assert!(head(waiting).is_none());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Nobody wrote that the client left, or anything else: the store was never opened.
    assert!(!host.folder.path().join("kv.sqlite").exists());
}

#[test]
fn a_client_that_leaves_before_the_answer_cancels_nothing() {
    let host = Host::start(&[]);
    let stream = send(host.address, "GET", "/sleep/700/slept", b"");
    thread::sleep(Duration::from_millis(100));
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    host.wait_for("slept", "slept");
}

#[test]
fn large_bodies_pass_both_ways() {
    let host = Host::start(&[]);
    let body: Vec<u8> = (0..5_000_000u32).map(|index| (index % 251) as u8).collect();
    let answer = post(host.address, "/echo", &body);
    assert_eq!((answer.status, answer.end), (200, End::Clean));
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
}
