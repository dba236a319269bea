//! Origins that sleep: whether one takes work, waking it, and what becomes of requests meanwhile.
//!
//! Nothing is asked of an origin that has just worked. One that has not for `wake.sleep_after_s` is looked up in the ledger
//! and asked; if it sleeps, an admitted request whose limits allow it wakes it. On Workers the shard's own alarm leads the
//! wake ([`lead_by_alarm`]); elsewhere a request that waits does, or one that was served by another origin.

mod calls;
mod errors;
mod hold;
mod lead;

use super::Gateway;
use super::context::RequestContext;
use super::reply;
use super::reserve::NotReserved;
use crate::config::{Cold, Failure, Origin, Wake};
use crate::error::ApiError;
use crate::metering::limit::ORIGIN_SHARD;
use crate::platform::Platform;
use crate::routing::Target;
use crate::wake::{Ask, CAP_MS, Lifecycle, Refused, WokenBy};
use calls::Probed;
use http::{HeaderMap, HeaderValue};
use lead::Sleeper;
use moegate_wire::OriginState;

/// Others of this instance wait so long for who is finding out.
const FINDING_OUT_MS: u64 = 6_000;
const LOOK_AGAIN_MS: u64 = 25;
/// What was seen of a row so recently still holds.
const FRESH_MS: u64 = 1_000;
/// A request that meets the origin asleep more often than that has failed there.
const MOST_FOUND_ASLEEP: u32 = 2;
/// Who leads wakes where shards have alarms.
const ALARM: &str = "alarm";

/// How long an alarm leads a wake at a time.
const ALARM_MS: u64 = 20_000;

/// What follows for a request.
pub(super) enum Turn {
    /// The origin has just worked.
    Go,
    /// It takes work now: what was decided before may not hold any more.
    Again,
    /// Another origin is to be asked.
    LeaveOut(ApiError),
    /// None is.
    GiveUp(ApiError),
    ClientLeft,
}

/// How an origin is.
enum Found {
    Ready,
    Waking(Lifecycle),
    /// It is not woken.
    Refused(Lifecycle, Refused),
}

/// What an origin that sleeps has to do with a request.
#[derive(Debug, Default)]
pub(super) struct WakeState<'a> {
    /// The target that is left out since it wakes: it is waited for if no other answers.
    passed: Option<usize>,
    /// Whether it is waited for, whatever the route says.
    waits: bool,
    /// How often an origin was found asleep by sending it the request.
    found_asleep: u32,
    /// Where an origin was met that did not take work: its place in the configuration.
    met: Option<usize>,
    /// Where this request has begun a wake that it leads.
    woke: Option<Target<'a>>,
    /// Where it was answered.
    used: Option<Target<'a>>,
    /// Whether it has waited.
    pub(super) held: bool,
}

/// Somebody is finding out how an origin is, until this is dropped.
struct Asking<'a, P: Platform> {
    platform: &'a P,
    origin: usize,
}

impl<P: Platform> Drop for Asking<'_, P> {
    fn drop(&mut self) {
        self.platform.state(|state| state.origins.of(self.origin).asked_until_ms = 0);
    }
}

impl<'a, P: Platform> RequestContext<'a, P> {
    fn sleeper(&self, target: &Target<'a>, wake: &'a Wake) -> Sleeper<'a, P> {
        Sleeper {
            platform: self.platform,
            origin: target.origin,
            wake,
            at: target.index.origin,
            holder: holder::<P>(&self.id),
        }
    }

    /// Whether a target's origin takes work; where not, what follows for the request.
    pub(super) async fn awake(&mut self, at: usize, target: &Target<'a>) -> Turn {
        let Some(wake) = &target.origin.wake else { return Turn::Go };
        let now_ms = self.platform.now_ms();
        if self.platform.state(|state| is_awake(state.origins.of(target.index.origin).ready_ms, wake, now_ms))
        {
            return Turn::Go;
        }
        let sleeper = self.sleeper(target, wake);
        let found = match self.find_out(&sleeper, target).await {
            Ok(found) => found,
            Err(turn) => return turn,
        };
        let (row, refused) = match found {
            Found::Ready => return Turn::Again,
            Found::Waking(row) => (row, None),
            Found::Refused(row, refused) => (row, Some(refused)),
        };
        self.wake.met = Some(target.index.origin);
        let others = self.retry.has_fresh_besides(at);
        let several = self.retry.targets().iter().any(|other| other.index.origin != target.index.origin);
        let usual = if several { Cold::Fallback } else { Cold::Hold };
        let cold = if self.wake.waits { Cold::Hold } else { self.route.cold.unwrap_or(usual) };
        let now_ms = self.platform.now_ms();
        match (cold, refused) {
            (Cold::Fallback, None) if others => {
                self.wake.passed.get_or_insert(at);
                Turn::LeaveOut(errors::waking(&row, now_ms))
            }
            (_, Some(refused)) => Turn::LeaveOut(errors::not_woken(&row, &refused, now_ms)),
            (Cold::Refuse, None) => Turn::GiveUp(errors::waking(&row, now_ms)),
            (Cold::Hold | Cold::Fallback, None) => self.hold(&sleeper, row).await,
        }
    }

    /// Finds out how an origin is that has not worked for a while, and wakes it if it sleeps. One request of an instance
    /// does so at a time.
    async fn find_out(&mut self, sleeper: &Sleeper<'a, P>, target: &Target<'a>) -> Result<Found, Turn> {
        loop {
            let now_ms = self.platform.now_ms();
            let known = self.platform.state(|state| {
                let known = state.origins.of(sleeper.at);
                if is_awake(known.ready_ms, sleeper.wake, now_ms) {
                    return Some(Some(Found::Ready));
                }
                if let Some(row) =
                    known.fresh(now_ms, FRESH_MS).filter(|row| row.state == OriginState::Waking)
                {
                    return Some(Some(Found::Waking(row.clone())));
                }
                if known.asked_until_ms > now_ms {
                    return Some(None);
                }
                known.asked_until_ms = now_ms + FINDING_OUT_MS;
                None
            });
            match known {
                Some(Some(found)) => return Ok(found),
                Some(None) => {
                    if self.watch.sleep(LOOK_AGAIN_MS).await.is_err() {
                        return Err(Turn::ClientLeft);
                    }
                }
                None => break,
            }
        }
        let _asking = Asking { platform: self.platform, origin: sleeper.at };
        let found = self.ask_origin(sleeper, target).await;
        if matches!(found, Ok(Found::Ready)) {
            let now_ms = self.platform.now_ms();
            self.platform.state(|state| state.origins.of(sleeper.at).ready_ms = now_ms);
        }
        found
    }

    async fn ask_origin(&mut self, sleeper: &Sleeper<'a, P>, target: &Target<'a>) -> Result<Found, Turn> {
        // Where the ledger does not answer, the attempt finds out, if it may be sent at all.
        let answer = sleeper.row(Ask::Look).await.ok_or(Turn::Go)?;
        let now_ms = self.platform.now_ms();
        let row = answer.lifecycle;
        match row.state {
            OriginState::Waking => return Ok(Found::Waking(row)),
            OriginState::Ready if is_awake(row.used_ms.max(row.since_ms), sleeper.wake, now_ms) => {
                return Ok(Found::Ready);
            }
            _ => {}
        }
        if sleeper.probe().await == Probed::Ready {
            sleeper.row(Ask::Ready { found_ms: now_ms }).await;
            return Ok(Found::Ready);
        }
        if let Err(NotReserved { error, of_origin }) = self.check_limits(target).await {
            return Err(if of_origin { Turn::LeaveOut(error) } else { Turn::GiveUp(error) });
        }
        let by = WokenBy {
            request: self.id.clone(),
            key: self.key.name.clone(),
            tenant: self.key.tenant_or_name().to_owned(),
            hourly: target.origin.gpu_hour.map_or(0, crate::config::Dollars::nanodollars),
        };
        let (holder, per_hour) = (sleeper.holder.clone(), sleeper.wake.per_hour);
        let wake = Ask::Wake { holder, by, per_hour, found_ms: now_ms };
        let answer = sleeper.row(wake).await.ok_or_else(|| Turn::GiveUp(ApiError::ledger_unavailable()))?;
        if answer.leads && !P::HAS_ALARMS {
            self.wake.woke = Some(*target);
        }
        let row = answer.lifecycle;
        Ok(match (answer.refused, row.state) {
            (Some(refused), _) => Found::Refused(row, refused),
            (None, OriginState::Ready) => Found::Ready,
            (None, _) => Found::Waking(row),
        })
    }

    /// An attempt found the origin asleep that seemed to be awake. Gives whether it is to be asked again, once it is.
    pub(super) async fn fell_asleep(&mut self, target: &Target<'a>, failure: Failure, began_ms: u64) -> bool {
        let Some(wake) = &target.origin.wake else { return false };
        if !matches!(failure, Failure::Connect | Failure::Waking)
            || self.wake.found_asleep >= MOST_FOUND_ASLEEP
        {
            return false;
        }
        self.wake.found_asleep += 1;
        self.platform.state(|state| state.origins.of(target.index.origin).ready_ms = 0);
        let sleeper = self.sleeper(target, wake);
        sleeper.row(Ask::Asleep { found_ms: began_ms }).await.is_some()
    }

    /// An attempt was answered.
    pub(super) fn worked(&mut self, target: &Target<'a>) {
        if target.origin.wake.is_some() {
            let now_ms = self.platform.now_ms();
            self.platform.state(|state| state.origins.of(target.index.origin).ready_ms = now_ms);
            self.wake.used = Some(*target);
        }
    }

    /// Where an origin was met that did not take work, how it is by now.
    pub(super) fn tell_wake(&self, headers: &mut HeaderMap) {
        let Some(met) = self.wake.met else { return };
        let now_ms = self.platform.now_ms();
        self.platform.state(|state| {
            if let Some((_, row)) = &state.origins.of(met).seen {
                headers.insert(reply::ORIGIN_STATE, HeaderValue::from_static(row.state.name()));
                if let Some(seconds) = row.seconds_left(now_ms) {
                    headers.insert(reply::WAKE_SECONDS, seconds.into());
                }
            }
        });
    }

    /// None of the targets that are left can answer: the one that wakes is waited for after all.
    pub(super) fn wait_after_all(&mut self) -> bool {
        let Some(at) = self.wake.passed.take() else { return false };
        self.wake.waits = true;
        self.retry.readmit(at);
        true
    }

    /// Behind the request: its origin's row is told that it is used, and a wake that it has begun is led to its end.
    pub(super) async fn after_wake(&mut self) {
        if let Some(target) = self.wake.used.take()
            && let Some(wake) = &target.origin.wake
        {
            let now_ms = self.platform.now_ms();
            let due = self.platform.state(|state| {
                let known = state.origins.of(target.index.origin);
                let due = now_ms >= known.told_ms + u64::from(wake.sleep_after_s) * 1000 / 4;
                if due {
                    known.told_ms = now_ms;
                }
                due
            });
            if due {
                self.sleeper(&target, wake).row(Ask::Used).await;
            }
        }
        if let Some(target) = self.wake.woke.take()
            && let Some(wake) = &target.origin.wake
        {
            let until_ms = self.platform.now_ms() + CAP_MS;
            self.sleeper(&target, wake).until_ended(true, until_ms).await;
        }
    }
}

/// Who holds a wake's lease: the shard's alarm, where there is one.
fn holder<P: Platform>(id: &str) -> String {
    if P::HAS_ALARMS { ALARM.to_owned() } else { id.to_owned() }
}

fn is_awake(worked_ms: u64, wake: &Wake, now_ms: u64) -> bool {
    now_ms < worked_ms + u64::from(wake.sleep_after_s) * 1000
}

/// Leads the wake of an origin's shard, if one is under way.
pub(super) async fn lead_by_alarm<P: Platform>(platform: &P, gateway: &Gateway, shard: &str) {
    let Some(name) = shard.strip_prefix(ORIGIN_SHARD) else { return };
    let origins = &gateway.config.origins;
    let Some(at) = origins.iter().position(|origin| origin.name == name) else { return };
    let origin: &Origin = &origins[at];
    let Some(wake) = &origin.wake else { return };
    let sleeper = Sleeper { platform, origin, wake, at, holder: holder::<P>(ALARM) };
    if sleeper.row(Ask::Lead { holder: sleeper.holder.clone() }).await.is_some_and(|answer| answer.leads) {
        let until_ms = platform.now_ms() + ALARM_MS;
        sleeper.until_ended(true, until_ms).await;
    }
}
