//! The key-value hazards as a component meets them.

use std::thread;
use std::time::{Duration, Instant};

use crate::http::{head, post, send};
use crate::instances::staged;
use crate::process::Host;

fn ok(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

#[test]
fn values_counters_and_keys() {
    let host = Host::start(&[]);
    assert_eq!(host.text("/kv/get/a"), ok("none"));
    assert_eq!(post(host.address, "/kv/set/a", b"value").text(), "set");
    assert_eq!(host.text("/kv/get/a"), ok("value"));
    assert_eq!(host.text("/kv/increment/n"), ok("1"));
    assert_eq!(host.text("/kv/increment/n"), ok("2"));
    assert_eq!(host.text("/kv/keys"), ok("a,n"));
    assert_eq!(host.text("/kv/delete/a"), ok("deleted"));
    assert_eq!(host.text("/kv/exists/a"), ok("false"));
    assert_eq!(host.text("/kv/open/default"), ok("opened"));
    assert_eq!(host.text("/kv/open/other"), (500, "Error::AccessDenied".to_owned()));
}

#[test]
fn the_file_is_made_when_a_store_is_first_opened() {
    let host = Host::start(&[]);
    assert_eq!(host.text("/count"), ok("1"));
    let file = host.folder.path().join("kv.sqlite");
    assert!(!file.exists());
    assert_eq!(post(host.address, "/kv/set/a", b"value").text(), "set");
    assert!(file.exists());
}

#[test]
fn two_swaps_on_a_missing_key() {
    assert_eq!(Host::start(&[]).text("/kv/race/key"), ok("won,won"));
    let off = Host::start(&["--kv-cas-missing-both-win", "off"]);
    assert_eq!(off.text("/kv/race/key"), ok("won,lost"));
    // On a key that is there, one wins either way.
    let host = Host::start(&[]);
    post(host.address, "/kv/set/key", b"there");
    assert_eq!(host.text("/kv/race/key"), ok("won,lost"));
}

#[test]
fn incrementing_a_foreign_value_ends_key_value_for_good() {
    let (host, bystander) = staged(|| {
        let host = Host::start(&[]);
        post(host.address, "/kv/set/key", b"not a counter");
        let bystander = send(host.address, "GET", "/sleep/15000", b"");
        thread::sleep(Duration::from_millis(100));
        // All in one instance, this one included.
        (host.text("/count").1 == "3").then_some((host, bystander))
    });
    assert_eq!(host.text("/kv/increment/key"), (500, String::new()));
    assert_eq!(head(bystander).expect("an answer").finish().status, 500);
    assert_eq!(host.text("/kv/get/key"), (500, String::new()));
    assert_eq!(host.text("/count"), ok("1"));

    let off = Host::start(&["--kv-increment-poison", "off"]);
    post(off.address, "/kv/set/key", b"not a counter");
    let (status, error) = off.text("/kv/increment/key");
    assert!(status == 500 && error.contains("not a counter"), "{status} {error}");
    assert_eq!(off.text("/kv/get/key"), ok("not a counter"));
}

fn with_many_keys(arguments: &[&str]) -> Host {
    let host = Host::start(&[&["--kv-fsync", "off"], arguments].concat());
    for index in 0..40 {
        post(host.address, &format!("/kv/set/key{index}"), b"value");
    }
    host
}

#[test]
fn a_call_while_a_stream_of_keys_is_open() {
    let host = with_many_keys(&["--kv-hold-limit-ms", "400"]);
    let started = Instant::now();
    let (status, error) = host.text("/kv/keys-then-get/key0");
    assert!(status == 500 && error.contains("get_keys"), "{status} {error}");
    assert!(started.elapsed() >= Duration::from_millis(400));
    // The stream is gone with its request, and the store is free again.
    assert_eq!(host.text("/kv/get/key0"), ok("value"));
    assert_eq!(host.text("/kv/keys").1.split(',').count(), 40);

    let off = with_many_keys(&["--kv-get-keys-holds", "off"]);
    assert_eq!(off.text("/kv/keys-then-get/key0"), ok("answered"));
}

/// The longest time between two pieces of a stream while a call of a second and a half runs beside it.
fn longest_gap(arguments: &[&str]) -> Duration {
    let host = Host::start(&[&["--kv-slow-ms", "1500"], arguments].concat());
    let mut stream = head(send(host.address, "GET", "/stream/60/40", b"")).expect("an answer");
    assert!(stream.chunk().unwrap().is_some());
    let call = send(host.address, "GET", "/kv/get/key", b"");
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    while stream.chunk().unwrap().is_some() {
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert_eq!(head(call).expect("an answer").status, 200);
    longest
}

#[test]
fn a_call_keeps_its_whole_instance_waiting() {
    let waited = |gap: Duration| gap >= Duration::from_millis(1400);
    staged(|| waited(longest_gap(&[])).then_some(()));
    staged(|| (!waited(longest_gap(&["--kv-blocks-instance", "off"]))).then_some(()));
}

#[test]
fn injected_write_failures() {
    let host = Host::start(&["--kv-fail-writes", "1"]);
    let failed = post(host.address, "/kv/set/key", b"1");
    assert_eq!((failed.status, failed.text().contains("injected")), (500, true));
    assert_eq!(post(host.address, "/kv/set/key", b"2").status, 200);
    assert_eq!(host.text("/kv/get/key"), ok("2"));
}
