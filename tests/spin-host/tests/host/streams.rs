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
fn a_client_that_leaves_is_noticed_at_a_write() {
    let host = Host::start(&[]);
    let mut answer = head(send(host.address, "GET", "/stream/1000/50/left", b"")).expect("an answer");
    assert_eq!(answer.chunk(), Ok(Some(b"piece0000\n".to_vec())));
    drop(answer);
    let until = Instant::now() + Duration::from_secs(20);
    let noticed = loop {
        let (_, value) = host.text("/kv/get/left");
        if value != "none" {
            break value;
        }
        assert!(Instant::now() < until, "the component went on for 20 s");
        thread::sleep(Duration::from_millis(20));
    };
    let piece: u32 = noticed.strip_prefix("left at ").expect("not to the end").parse().unwrap();
    assert!((1..=20).contains(&piece), "{noticed}");
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
