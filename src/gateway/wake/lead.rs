//! A wake under way: who leads it calls the origin, the others look how far it is.

use super::calls::{self, Probed};
use crate::config::{Origin, Wake};
use crate::gateway::ledger::ask;
use crate::gateway::stream::Watch;
use crate::ledger::{Operation, Outcome};
use crate::metering::limit::origin_shard;
use crate::platform::Platform;
use crate::wake::{Answer, Ask, CAP_MS, Lifecycle, Progress};
use moegate_wire::OriginState;
use std::future::Future;
use std::pin::pin;

/// How often a wake is looked at: an eighth of its age, within these.
const POLL_MS: std::ops::RangeInclusive<u64> = 25..=1_000;
/// How long one question takes at most.
const PROBE_MS: u64 = 3_000;
/// How often a leader says that it is still there, during a call that takes long.
const RENEW_MS: u64 = 3_000;
/// How often the call that starts an origin is tried.
const STARTS: u32 = 3;
/// After so many questions to which it is asleep, it is told once more.
const ASLEEP: u32 = 5;

/// One origin, and who asks for it.
pub(super) struct Sleeper<'a, P> {
    pub(super) platform: &'a P,
    pub(super) origin: &'a Origin,
    pub(super) wake: &'a Wake,
    /// Its place in the configuration.
    pub(super) at: usize,
    /// Of a lease.
    pub(super) holder: String,
}

/// How a wake under way is told of.
enum Lost {
    /// Another one leads, or it is over.
    Lease,
    Failed(String),
}

impl<'a, P: Platform> Sleeper<'a, P> {
    /// Asks the origin's row, and remembers it.
    ///
    /// `None`: the ledger does not answer.
    pub(super) async fn row(&self, what: Ask) -> Option<Answer> {
        let now_ms = self.platform.now_ms();
        let operation = Operation::Wake { origin: self.origin.name.clone(), ask: what, now_ms };
        let shard = origin_shard(&self.origin.name);
        let Ok(Outcome::Lifecycle(answer)) = ask(self.platform, &shard, &operation).await else {
            return None;
        };
        self.platform.state(|state| {
            let known = state.origins.of(self.at);
            known.seen = Some((now_ms, answer.lifecycle.clone()));
            if answer.lifecycle.state != OriginState::Ready {
                known.ready_ms = 0;
            }
        });
        Some(*answer)
    }

    pub(super) async fn probe(&self) -> Probed {
        let until_ms = self.platform.now_ms() + PROBE_MS;
        calls::probe(self.platform, self.origin, self.wake, until_ms).await
    }

    /// Until the wake under way has ended, or that moment has come: the row then. Leads it where `leads`, and where nobody
    /// does any more.
    pub(super) async fn until_ended(&self, leads: bool, until_ms: u64) -> Option<Lifecycle> {
        let mut asleep = 0;
        let mut starts = 0;
        loop {
            let row = self.looked(leads).await;
            match &row {
                Some(answer) if answer.lifecycle.state != OriginState::Waking => {
                    return Some(answer.lifecycle.clone());
                }
                Some(answer) if answer.leads => {
                    let ended = self.step(&answer.lifecycle, &mut starts, &mut asleep).await;
                    if let Some(row) = ended {
                        return Some(row);
                    }
                }
                _ => {}
            }
            let now_ms = self.platform.now_ms();
            if now_ms >= until_ms {
                return row.map(|answer| answer.lifecycle);
            }
            let poll_ms = row.as_ref().map_or(*POLL_MS.end(), |answer| poll_ms(&answer.lifecycle, now_ms));
            self.platform.sleep(poll_ms.min(until_ms - now_ms)).await;
        }
    }

    /// The row; not asked for where this instance has just seen it and nobody is to be replaced.
    async fn looked(&self, leads: bool) -> Option<Answer> {
        let now_ms = self.platform.now_ms();
        let seen = self.platform.state(|state| {
            let known = state.origins.of(self.at);
            let for_ms = poll_ms(&known.seen.as_ref()?.1, now_ms) * 9 / 10;
            let row = known.fresh(now_ms, for_ms)?;
            let others =
                row.run.as_ref().is_none_or(|run| run.holder != self.holder && run.lease_ms > now_ms);
            others.then(|| row.clone())
        });
        match seen {
            Some(lifecycle) => Some(Answer { lifecycle, leads: false, refused: None }),
            None if leads => self.row(Ask::Lead { holder: self.holder.clone() }).await,
            None => self.row(Ask::Look).await,
        }
    }

    /// What the leader does next; the row where that has ended the wake.
    async fn step(&self, row: &Lifecycle, starts: &mut u32, asleep: &mut u32) -> Option<Lifecycle> {
        let run = row.run.as_ref()?;
        let until_ms = run.began_ms + CAP_MS;
        if !run.started || *asleep >= ASLEEP {
            (*starts, *asleep) = (*starts + 1, 0);
            let call = calls::start(self.platform, self.origin, self.wake, until_ms);
            return match self.renewing(row.wakes, call).await {
                Ok(()) => self.report(row.wakes, Progress::Started).await,
                Err(Lost::Failed(reason)) if *starts >= STARTS => {
                    self.report(row.wakes, Progress::Failed { reason }).await
                }
                Err(_) => None,
            };
        }
        let progress = match self.probe().await {
            Probed::Ready => Progress::Ready,
            Probed::Waking { seconds_left } => Progress::Waiting { seconds_left },
            Probed::Cold { reason: Some(reason) } => Progress::Failed { reason },
            Probed::Cold { reason: None } => {
                *asleep += 1;
                Progress::Waiting { seconds_left: None }
            }
            Probed::Unreachable => Progress::Waiting { seconds_left: None },
        };
        self.report(row.wakes, progress).await
    }

    /// Says how it goes on; the row where the wake has ended.
    async fn report(&self, wake: u64, progress: Progress) -> Option<Lifecycle> {
        let report = Ask::Report { holder: self.holder.clone(), wake, progress };
        let answer = self.row(report).await?;
        (answer.lifecycle.state != OriginState::Waking).then_some(answer.lifecycle)
    }

    /// Waits for a call that may take minutes, and keeps the lease meanwhile.
    async fn renewing(&self, wake: u64, call: impl Future<Output = Result<(), String>>) -> Result<(), Lost> {
        let mut call = pin!(call);
        loop {
            let until_ms = self.platform.now_ms() + RENEW_MS;
            match Watch::new(self.platform).run_unattended(call.as_mut(), until_ms).await {
                Some(called) => return called.map_err(Lost::Failed),
                None => {
                    let still = Progress::Waiting { seconds_left: None };
                    let report = Ask::Report { holder: self.holder.clone(), wake, progress: still };
                    if self.row(report).await.is_some_and(|answer| !answer.leads) {
                        return Err(Lost::Lease);
                    }
                }
            }
        }
    }
}

/// After how long a wake is looked at again: one that is young may be over in a moment.
fn poll_ms(row: &Lifecycle, now_ms: u64) -> u64 {
    let age_ms = row.run.as_ref().map_or(0, |run| now_ms.saturating_sub(run.began_ms));
    (age_ms / 8).clamp(*POLL_MS.start(), *POLL_MS.end())
}
