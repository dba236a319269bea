//! Limits: the windows of time that a request falls into, what it may use of them, and what a client is told.

use crate::config::{Config, Day, Limit, Window};
use crate::error::{ApiError, Limited, Remaining};
use crate::ledger::operation::{Counted, Hold, Left, Refused};
use crate::metering::record::day;
use crate::metering::{DAY_MS, HOUR_MS};
use crate::routing::Target;
use moegate_wire::Nanodollars;

const MINUTE_MS: u64 = 60_000;

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A browser token, in all.
    Token,
    Key,
    /// The key that it was made with: what both use counts there together.
    Maker,
    Tenant,
    Route,
    Origin,
}

/// The limits of one scope that hold now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeHolds {
    pub scope: Scope,
    /// The shard of the ledger that keeps them.
    pub shard: String,
    pub holds: Vec<Hold>,
    /// The window's name and the soft percentage of each.
    pub terms: Vec<(Option<Window>, Option<u32>)>,
}

/// The shard that keeps a tenant's account.
#[must_use]
pub fn tenant_shard(tenant: &str) -> String {
    format!("tenant/{tenant}")
}

/// What the names of origins' shards begin with.
pub const ORIGIN_SHARD: &str = "origin/";

/// The shard that keeps an origin's limits and what its servers did.
#[must_use]
pub fn origin_shard(origin: &str) -> String {
    format!("{ORIGIN_SHARD}{origin}")
}

/// The beginning and the end of the window in which `now_ms` is, in UTC (Unix milliseconds).
#[must_use]
pub fn window(window: Window, now_ms: u64) -> (u64, u64) {
    let whole = |length: u64| {
        let from_ms = now_ms / length * length;
        (from_ms, from_ms + length)
    };
    match window {
        Window::Minute => whole(MINUTE_MS),
        Window::Hour => whole(HOUR_MS),
        Window::Day => whole(DAY_MS),
        Window::Month => {
            let first = |ms: u64| Day::parse(&format!("{}-01", &day(ms)[..7])).map_or(0, Day::start_ms);
            let from_ms = first(now_ms);
            // The first of a month and 31 days more are in the next one.
            (from_ms, first(from_ms + 31 * DAY_MS))
        }
    }
}

fn holds(
    scope: Scope,
    name: &str,
    shard: impl FnOnce() -> String,
    limits: &[Limit],
    now_ms: u64,
) -> Option<ScopeHolds> {
    if limits.is_empty() {
        return None;
    }
    let prefix = match scope {
        Scope::Key | Scope::Maker | Scope::Token => "key",
        Scope::Tenant => "tenant",
        Scope::Route => "route",
        Scope::Origin => "origin",
    };
    let hold = |limit: &Limit| {
        let (from_ms, to_ms) = limit.per.map_or((0, 0), |per| window(per, now_ms));
        Hold {
            scope: format!("{prefix}/{name}"),
            from_ms,
            to_ms,
            requests: limit.requests.or(limit.concurrent),
            tokens: limit.tokens,
            cost: limit.dollars.map(crate::config::Dollars::nanodollars),
        }
    };
    let terms = limits.iter().map(|limit| (limit.per, limit.soft_percent)).collect();
    Some(ScopeHolds { scope, shard: shard(), holds: limits.iter().map(hold).collect(), terms })
}

/// The limits that an attempt counts against, the tenant's shard first; with the key that its key was made with, and what its
/// browser token may use.
#[must_use]
pub fn of_attempt(
    config: &Config,
    key: &crate::config::Key,
    (maker, token): (Option<&crate::config::Key>, Option<&Hold>),
    target: &Target<'_>,
    now_ms: u64,
) -> Vec<ScopeHolds> {
    let tenant = key.tenant_or_name();
    let shared = config.tenants.iter().find(|known| key.tenant.as_ref() == Some(&known.name));
    let (route, origin) = (target.route, target.origin);
    let own = || tenant_shard(tenant);
    let of_token = |hold: &Hold| ScopeHolds {
        scope: Scope::Token,
        shard: own(),
        holds: vec![hold.clone()],
        terms: vec![(None, None)],
    };
    let all = [
        token.map(of_token),
        holds(Scope::Key, &key.name, own, &key.limits, now_ms),
        maker.and_then(|maker| holds(Scope::Maker, &maker.name, own, &maker.limits, now_ms)),
        shared.and_then(|shared| holds(Scope::Tenant, tenant, own, &shared.limits, now_ms)),
        holds(Scope::Route, &route.model, || format!("route/{}", route.model), &route.limits, now_ms),
        holds(Scope::Origin, &origin.name, || origin_shard(&origin.name), &origin.limits, now_ms),
    ];
    all.into_iter().flatten().collect()
}

/// What a refused client is told, and how far `max_tokens` would have to be lowered, where that helps.
#[must_use]
pub fn refusal(
    holds: &ScopeHolds,
    refused: &Refused,
    wanted: u64,
    fitting_max_tokens: Option<u64>,
    now_ms: u64,
) -> ApiError {
    let Some(hold) = holds.holds.get(refused.hold) else {
        return ApiError::internal("internal", "the ledger refused by a limit that is not there");
    };
    let (per, _) = holds.terms.get(refused.hold).copied().unwrap_or_default();
    let whose = match holds.scope {
        Scope::Token => return used_up(refused, hold),
        Scope::Key => "this key",
        Scope::Maker => "the key that this one was made with",
        Scope::Tenant => "your organisation",
        Scope::Route => "this model",
        Scope::Origin => "this model's origin",
    };
    let retry_s = u32::try_from(hold.to_ms.saturating_sub(now_ms).div_ceil(1000)).unwrap_or(u32::MAX);
    let Some(per) = per else {
        let most = hold.requests.unwrap_or(0);
        let text = format!("{whose} may have {most} requests at once, and has; try again in a moment");
        return ApiError::limited("concurrency_limit_exceeded", text, 1, None);
    };
    let per = per.name();
    let hint = fitting_max_tokens.map_or_else(String::new, |tokens| {
        format!("; with `max_tokens` of at most {tokens} (for each answer) it would fit now")
    });
    let left = |what, limit: u64| {
        let reset_ms = hold.to_ms.saturating_sub(now_ms);
        Some(Remaining { what, limit, left: limit.saturating_sub(refused.used), reset_ms })
    };
    match refused.what {
        Counted::Requests => {
            let limit = hold.requests.unwrap_or(0);
            let text = format!(
                "{whose} may send {limit} requests a {per}, and has: the next {per} begins in {retry_s} s"
            );
            ApiError::limited("requests_limit_exceeded", text, retry_s, left(Limited::Requests, limit))
        }
        Counted::Tokens => {
            let (limit, used) = (hold.tokens.unwrap_or(0), refused.used);
            let text = format!(
                "{whose} may use {limit} tokens a {per}, and {used} are used or reserved: this request could take up to {wanted}{hint}; the next {per} begins in {retry_s} s"
            );
            ApiError::limited("tokens_limit_exceeded", text, retry_s, left(Limited::Tokens, limit))
        }
        Counted::Cost => {
            let dollars = |nano: u64| Nanodollars(nano).to_dollars();
            let (limit, used) = (dollars(hold.cost.unwrap_or(0)), dollars(refused.used));
            let text = format!(
                "the budget of {whose} is {limit} dollars a {per}, and {used} are used or reserved: this request could cost up to {}{hint}; the next {per} begins in {retry_s} s",
                dollars(wanted)
            );
            ApiError::budget(text)
        }
    }
}

/// No time of waiting helps a token: 402, which no client sends again.
fn used_up(refused: &Refused, hold: &Hold) -> ApiError {
    let text = match refused.what {
        Counted::Cost => format!(
            "this token may cost {} dollars in all, and this request could exceed that: ask for a new one",
            Nanodollars(hold.cost.unwrap_or(0)).to_dollars()
        ),
        _ => format!("this token was for {} requests: ask for a new one", hold.requests.unwrap_or(0)),
    };
    ApiError::budget(text)
}

/// Of two limits of which answers tell one: that with the smaller part left.
fn tighter(one: Remaining, other: Option<Remaining>) -> Remaining {
    match other {
        Some(other)
            if u128::from(other.left) * u128::from(one.limit)
                <= u128::from(one.left) * u128::from(other.limit) =>
        {
            other
        }
        _ => one,
    }
}

/// Of the windows' requests and tokens.
#[must_use]
pub fn remaining(scopes: &[(&ScopeHolds, &[Left])], now_ms: u64) -> [Option<Remaining>; 2] {
    let mut tightest = [None, None];
    for (holds, left) in scopes {
        for (hold, left) in holds.holds.iter().zip(*left).filter(|(hold, _)| hold.to_ms > 0) {
            let reset_ms = hold.to_ms.saturating_sub(now_ms);
            for (place, what, limit, left) in [
                (0, Limited::Requests, hold.requests, left.requests),
                (1, Limited::Tokens, hold.tokens, left.tokens),
            ] {
                if let (Some(limit), Some(left)) = (limit, left) {
                    let remaining = Remaining { what, limit, left, reset_ms };
                    tightest[place] = Some(tighter(remaining, tightest[place]));
                }
            }
        }
    }
    tightest
}

/// The budgets of which more than the soft part is used or reserved: window, percent.
#[must_use]
pub fn soft_marks(holds: &ScopeHolds, left: &[Left]) -> Vec<(Scope, Window, u64)> {
    let marks = holds.holds.iter().zip(&holds.terms).zip(left).filter_map(|((hold, (per, soft)), left)| {
        let (limit, left, soft) = (hold.cost?, left.cost?, (*soft)?);
        let used = limit.saturating_sub(left);
        let percent = u64::try_from(u128::from(used) * 100 / u128::from(limit.max(1))).unwrap_or(100);
        (percent >= u64::from(soft)).then_some((holds.scope, (*per)?, percent))
    });
    marks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_in_utc() {
        // 2026-11-27T16:07:05.250Z
        let now_ms = 1_795_795_625_250;
        assert_eq!(day(now_ms), "2026-11-27");
        for (per, from_ms, to_ms) in [
            (Window::Minute, 1_795_795_620_000, 1_795_795_680_000),
            (Window::Hour, 1_795_795_200_000, 1_795_798_800_000),
            (Window::Day, 1_795_737_600_000, 1_795_824_000_000),
            (Window::Month, 1_793_491_200_000, 1_796_083_200_000),
        ] {
            assert_eq!(window(per, now_ms), (from_ms, to_ms), "{per:?}");
            assert_eq!(window(per, from_ms), (from_ms, to_ms), "{per:?}");
            assert_eq!(window(per, to_ms).0, to_ms, "{per:?}");
        }
        // A February of a leap year, and the end of a year.
        for (first, next) in [("2028-02-01", "2028-03-01"), ("2026-12-01", "2027-01-01")] {
            let ms = |text| Day::parse(text).unwrap().start_ms();
            assert_eq!(window(Window::Month, ms(first) + 5), (ms(first), ms(next)));
        }
    }

    #[test]
    fn the_tightest_limit_is_told() {
        let hold = |to_ms, requests| Hold {
            scope: "key/a".into(),
            from_ms: 0,
            to_ms,
            requests: Some(requests),
            tokens: None,
            cost: None,
        };
        let left = |requests| Left { requests: Some(requests), tokens: None, cost: None };
        let holds = ScopeHolds {
            scope: Scope::Key,
            shard: String::new(),
            holds: vec![hold(60_000, 100), hold(0, 1), hold(3_600_000, 1000)],
            terms: vec![(None, None); 3],
        };
        let told = remaining(&[(&holds, &[left(50), left(0), left(400)])], 10_000);
        assert_eq!(
            told,
            [Some(Remaining { what: Limited::Requests, limit: 1000, left: 400, reset_ms: 3_590_000 }), None]
        );
    }
}
