//! The ticket: what the gateway tells its own origin about a request, signed with the origin's key.
//!
//! It rides in the header [`crate::header::TICKET`] as `v3.<id>.<issued>.<price>.<share>.<hmac>`, with the price as
//! [`Price::to_text`] writes it; the price lets the server write the cost into a streamed answer that the gateway never
//! reads.
//!
//! A server also takes what older gateways send: `v2.<id>.<issued>.<price>.<hmac>` and
//! `v1.<id>.<issued>.<input>.<cached>.<output>.<hmac>`. One that does not know a version refuses it as malformed (401),
//! before it computes anything: servers are updated first.

use crate::price::{Price, Rates};
use crate::sign;

const LABEL: &str = "moegate-ticket-v1";
const SHARE_LABEL: &str = "moegate-share-v1";
/// How far a ticket's time may lie from the server's clock, in seconds, either way.
pub const MAX_SKEW_S: u64 = 300;

/// A request's id and price, and whom it may share with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// 1 to 64 characters of `[A-Za-z0-9_-]`.
    pub request_id: String,
    /// Unix time in seconds.
    pub issued_at: u64,
    pub price: Price,
    /// Requests with the same one may take over what was computed for each other's beginnings; see [`share`]. Empty: an
    /// older gateway says nothing.
    pub share: String,
}

/// What stands for a tenant in its tickets: 32 hex digits that nobody without the origin's key can make or read, since
/// how fast an answer begins tells whether another prompt with the same one began alike.
#[must_use]
pub fn share(key: &[u8], tenant: &str) -> String {
    let mut text = sign::sign(key, SHARE_LABEL, tenant.as_bytes());
    text.truncate(32);
    text
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
        let price = self.price.to_text();
        let mut text = format!("v3.{}.{}.{price}.{}", self.request_id, self.issued_at, self.share);
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
        let number = |text: &str| text.parse::<u64>().map_err(|_| Malformed);
        let (id, issued, price, share) = match fields[..] {
            ["v3", id, issued, price, share] => {
                (id, issued, Price::from_text(price).ok_or(Malformed)?, share.to_owned())
            }
            ["v2", id, issued, price] => {
                (id, issued, Price::from_text(price).ok_or(Malformed)?, String::new())
            }
            ["v1", id, issued, input, cached, output] => {
                let rates = Rates::of_tokens(number(input)?, number(output)?);
                (id, issued, Rates { cached_input: number(cached)?, ..rates }.into(), String::new())
            }
            _ => return Err(Malformed),
        };
        if !is_request_id(id) {
            return Err(Malformed);
        }
        let ticket = Self { request_id: id.to_owned(), issued_at: number(issued)?, price, share };
        if ticket.issued_at.abs_diff(now) > MAX_SKEW_S {
            return Err(Expired);
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::price::Step;

    fn ticket() -> Ticket {
        let rates = Rates { cached_input: 2, request: 9, ..Rates::of_tokens(1, 3) };
        let steps = vec![Step { above: 200_000, rates: Rates { audio_output: 7, ..rates } }];
        Ticket {
            request_id: "req_01-A".into(),
            issued_at: 1_000,
            price: Price { rates, steps, gpu_hour: 2_490_000_000 },
            share: share(b"k", "acme"),
        }
    }

    #[test]
    fn round_trips() {
        let text = ticket().encode(b"k");
        assert!(
            text.starts_with("v3.req_01-A.1000.2490000000-1-2-1-1-1-3-3-3-0-9_200000-1-2-1-1-1-3-3-7-0-9.")
        );
        assert_eq!(Ticket::decode(&text, b"k", 1_000 + MAX_SKEW_S), Ok(ticket()));
    }

    #[test]
    fn tenants_share_with_themselves_alone() {
        assert_eq!(share(b"k", "acme"), share(b"k", "acme"));
        assert!(share(b"k", "acme") != share(b"k", "other") && share(b"k", "acme") != share(b"l", "acme"));
        assert!(share(b"k", "acme").len() == 32 && is_request_id(&share(b"k", "acme")));
    }

    #[test]
    fn one_of_an_older_gateway_is_taken() {
        let Ticket { price, .. } = ticket();
        let signed = format!("v2.req_01-A.1000.{}", price.to_text());
        let text = format!("{signed}.{}", sign::sign(b"k", LABEL, signed.as_bytes()));
        assert_eq!(Ticket::decode(&text, b"k", 1_000), Ok(Ticket { share: String::new(), ..ticket() }));
        let signed = "v1.req_01-A.1000.1.2.3";
        let text = format!("{signed}.{}", sign::sign(b"k", LABEL, signed.as_bytes()));
        let price = Rates { cached_input: 2, ..Rates::of_tokens(1, 3) }.into();
        assert_eq!(
            Ticket::decode(&text, b"k", 1_000),
            Ok(Ticket { price, share: String::new(), ..ticket() })
        );
    }

    #[test]
    fn is_refused_when_changed_foreign_or_old() {
        let text = ticket().encode(b"k");
        assert_eq!(Ticket::decode(&text.replace("-3-", "-0-"), b"k", 1_000), Err(TicketError::BadSignature));
        assert_eq!(Ticket::decode(&text, b"other", 1_000), Err(TicketError::BadSignature));
        assert_eq!(Ticket::decode(&text, b"k", 1_001 + MAX_SKEW_S), Err(TicketError::Expired));
        assert_eq!(Ticket::decode("", b"k", 1_000), Err(TicketError::Malformed));
        let odd = Ticket { request_id: "a b".into(), ..ticket() };
        assert_eq!(Ticket::decode(&odd.encode(b"k"), b"k", 1_000), Err(TicketError::Malformed));
        for signed in [
            "v4.req.1000.0.x",
            "v3.req.1000.0",
            "v2.req.1000",
            "v2.req.1000.0-1",
            "v1.req.1000.1.2",
            "v2.req.x.0",
        ] {
            let text = format!("{signed}.{}", sign::sign(b"k", LABEL, signed.as_bytes()));
            assert_eq!(Ticket::decode(&text, b"k", 1_000), Err(TicketError::Malformed), "{signed}");
        }
    }
}
