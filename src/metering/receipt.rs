//! Receipts of our own servers.

use crate::json::from_bytes;
use crate::secret::OriginSecrets;
use moegate_wire::{Receipt, Usage, receipt};

/// More tokens than any request has, and more micro-seconds than any takes. Sums of such counts stay exact in JavaScript's
/// numbers too.
const MOST: u64 = 1 << 40;

/// The receipt in an answer, if its signature holds, it is the one that was asked for, and its counts can be.
#[must_use]
pub fn read(signature: &str, body: &[u8], secrets: &OriginSecrets<'_>, request_id: &str) -> Option<Receipt> {
    let signed = secrets.bearer()?.sign_with(|key| receipt::verify_body(key, body, signature));
    let receipt: Receipt = signed.then(|| from_bytes(body).ok())??;
    (receipt.id == request_id && is_sane(&receipt)).then_some(receipt)
}

/// Whether its counts can be.
#[must_use]
pub fn is_sane(receipt: &Receipt) -> bool {
    let Usage { prompt, cached, cache_write, cache_write_1h, audio_prompt, .. } = receipt.usage;
    let Usage { completion, reasoning, audio_completion, images, .. } = receipt.usage;
    let of_prompt = [prompt, cached, cache_write, cache_write_1h, audio_prompt];
    let others = [completion, reasoning, audio_completion, images];
    let times = [receipt.queue_us, receipt.prefill_us, receipt.decode_us, receipt.busy_us];
    of_prompt.into_iter().chain(others).chain(times).all(|count| count <= MOST)
}
