//! `--require-ticket`: a generation is computed only for a ticket of the gateway's, and once for each.
//!
//! A ticket has a time and an id that is never used twice, and its signature covers both. What was taken is remembered until
//! its ticket is too old to be taken anyway ([`MAX_SKEW_S`] after its time). The memory is this process's: after a restart,
//! a ticket that was taken before it is taken once more until it is too old.

use super::error::ApiError;
use axum::http::{HeaderMap, StatusCode};
use moegate_wire::Ticket;
use moegate_wire::header::TICKET;
use moegate_wire::ticket::MAX_SKEW_S;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Tickets that are remembered. Only tickets with a right signature are, so no stranger fills it: over the ten minutes for
/// which a ticket may hold, this is 436 requests a second. At most 16 MiB.
const CAPACITY: usize = 1 << 18;
/// The least time between two looks for tickets that have become too old, in seconds.
const SWEEP_EVERY_S: u64 = 10;

/// The tickets that were taken.
#[derive(Debug)]
pub struct Spent {
    capacity: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By the first half of the signature: the last second in which the ticket would be taken.
    until_s: HashMap<u128, u64>,
    swept_s: u64,
}

impl Default for Spent {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Spent {
    fn with_capacity(capacity: usize) -> Self {
        Self { capacity, table: Mutex::default() }
    }

    /// Takes the request's ticket, which has been checked; `now_s` is Unix time in seconds.
    ///
    /// # Errors
    /// 401 `ticket_required` without one, 401 `ticket_replayed` where it was taken before, 503 `tickets_full` where no more
    /// can be remembered.
    pub(super) fn take(
        &self,
        ticket: Option<&Ticket>,
        headers: &HeaderMap,
        now_s: u64,
    ) -> Result<(), ApiError> {
        let text = headers.get(TICKET).and_then(|value| value.to_str().ok());
        let signature = text.and_then(|text| text.rsplit_once('.')).and_then(|(_, hex)| number(hex));
        let (Some(ticket), Some(signature)) = (ticket, signature) else {
            let message = format!(
                "this server computes for its gateway only (--require-ticket): the request has no {TICKET}, which the \
                 gateway signs; send the request to the gateway"
            );
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "ticket_required", message));
        };
        // Nothing panics half way through a change.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.until_s.len() >= self.capacity;
        if now_s >= table.swept_s.saturating_add(SWEEP_EVERY_S) || full && now_s > table.swept_s {
            table.swept_s = now_s;
            table.until_s.retain(|_, until_s| *until_s >= now_s);
        }
        if table.until_s.contains_key(&signature) {
            let message = format!(
                "{TICKET}: this ticket was used before; the gateway makes a new one for each request"
            );
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "ticket_replayed", message));
        }
        if table.until_s.len() >= self.capacity {
            let message = "this server has taken so many tickets in the last minutes that it could not tell a repeated one; \
                           try again after the seconds that Retry-After says";
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "tickets_full", message);
            return Err(ApiError { retry_after_s: Some(30), ..error });
        }
        table.until_s.insert(signature, ticket.issued_at.saturating_add(MAX_SKEW_S));
        Ok(())
    }
}

/// The first 128 bits of a signature, which is one in any case of its letters.
fn number(hex: &str) -> Option<u128> {
    u128::from_str_radix(hex.get(..32)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use moegate_wire::Rates;

    fn shown(id: &str, issued_at: u64) -> (Ticket, HeaderMap) {
        let price = Rates::of_tokens(1, 1).into();
        let ticket = Ticket { request_id: id.into(), issued_at, price, share: String::new() };
        let mut headers = HeaderMap::new();
        headers.insert(TICKET, ticket.encode(b"key").parse().unwrap());
        (ticket, headers)
    }

    fn take(spent: &Spent, id: &str, issued_at: u64, now_s: u64) -> Result<(), &'static str> {
        let (ticket, headers) = shown(id, issued_at);
        spent.take(Some(&ticket), &headers, now_s).map_err(|error| error.code)
    }

    #[test]
    fn each_is_taken_once_for_as_long_as_it_holds() {
        let spent = Spent::default();
        assert_eq!(take(&spent, "a", 1_000, 1_000), Ok(()));
        assert_eq!(take(&spent, "b", 1_000, 1_000), Ok(()));
        for now_s in [1_000, 1_011, 1_000 + MAX_SKEW_S] {
            assert_eq!(take(&spent, "a", 1_000, now_s), Err("ticket_replayed"), "{now_s}");
        }
        // From a clock that is ahead: it holds longest.
        assert_eq!(take(&spent, "c", 1_000 + MAX_SKEW_S, 1_000), Ok(()));
        assert_eq!(take(&spent, "c", 1_000 + MAX_SKEW_S, 1_000 + 2 * MAX_SKEW_S), Err("ticket_replayed"));
        assert_eq!(spent.table.lock().unwrap().until_s.len(), 1, "those that are too old are forgotten");
        let (ticket, headers) = shown("a", 1_000);
        let upper = headers[TICKET].to_str().unwrap();
        let (signed, signature) = upper.rsplit_once('.').unwrap();
        let mut changed = HeaderMap::new();
        changed.insert(TICKET, format!("{signed}.{}", signature.to_uppercase()).parse().unwrap());
        let spent = Spent::default();
        assert_eq!(spent.take(Some(&ticket), &headers, 1_000), Ok(()));
        assert_eq!(spent.take(Some(&ticket), &changed, 1_000).unwrap_err().code, "ticket_replayed");
    }

    #[test]
    fn none_is_refused() {
        assert_eq!(
            Spent::default().take(None, &HeaderMap::new(), 1_000).unwrap_err().code,
            "ticket_required"
        );
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let spent = Spent::with_capacity(2);
        assert_eq!(take(&spent, "a", 1_000, 1_000), Ok(()));
        assert_eq!(take(&spent, "b", 1_100, 1_100), Ok(()));
        assert_eq!(take(&spent, "c", 1_101, 1_101), Err("tickets_full"));
        assert_eq!(take(&spent, "a", 1_000, 1_101), Err("ticket_replayed"));
        assert_eq!(take(&spent, "c", 1_301, 1_301), Ok(()));
        assert_eq!(take(&spent, "b", 1_100, 1_301), Err("ticket_replayed"));
    }
}
