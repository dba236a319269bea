//! Room in the ledger for an attempt, before it is sent.

use super::context::RequestContext;
use super::ledger::{ask, tell};
use super::reply;
use crate::config::{LedgerStore, OnLedgerFailure, ReserveOrder};
use crate::error::{ApiError, Remaining};
use crate::ledger::operation::{Amounts, Hold, Left, Reserve, Written};
use crate::ledger::{Operation, Outcome};
use crate::metering::bound::Bound;
use crate::metering::limit::{self, Scope, ScopeHolds};
use crate::metering::record::{Record, State};
use crate::platform::{Platform, Urgency};
use crate::routing::Target;
use http::{HeaderMap, HeaderName};
use moegate_wire::{Ending, Nanodollars, Price, Usage};

/// How long after a request's own time its attempts count as forgotten, in milliseconds: receipts are asked for meanwhile.
const GRACE_MS: u64 = 60_000;

/// What is held for an attempt, by shard; the tenant's, which has its record, is the first.
pub(super) struct Reservation {
    pub(super) amounts: Amounts,
    pub(super) shards: Vec<Shard>,
    /// Whether the ledger has said so. Where not, the attempt is sent without (`on_ledger_failure = "open"`).
    pub(super) confirmed: bool,
}

pub(super) struct Shard {
    pub(super) name: String,
    pub(super) holds: Vec<Hold>,
}

impl Shard {
    /// What counts there: at an origin each attempt is a request.
    pub(super) fn amounts(&self, amounts: Amounts) -> Amounts {
        let of_origin = self.name.starts_with(limit::ORIGIN_SHARD);
        Amounts { requests: if of_origin { 1 } else { amounts.requests }, ..amounts }
    }

    /// The attempt's id there, the shard being the `at`th of its reservation: all shards may be one database.
    pub(super) fn id(&self, id: &str, at: usize) -> String {
        if at == 0 { id.to_owned() } else { format!("{id}@{}", self.name) }
    }
}

/// A reservation that has to be made.
pub(super) struct Plan {
    pub(super) reservation: Reservation,
    id: String,
    record: Record,
    until_ms: u64,
    scopes: Vec<ScopeHolds>,
    bound: Bound,
    price: Price,
}

/// What answers say of limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Of requests and of tokens.
    pub(super) remaining: [Option<Remaining>; 2],
    /// Budgets near their end, as they stand in a header.
    pub(super) budgets: Vec<String>,
}

impl Told {
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for remaining in self.remaining.iter().flatten() {
            reply::remaining(headers, remaining);
        }
        if !self.budgets.is_empty() {
            reply::insert(headers, BUDGET, &self.budgets.join(", "));
        }
    }
}

const BUDGET: HeaderName = HeaderName::from_static("x-moegate-budget");

/// Why an attempt is not sent.
pub(super) struct NotReserved {
    pub(super) error: ApiError,
    /// Whether another origin may be asked.
    pub(super) of_origin: bool,
}

impl<'a, P: Platform> RequestContext<'a, P> {
    /// Whether an attempt waits for its reservation.
    pub(super) fn reserves_first(&self, plan: &Plan) -> bool {
        !plan.scopes.is_empty()
            || self.config.ledger.reserve == ReserveOrder::First
            || !P::LEDGER_OUTLIVES_INSTANCE
    }

    /// What has to be reserved for an attempt; `None` where there is no ledger.
    pub(super) fn plan_reservation(&self, target: &Target<'a>, id: &str, now_ms: u64) -> Option<Plan> {
        if self.config.ledger.store == LedgerStore::KeyValue {
            return None;
        }
        let number = self.attempts.len() as u32 + 1;
        let bound = Bound::of(self.facts.size, target);
        let price = target.price_at(now_ms);
        let amounts = bound.amounts(&price, number == 1);
        let scopes = limit::of_attempt(self.config, self.key, (self.maker, self.hold), target, now_ms);
        Some(self.plan_of((target, id, number, now_ms), amounts, bound, scopes))
    }

    /// What has to be reserved for an answer out of the cache: a request, which takes no tokens and asks no origin.
    pub(super) fn plan_cached(&self, target: &Target<'a>, now_ms: u64) -> Option<Plan> {
        if self.config.ledger.store == LedgerStore::KeyValue {
            return None;
        }
        let amounts = Amounts { requests: 1, ..Amounts::default() };
        let mut scopes = limit::of_attempt(self.config, self.key, (self.maker, self.hold), target, now_ms);
        scopes.retain(|scope| scope.scope != Scope::Origin);
        let bound = Bound::of(self.facts.size, target);
        let mut plan = self.plan_of((target, &self.id, 1, now_ms), amounts, bound, scopes);
        plan.record.cache_hit = true;
        Some(plan)
    }

    /// The attempt: target, id, number, when it begins.
    fn plan_of(
        &self,
        (target, id, number, now_ms): (&Target<'a>, &str, u32, u64),
        amounts: Amounts,
        bound: Bound,
        scopes: Vec<ScopeHolds>,
    ) -> Plan {
        let mut shards =
            vec![Shard { name: limit::tenant_shard(self.key.tenant_or_name()), holds: Vec::new() }];
        for ScopeHolds { shard, holds, .. } in &scopes {
            match shards.iter_mut().find(|known| known.name == *shard) {
                Some(known) => known.holds.extend_from_slice(holds),
                None => shards.push(Shard { name: shard.clone(), holds: holds.clone() }),
            }
        }
        let record = Record {
            state: State::Pending,
            ending: Ending::Running,
            metered: false,
            status: 0,
            cost_nanodollars: Nanodollars(amounts.cost),
            ..self.record(target, id, number, now_ms, &amounts)
        };
        let until_ms = self.retry.deadline_ms() + GRACE_MS;
        let reservation = Reservation { amounts, shards, confirmed: false };
        let price = target.price_at(now_ms);
        Plan { reservation, id: id.to_owned(), record, until_ms, scopes, bound, price }
    }

    /// Whether the limits have room for an attempt at that target. Nothing stays reserved.
    pub(super) async fn check_limits(&mut self, target: &Target<'a>) -> Result<(), NotReserved> {
        let now_ms = self.platform.now_ms();
        let Some(mut plan) = self.plan_reservation(target, &format!("{}-w", self.id), now_ms) else {
            return Ok(());
        };
        if plan.scopes.is_empty() {
            return Ok(());
        }
        self.limits = reserve(self.platform, &mut plan, self.route.on_ledger_failure, now_ms, false).await?;
        for (at, shard) in plan.reservation.shards.iter().enumerate() {
            let release = Operation::Release { id: shard.id(&plan.id, at) };
            tell(self.platform, &shard.name, &release, Urgency::Now).await;
        }
        Ok(())
    }

    /// What is known of an attempt's record from the beginning.
    pub(super) fn record(
        &self,
        target: &Target<'_>,
        id: &str,
        number: u32,
        began_ms: u64,
        bound: &Amounts,
    ) -> Record {
        Record {
            id: id.to_owned(),
            state: State::Settled,
            attempt: number,
            last: true,
            failure: None,
            key: self.key.name.clone(),
            tenant: self.key.tenant_or_name().to_owned(),
            model: self.facts.model.clone(),
            route: target.route.model.clone(),
            user: self.facts.user.clone(),
            tag: self.tag.clone(),
            served_model: target.model.name.clone(),
            origin: target.origin.name.clone(),
            stream: self.facts.stream,
            status: 200,
            ending: Ending::Complete,
            usage: Usage::default(),
            metered: true,
            inferred: false,
            cost_nanodollars: Nanodollars(0),
            bound_nanodollars: bound.cost,
            bound_tokens: bound.tokens,
            price: target.price_version(began_ms),
            config: Some(self.version),
            upstream_cost_nanodollars: None,
            started_ms: began_ms,
            head_after_ms: 0,
            ended_after_ms: 0,
            origin_time: None,
            busy_us: 0,
            cache_hit: false,
        }
    }
}

/// Reserves in every shard, or in none. `sent`: whether the attempt is under way meanwhile.
///
/// # Errors
/// 429 or 402 where a limit would be exceeded, 503 where the ledger does not answer and the route does not allow to do
/// without.
pub(super) async fn reserve<P: Platform>(
    platform: &P,
    plan: &mut Plan,
    on_failure: OnLedgerFailure,
    now_ms: u64,
    sent: bool,
) -> Result<Told, NotReserved> {
    let shards = &plan.reservation.shards;
    let mut lefts: Vec<Vec<Left>> = vec![Vec::new(); shards.len()];
    // The origin's first: where that refuses, nothing is held yet, and the next origin's attempt has the same id.
    for at in (0..shards.len()).rev() {
        let shard = &shards[at];
        let operation = Operation::Reserve(Reserve {
            id: shard.id(&plan.id, at),
            until_ms: plan.until_ms,
            amounts: shard.amounts(plan.reservation.amounts),
            holds: shard.holds.clone(),
            record: if at == 0 { Written::of(&plan.record) } else { None },
        });
        match ask(platform, &shard.name, &operation).await {
            Ok(Outcome::Reserved { left }) => lefts[at] = left,
            Ok(Outcome::Refused(refused)) => {
                release(platform, shards, at + 1, &plan.id);
                return Err(plan.refusal(at, refused, now_ms));
            }
            _ if on_failure == OnLedgerFailure::Open => return Ok(Told::default()),
            _ => {
                // One that is under way is settled.
                if !sent {
                    release(platform, shards, at, &plan.id);
                }
                return Err(NotReserved { error: ApiError::ledger_unavailable(), of_origin: false });
            }
        }
    }
    plan.reservation.confirmed = true;
    Ok(plan.told(&lefts, now_ms))
}

/// Gives room back that is not used, in the shards from that one on: behind the request, which does not wait for it.
fn release<P: Platform>(platform: &P, shards: &[Shard], from: usize, id: &str) {
    for (at, shard) in shards.iter().enumerate().skip(from) {
        let release = Operation::Release { id: shard.id(id, at) };
        if let Ok(operation) = serde_json::to_string(&release) {
            platform.state(|state| state.untold.push(&shard.name, operation));
        }
    }
}

impl Plan {
    /// Whether any limit holds.
    pub(super) fn is_limited(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// The scopes that a shard keeps, each with the place of its first hold there.
    fn scopes_of(&self, shard: usize) -> impl Iterator<Item = (usize, &ScopeHolds)> {
        let name = &self.reservation.shards[shard].name;
        let mut at = 0;
        self.scopes.iter().filter(move |scope| scope.shard == *name).map(move |scope| {
            let from = at;
            at += scope.holds.len();
            (from, scope)
        })
    }

    fn refusal(
        &self,
        shard: usize,
        mut refused: crate::ledger::operation::Refused,
        now_ms: u64,
    ) -> NotReserved {
        let amounts = self.reservation.amounts;
        for (from, scope) in self.scopes_of(shard) {
            if (from..from + scope.holds.len()).contains(&refused.hold) {
                refused.hold -= from;
                let wanted = match refused.what {
                    crate::ledger::operation::Counted::Cost => amounts.cost,
                    _ => amounts.tokens,
                };
                let fitting = self.bound.fitting(&self.price, scope, &refused);
                let error = limit::refusal(scope, &refused, wanted, fitting, now_ms);
                return NotReserved { error, of_origin: scope.scope == Scope::Origin };
            }
        }
        let error = ApiError::internal("internal", "the ledger refused by a limit that is not there");
        NotReserved { error, of_origin: false }
    }

    fn told(&self, lefts: &[Vec<Left>], now_ms: u64) -> Told {
        let mut scopes = Vec::new();
        let mut budgets = Vec::new();
        for (shard, left) in lefts.iter().enumerate() {
            for (from, scope) in self.scopes_of(shard) {
                // None where the reservation had been made before: its answer was lost.
                let Some(left) = left.get(from..from + scope.holds.len()) else { continue };
                if matches!(scope.scope, Scope::Key | Scope::Maker | Scope::Tenant) {
                    scopes.push((scope, left));
                    for (scope, window, percent) in limit::soft_marks(scope, left) {
                        let whose = match scope {
                            Scope::Key => "key",
                            Scope::Maker => "maker",
                            _ => "tenant",
                        };
                        budgets.push(format!("{whose};per={};used={percent}", window.name()));
                    }
                }
            }
        }
        Told { remaining: limit::remaining(&scopes, now_ms), budgets }
    }
}
