//! What keeps a request going where origins fail, and the gateway going where clients ask for too much. Pure.
//!
//! - [`retry`]: one request's attempts under one budget. [`retry_after`]: what origins ask for.
//! - [`health`]: circuit breakers and retry budgets of all origins, as this instance knows them.
//! - [`idempotency`]: requests that come again. [`refusals`]: what origins do not take of the gateway's own additions.
//! - [`admission`]: bytes that the requests in flight hold.

pub mod admission;
mod circuit_breaker;
pub mod health;
pub mod idempotency;
pub mod refusals;
pub mod retry;
pub mod retry_after;
mod retry_budget;
