//! The ticket: what the gateway tells its own origin about a request, signed with the origin's key.
//!
//! It rides in the header [`crate::header::TICKET`] as `v1.<id>.<issued>.<input>.<cached>.<output>.<hmac>`; the
//! price lets the server write the cost into a streamed answer that the gateway never reads.

use crate::price::Price;
use crate::sign;

const LABEL: &str = "moegate-ticket-v1";
/// How far a ticket's time may lie from the server's clock, in seconds, either way.
pub const MAX_SKEW_S: u64 = 300;

/// A request's id and price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// 1 to 64 characters of `[A-Za-z0-9_-]`.
    pub request_id: String,
    /// Unix time in seconds.
    pub issued_at: u64,
    pub price: Price,
}

/// Why a ticket was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketError {
    Malformed,
    BadSignature,
    /// Outside [`MAX_SKEW_S`].
    Expired,
}

impl std::fmt::Display for TicketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the ticket is malformed",
            Self::BadSignature => "the ticket's signature does not match this origin's key",
            Self::Expired => "the ticket is older than five minutes, or the two clocks disagree",
        })
    }
}

impl std::error::Error for TicketError {}

/// Whether `id` may name a request: 1 to 64 characters of `[A-Za-z0-9_-]`.
#[must_use]
pub fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Ticket {
    /// The header's value.
    #[must_use]
    pub fn encode(&self, key: &[u8]) -> String {
        // Nobody of ours has a price for writing to a cache.
        let Price { input, cached_input, cache_write: _, output } = self.price;
        let mut text = format!("v1.{}.{}.{input}.{cached_input}.{output}", self.request_id, self.issued_at);
        let signature = sign::sign(key, LABEL, text.as_bytes());
        text.push('.');
        text.push_str(&signature);
        text
    }

    /// Checks signature, shape and age; `now` is unix time in seconds.
    ///
    /// # Errors
    /// See [`TicketError`].
    pub fn decode(text: &str, key: &[u8], now: u64) -> Result<Self, TicketError> {
        use TicketError::{BadSignature, Expired, Malformed};
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed)?;
        if !sign::verify(key, LABEL, signed.as_bytes(), signature) {
            return Err(BadSignature);
        }
        let fields: Vec<&str> = signed.split('.').collect();
        let ["v1", id, issued, input, cached, output] = fields[..] else { return Err(Malformed) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| Malformed);
        if !is_request_id(id) {
            return Err(Malformed);
        }
        let ticket = Self {
            request_id: id.to_owned(),
            issued_at: number(issued)?,
            price: {
                let input = number(input)?;
                Price { input, cached_input: number(cached)?, cache_write: input, output: number(output)? }
            },
        };
        if ticket.issued_at.abs_diff(now) > MAX_SKEW_S {
            return Err(Expired);
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            request_id: "req_01-A".into(),
            issued_at: 1_000,
            price: Price { input: 1, cached_input: 2, cache_write: 1, output: 3 },
        }
    }

    #[test]
    fn round_trips() {
        let text = ticket().encode(b"k");
        assert!(text.starts_with("v1.req_01-A.1000.1.2.3."));
        assert_eq!(Ticket::decode(&text, b"k", 1_000 + MAX_SKEW_S), Ok(ticket()));
    }

    #[test]
    fn is_refused_when_changed_foreign_or_old() {
        let text = ticket().encode(b"k");
        assert_eq!(Ticket::decode(&text.replace(".3.", ".0."), b"k", 1_000), Err(TicketError::BadSignature));
        assert_eq!(Ticket::decode(&text, b"other", 1_000), Err(TicketError::BadSignature));
        assert_eq!(Ticket::decode(&text, b"k", 1_001 + MAX_SKEW_S), Err(TicketError::Expired));
        assert_eq!(Ticket::decode("", b"k", 1_000), Err(TicketError::Malformed));
        let odd = Ticket { request_id: "a b".into(), ..ticket() };
        assert_eq!(Ticket::decode(&odd.encode(b"k"), b"k", 1_000), Err(TicketError::Malformed));
    }
}
