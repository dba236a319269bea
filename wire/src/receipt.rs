//! The receipt: what the MoE server measured for one request.
//!
//! `GET /v1/receipts/{id}` (bearer key) answers its JSON, with the header [`crate::header::SIGNATURE`] over the exact
//! bytes of the body. It exists as soon as the request is admitted (`ending: "running"`) and for at least ten minutes
//! after the end, however that came.

use crate::price::Nanodollars;
use crate::sign;
use crate::usage::Usage;
use serde::{Deserialize, Serialize};

const LABEL: &str = "moegate-receipt-v1";

/// How a generation, and the stream that carried it, came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Not ended yet (in receipts only).
    Running,
    /// Everything arrived.
    Complete,
    /// An error was reported, by status or inside the stream.
    Error,
    /// The client left.
    Cancelled,
    /// The bytes stopped without an end.
    Truncated,
}

/// One request's measurements. Times are micro-seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub id: String,
    pub model: String,
    pub usage: Usage,
    pub ending: Ending,
    /// `stop`, `length`, …; absent while running and after an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Unix time in milliseconds at which the request was admitted.
    pub created_ms: u64,
    /// Waiting for a place in the batch.
    pub queue_us: u64,
    pub prefill_us: u64,
    pub decode_us: u64,
    /// Its share of the time that the engine was busy: that of each step is divided among the step's sequences by the
    /// tokens computed for them. The sum over all requests is the engine's busy time.
    #[serde(default)]
    pub busy_us: u64,
    /// By the price in the ticket; zero without one.
    pub cost: Nanodollars,
}

/// The signature of a receipt's body.
#[must_use]
pub fn sign_body(key: &[u8], body: &[u8]) -> String {
    sign::sign(key, LABEL, body)
}

/// Whether `signature` is this body's.
#[must_use]
pub fn verify_body(key: &[u8], body: &[u8], signature: &str) -> bool {
    sign::verify(key, LABEL, body, signature)
}
