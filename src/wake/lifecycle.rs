//! The row of an origin, and how it changes.

use super::{CAP_MS, LEASE_MS};
use crate::metering::HOUR_MS;
use moegate_wire::OriginState;
use serde::{Deserialize, Serialize};

/// After a wake that failed, the next one may begin after so long; doubled with each further failure.
const FIRST_PAUSE_MS: u64 = 15_000;
const LONGEST_PAUSE_MS: u64 = 600_000;

/// An origin that is asleep again so soon after its wake, unused, was not ready.
const SETTLED_MS: u64 = 5_000;

/// How many start times are remembered.
const STARTS: usize = 8;

/// What a start takes where none was seen yet, in milliseconds.
const UNKNOWN_START_MS: u64 = 60_000;

/// One origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    pub state: OriginState,
    /// Unix milliseconds, as all moments here.
    pub since_ms: u64,
    /// When work was last sent there.
    pub used_ms: u64,
    /// How many wakes there were: the number of the last one.
    pub wakes: u64,
    /// The wake that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// When the wakes of the last hour began.
    pub begun_ms: Vec<u64>,
    /// How long the last wakes took that succeeded, in milliseconds.
    pub took_ms: Vec<u64>,
    /// Wakes that have failed since the last one that did not.
    pub failures: u32,
    /// No wake begins before.
    pub not_before_ms: u64,
    /// Why the last one failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A wake under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub began_ms: u64,
    /// Whether the origin has been told.
    pub started: bool,
    /// Who leads it, and until when without saying anything.
    pub holder: String,
    pub lease_ms: u64,
    /// When it may be ready, by what it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    pub by: WokenBy,
}

/// The request that an origin is woken for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WokenBy {
    pub request: String,
    pub key: String,
    pub tenant: String,
    /// What an hour of the origin costs, in nano-dollars.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hourly: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is asked of an origin's row. Each may be sent again: nothing happens twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// How it is.
    Look,
    /// It was found not to take work at that moment, and is to be woken.
    Wake { holder: String, by: WokenBy, per_hour: u32, found_ms: u64 },
    /// It was found to take work at that moment.
    Ready { found_ms: u64 },
    /// It was found not to take work at that moment.
    Asleep { found_ms: u64 },
    /// The lease of its wake.
    Lead { holder: String },
    /// How its wake goes on, by who leads it.
    Report { holder: String, wake: u64, progress: Progress },
    /// It has just worked.
    Used,
}

/// How a wake goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It has been told.
    Started,
    /// It does not take work yet.
    Waiting {
        seconds_left: Option<u64>,
    },
    Ready,
    Failed {
        reason: String,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub lifecycle: Lifecycle,
    /// Whether who asks leads the wake that is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leads: bool,
    /// Why no wake has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// Why no wake begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When one may.
    pub until_ms: u64,
    /// Whether it is for the limit of wakes in an hour, and not for wakes that failed.
    pub per_hour: bool,
}

/// A wake that is over: its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedWake {
    /// Its number at this origin.
    pub wake: u64,
    pub began_ms: u64,
    pub ended_ms: u64,
    /// Empty: it is ready.
    pub reason: String,
    /// What the origin cost meanwhile, in nano-dollars.
    pub cost: u64,
    pub by: WokenBy,
}

impl Default for Lifecycle {
    /// Nobody knows; who wants to send something there asks first.
    fn default() -> Self {
        Self {
            state: OriginState::Cold,
            since_ms: 0,
            used_ms: 0,
            wakes: 0,
            run: None,
            begun_ms: Vec::new(),
            took_ms: Vec::new(),
            failures: 0,
            not_before_ms: 0,
            reason: String::new(),
        }
    }
}

impl Lifecycle {
    /// Carries out what is asked, and gives the wake that has ended by it.
    pub fn ask(&mut self, ask: Ask, now_ms: u64) -> (Answer, Option<EndedWake>) {
        let mut ended = self.expire(now_ms);
        let mut refused = None;
        let asker = match ask {
            Ask::Look => None,
            Ask::Wake { holder, by, per_hour, found_ms } => {
                self.found_asleep(found_ms, now_ms);
                if self.state == OriginState::Cold {
                    refused = self.begin(&holder, by, per_hour, now_ms).err();
                }
                Some(holder)
            }
            Ask::Ready { found_ms } => {
                // Not for what was seen before it fell asleep.
                if self.state != OriginState::Ready && found_ms >= self.since_ms {
                    ended = self.end(String::new(), now_ms).or(ended);
                    self.enter(OriginState::Ready, now_ms);
                }
                self.used_ms = self.used_ms.max(now_ms);
                None
            }
            Ask::Asleep { found_ms } => {
                self.found_asleep(found_ms, now_ms);
                None
            }
            Ask::Lead { holder } => {
                if let Some(run) = &mut self.run
                    && (run.holder == holder || run.lease_ms <= now_ms)
                {
                    (run.holder, run.lease_ms) = (holder.clone(), now_ms + LEASE_MS);
                }
                Some(holder)
            }
            Ask::Report { holder, wake, progress } => {
                let current = wake == self.wakes && self.run.as_ref().is_some_and(|run| run.holder == holder);
                if current {
                    ended = self.report(progress, now_ms).or(ended);
                }
                Some(holder)
            }
            Ask::Used => {
                self.used_ms = self.used_ms.max(now_ms);
                None
            }
        };
        let leads = asker.is_some_and(|asker| self.run.as_ref().is_some_and(|run| run.holder == asker));
        (Answer { lifecycle: self.clone(), leads, refused }, ended)
    }

    fn enter(&mut self, state: OriginState, now_ms: u64) {
        (self.state, self.since_ms) = (state, now_ms);
    }

    /// A wake that takes too long has failed.
    fn expire(&mut self, now_ms: u64) -> Option<EndedWake> {
        let began_ms = self.run.as_ref()?.began_ms;
        if now_ms < began_ms + CAP_MS {
            return None;
        }
        self.end(format!("it was not ready after {} minutes", CAP_MS / 60_000), now_ms)
    }

    fn found_asleep(&mut self, found_ms: u64, now_ms: u64) {
        if self.state != OriginState::Ready || found_ms < self.since_ms {
            return;
        }
        // It only seemed to be ready.
        if self.wakes > 0 && found_ms < self.since_ms + SETTLED_MS && self.used_ms <= self.since_ms {
            "it was asleep again right after its wake".clone_into(&mut self.reason);
            self.pause(now_ms);
        }
        self.enter(OriginState::Cold, now_ms);
    }

    fn begin(&mut self, holder: &str, by: WokenBy, per_hour: u32, now_ms: u64) -> Result<(), Refused> {
        self.begun_ms.retain(|begun_ms| *begun_ms + HOUR_MS > now_ms);
        if now_ms < self.not_before_ms {
            return Err(Refused { until_ms: self.not_before_ms, per_hour: false });
        }
        if self.begun_ms.len() >= per_hour as usize {
            let first_ms = self.begun_ms.iter().copied().min().unwrap_or(now_ms);
            return Err(Refused { until_ms: first_ms + HOUR_MS, per_hour: true });
        }
        self.wakes += 1;
        self.begun_ms.push(now_ms);
        self.run = Some(Run {
            began_ms: now_ms,
            started: false,
            holder: holder.to_owned(),
            lease_ms: now_ms + LEASE_MS,
            ready_ms: None,
            by,
        });
        self.enter(OriginState::Waking, now_ms);
        Ok(())
    }

    fn report(&mut self, progress: Progress, now_ms: u64) -> Option<EndedWake> {
        let run = self.run.as_mut()?;
        run.lease_ms = now_ms + LEASE_MS;
        match progress {
            Progress::Started => {
                run.started = true;
                None
            }
            Progress::Waiting { seconds_left } => {
                if let Some(seconds) = seconds_left {
                    run.ready_ms = Some(now_ms.saturating_add(seconds.saturating_mul(1000)));
                }
                None
            }
            Progress::Ready => self.end(String::new(), now_ms),
            Progress::Failed { reason } => self.end(reason, now_ms),
        }
    }

    /// Ends the wake that is under way: `reason` says why it failed, empty if it did not.
    fn end(&mut self, reason: String, now_ms: u64) -> Option<EndedWake> {
        let run = self.run.take()?;
        let took_ms = now_ms.saturating_sub(run.began_ms);
        if reason.is_empty() {
            self.took_ms.push(took_ms);
            let more = self.took_ms.len().saturating_sub(STARTS);
            self.took_ms.drain(..more);
            (self.failures, self.not_before_ms) = (0, 0);
            self.enter(OriginState::Ready, now_ms);
            self.used_ms = now_ms;
        } else {
            self.pause(now_ms);
            self.enter(OriginState::Cold, now_ms);
        }
        self.reason.clone_from(&reason);
        let cost = u128::from(run.by.hourly) * u128::from(took_ms) / u128::from(HOUR_MS);
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        Some(EndedWake {
            wake: self.wakes,
            began_ms: run.began_ms,
            ended_ms: now_ms,
            reason,
            cost,
            by: run.by,
        })
    }

    fn pause(&mut self, now_ms: u64) {
        let pause_ms = (FIRST_PAUSE_MS << self.failures.min(10)).min(LONGEST_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms + pause_ms;
    }

    /// How long a wake takes, by the median of those that were seen, in milliseconds.
    #[must_use]
    pub fn start_ms(&self) -> u64 {
        let mut took_ms = self.took_ms.clone();
        took_ms.sort_unstable();
        took_ms.get(took_ms.len() / 2).copied().unwrap_or(UNKNOWN_START_MS)
    }

    /// In how many seconds it may be ready, at least 1; `None` where no wake is under way. One that should be over by now
    /// takes a quarter longer: SDKs that come again in a second would have used up their retries.
    #[must_use]
    pub fn seconds_left(&self, now_ms: u64) -> Option<u64> {
        let run = self.run.as_ref()?;
        let ready_ms = run.ready_ms.unwrap_or(run.began_ms + self.start_ms());
        let left_ms = if ready_ms > now_ms { ready_ms - now_ms } else { self.start_ms() / 4 };
        Some(left_ms.div_ceil(1000).max(1))
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
