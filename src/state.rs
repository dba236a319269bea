//! What an instance of the gateway remembers from one request to the next. All of it may be lost at any time.

use crate::auth::made::NoteCache;
use crate::auth::oidc::jwks::JwksCache;
use crate::current::Current;
use crate::ledger::Untold;
use crate::resilience::admission::BytesInFlight;
use crate::resilience::health::Health;
use crate::resilience::idempotency::IdempotencyCache;
use crate::resilience::refusals::Refusals;
use crate::signing::token_cache::TokenCache;
use crate::trace::Exports;
use crate::wake::OriginCache;

#[derive(Debug, Default)]
pub struct InstanceState {
    pub health: Health,
    pub idempotency: IdempotencyCache,
    pub in_flight: BytesInFlight,
    pub refusals: Refusals,
    pub tokens: TokenCache,
    pub untold: Untold,
    pub current: Current,
    pub made_keys: NoteCache,
    pub issuers: JwksCache,
    pub origins: OriginCache,
    pub exports: Exports,
    /// Whether it stands in the log which secrets are missing.
    pub told_missing: bool,
    /// When this instance looked for forgotten attempts, in Unix milliseconds.
    pub swept_ms: u64,
    /// Until then the ledger seems not to answer, in Unix milliseconds.
    #[cfg(feature = "fault-injection")]
    pub ledger_down_until_ms: u64,
}
