//! The client's body, within what one request and one instance may hold.

use super::stream::Watch;
use crate::config::Config;
use crate::error::ApiError;
use crate::platform::{BodyError, Platform};
use http::{HeaderMap, header};
use std::borrow::Cow;

const MIB: u64 = 1024 * 1024;
/// How long a client may take to send its body: the room for it is taken from all others.
const BODY_MS: u64 = 120_000;

/// A body and the room it takes; the room is free again when this is dropped.
pub(super) struct AdmittedBody<'p, P: Platform> {
    pub(super) bytes: P::Bytes,
    _room: Reservation<'p, P>,
}

struct Reservation<'p, P: Platform> {
    platform: &'p P,
    bytes: u64,
}

impl<P: Platform> Drop for Reservation<'_, P> {
    fn drop(&mut self) {
        self.platform.state(|state| state.in_flight.release(self.bytes));
    }
}

/// Reads the body.
///
/// # Errors
/// 415 for one that is compressed, 413 for one over the limit, 503 where the instance holds too many others, 400 where the client broke off, 408
/// where it takes too long.
pub(super) async fn body<'p, P: Platform>(
    platform: &'p P,
    config: &Config,
    headers: &HeaderMap,
) -> Result<AdmittedBody<'p, P>, ApiError> {
    if let Some(encoding) = encoding(headers) {
        return Err(ApiError::encoded_body(&encoding));
    }
    let limit_mib = config.gateway.max_body_mib;
    let (limit, total) = (u64::from(limit_mib) * MIB, u64::from(config.gateway.max_inflight_mib) * MIB);
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(ApiError::too_large(limit_mib));
    }
    let reserved = platform.state(|state| {
        // Without a length it may need all that is left.
        let bytes = declared.unwrap_or_else(|| limit.min(total.saturating_sub(state.in_flight.bytes())));
        let fits = (bytes > 0 || declared.is_some()) && state.in_flight.reserve(bytes, total);
        fits.then_some(bytes)
    });
    let Some(reserved) = reserved else { return Err(ApiError::too_many_bytes()) };
    let mut room = Reservation { platform, bytes: reserved };
    let until_ms = platform.now_ms() + BODY_MS;
    let read = Watch::new(platform).run_unattended(platform.read_body(reserved as usize), until_ms).await;
    let bytes = read.ok_or_else(ApiError::body_timeout)?.map_err(|error| match error {
        BodyError::TooLarge if reserved < limit && declared.is_none() => ApiError::too_many_bytes(),
        BodyError::TooLarge => ApiError::too_large(limit_mib),
        BodyError::Broken => {
            ApiError::invalid("body_broken", None, "the request body broke off; send it again")
        }
    })?;
    let spare = room.bytes.saturating_sub(bytes.len() as u64);
    platform.state(|state| state.in_flight.release(spare));
    room.bytes -= spare;
    Ok(AdmittedBody { bytes, _room: room })
}

/// How the body is encoded, if it is.
fn encoding(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = String::from_utf8_lossy(headers.get(header::CONTENT_ENCODING)?.as_bytes());
    let none = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    (!value.split(',').all(|name| none(name.trim()))).then_some(value)
}
