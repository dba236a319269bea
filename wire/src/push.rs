//! Receipts on their way to the gateway: `POST {gateway}/receipts` with a [`Push`] as JSON, again and again until it is
//! answered with 200 and [`Accepted`], which acknowledges all of it.
//!
//! The header [`crate::header::TIME`] has the Unix time in seconds, [`crate::header::SIGNATURE`] the signature over that
//! and the exact bytes of the body. What arrives twice changes nothing: receipts are known by their id, periods by
//! instance and hour.

use crate::period::Period;
use crate::receipt::Receipt;
use crate::sign;
use serde::{Deserialize, Serialize};

const LABEL: &str = "moegate-receipts-v1";
/// Behind the gateway's base URL.
pub const PATH: &str = "/receipts";
/// The most receipts and periods together in one body.
pub const MAX_ITEMS: usize = 100;
/// How far a push's time may lie from the gateway's clock, in seconds, either way.
pub const MAX_SKEW_S: u64 = 300;

/// The body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The origin's name in the gateway's configuration; its key signs.
    pub origin: String,
    #[serde(default)]
    pub receipts: Vec<Receipt>,
    #[serde(default)]
    pub periods: Vec<Period>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// How many of them the gateway knows now. Whatever it is, all of the batch is acknowledged.
    pub accepted: usize,
}

/// Why a push was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The time is no number of seconds.
    Malformed,
    BadSignature,
    /// Outside [`MAX_SKEW_S`].
    Expired,
}

impl std::fmt::Display for PushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the header x-moegate-time is not a Unix time in seconds",
            Self::BadSignature => "the signature does not match this origin's key, the time and the body",
            Self::Expired => {
                "the receipts were signed more than five minutes ago, or the two clocks disagree"
            }
        })
    }
}

impl std::error::Error for PushError {}

/// The signature of a body that is sent at `time_s`, Unix time in seconds.
#[must_use]
pub fn sign(key: &[u8], time_s: u64, body: &[u8]) -> String {
    sign::sign(key, LABEL, &message(time_s, body))
}

/// Checks time and signature, both as they stand in the headers; `now_s` is Unix time in seconds.
///
/// # Errors
/// See [`PushError`].
pub fn verify(key: &[u8], time: &str, body: &[u8], signature: &str, now_s: u64) -> Result<(), PushError> {
    let time_s: u64 = time.parse().map_err(|_| PushError::Malformed)?;
    if !sign::verify(key, LABEL, &message(time_s, body), signature) {
        return Err(PushError::BadSignature);
    }
    if time_s.abs_diff(now_s) > MAX_SKEW_S {
        return Err(PushError::Expired);
    }
    Ok(())
}

fn message(time_s: u64, body: &[u8]) -> Vec<u8> {
    let mut message = time_s.to_string().into_bytes();
    message.push(b'\n');
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_body_are_signed() {
        let signature = sign(b"key", 1_000, b"{}");
        let check = |key: &[u8], time: &str, body: &[u8], now| verify(key, time, body, &signature, now);
        assert_eq!(check(b"key", "1000", b"{}", 1_000 + MAX_SKEW_S), Ok(()));
        assert_eq!(check(b"key", "1000", b"{}", 1_000 - MAX_SKEW_S), Ok(()));
        assert_eq!(check(b"key", "1000", b"{}", 1_001 + MAX_SKEW_S), Err(PushError::Expired));
        assert_eq!(check(b"key", "1001", b"{}", 1_000), Err(PushError::BadSignature));
        assert_eq!(check(b"key", "1000", b"{ }", 1_000), Err(PushError::BadSignature));
        assert_eq!(check(b"other", "1000", b"{}", 1_000), Err(PushError::BadSignature));
        assert_eq!(check(b"key", "soon", b"{}", 1_000), Err(PushError::Malformed));
        // Nor does a signature for one kind of message pass for another's.
        assert!(!crate::receipt::verify_body(b"key", b"1000\n{}", &signature));
    }
}
