//! Header names, lower case as HTTP/2 wants them.

/// Identifies one request on its whole way; the gateway makes it, the server keys its receipt by it.
pub const REQUEST_ID: &str = "x-moegate-request-id";
/// A signed [`crate::Ticket`].
pub const TICKET: &str = "x-moegate-ticket";
/// The hex HMAC over a body, see [`crate::receipt`] and [`crate::push`].
pub const SIGNATURE: &str = "x-moegate-signature";
/// Unix time in seconds at which a body was signed, see [`crate::push`].
pub const TIME: &str = "x-moegate-time";
/// [`crate::resume::WANTED`] asks a stream to list its tokens, see [`crate::resume`].
pub const RESUME: &str = "x-moegate-resume";
