//! The origins and keys of `faults/moegate.toml`.

use crate::fixtures::{ADMIN_KEY, APP_KEY, OWN_KEY};
use moegate::platform::fake::Arrived;
use moegate_wire::sign;
use sha2::{Digest, Sha256};

pub const OLD_KEY: &str = "old-origin-key-51aa";
pub const SPARE_KEY: &str = "spare-origin-key-c2f0";

/// The ports at which the suite listens; at 28734 nobody does.
pub const PORTS: [u16; 5] = [28731, 28732, 28733, 28735, 28736];

/// Origins that share the last port, by the beginning of their paths.
const SHARING: [&str; 6] = ["two-keys", "short", "long", "flaps", "own-1", "own-2"];

/// The platform's secrets.
#[must_use]
pub fn secrets() -> Vec<(&'static str, String)> {
    let hash = |key: &str| sign::to_hex(&Sha256::digest(key));
    vec![
        ("APP_KEY_SHA256", hash(APP_KEY)),
        ("ADMIN_KEY_SHA256", hash(ADMIN_KEY)),
        ("OLD_KEY", OLD_KEY.to_owned()),
        ("SPARE_KEY", SPARE_KEY.to_owned()),
        ("OWN_KEY", OWN_KEY.to_owned()),
    ]
}

/// The name of the origin at which it arrived.
#[must_use]
pub fn origin_of(arrived: &Arrived) -> &'static str {
    match arrived.authority.as_str() {
        "127.0.0.1:28731" => "first",
        "127.0.0.1:28732" => "second",
        "127.0.0.1:28733" => "third",
        "127.0.0.1:28734" => "refusing",
        "localhost:28735" => "no-tls",
        "127.0.0.1:28736" => {
            let found = SHARING.iter().find(|name| arrived.path.starts_with(&format!("/{name}/")));
            found.expect("a path of the configuration")
        }
        _ => "nowhere",
    }
}

/// Whether a request can get there at all. The scripts of the others are only the in-process host's to play.
#[must_use]
pub fn is_there(origin: &str) -> bool {
    !matches!(origin, "refusing" | "no-tls" | "nowhere")
}
