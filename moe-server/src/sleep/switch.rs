//! The state machine with a clock, shared by those who ask and the one who acts.

use super::power::{Moment, Power, Rules, Turn};
use super::progress::{Progress, seconds_left};
use moegate_wire::{OriginState, OriginStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a request is not taken, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asleep {
    pub state: OriginState,
    pub retry_after_s: u32,
}

/// What is told where no time is known.
const RETRY_AFTER_S: u64 = 5;
/// Clients hold longer ones for a refusal for good.
const MOST_RETRY_AFTER_S: u64 = 59;

/// See the module.
#[derive(Debug)]
pub struct Switch {
    start: Instant,
    power: Mutex<Power>,
    /// Of the load that is going on; after it, of what is loaded.
    progress: Arc<Progress>,
}

impl Switch {
    /// Loading since `start`.
    #[must_use]
    pub fn loading(rules: Rules, start: Instant) -> Self {
        let begun = Moment { steady: Duration::ZERO, unix: unix().saturating_sub(start.elapsed()) };
        Self { start, power: Mutex::new(Power::loading(rules, begun)), progress: Arc::default() }
    }

    /// Asleep.
    #[must_use]
    pub fn cold(rules: Rules) -> Self {
        let now = Moment { steady: Duration::ZERO, unix: unix() };
        Self { start: Instant::now(), power: Mutex::new(Power::cold(rules, now)), progress: Arc::default() }
    }

    fn power(&self) -> (MutexGuard<'_, Power>, Moment) {
        // Nothing in there panics half way through a change.
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        // Read with the lock held, so that it never goes back.
        (power, Moment { steady: self.start.elapsed(), unix: unix() })
    }

    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    #[must_use]
    pub fn state(&self) -> OriginState {
        self.power().0.state()
    }

    #[must_use]
    pub fn status(&self) -> OriginStatus {
        let (power, now) = self.power();
        self.describe(&power, now)
    }

    fn describe(&self, power: &Power, now: Moment) -> OriginStatus {
        let state = power.state();
        let bytes = self.progress.bytes();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        OriginStatus {
            state,
            since_ms: ms(power.since()),
            loaded_bytes: bytes.0,
            total_bytes: bytes.1,
            seconds_left: match state {
                OriginState::Waking => seconds_left(bytes, power.waking_for(now), power.last_wake()),
                _ => None,
            },
            last_wake_ms: power.last_wake().map(ms),
            reason: power.reason().map(str::to_owned),
        }
    }

    /// Whoever acts must be told to look.
    pub fn wake(&self) -> OriginStatus {
        let (mut power, now) = self.power();
        power.wake(now);
        self.progress.cancel(false);
        self.describe(&power, now)
    }

    /// Whoever acts must be told to look.
    pub fn sleep(&self) -> OriginStatus {
        let (mut power, now) = self.power();
        power.sleep(now);
        self.progress.cancel(true);
        self.describe(&power, now)
    }

    pub fn lease(&self, length: Duration) -> OriginStatus {
        let (mut power, now) = self.power();
        power.lease(now, length);
        self.describe(&power, now)
    }

    /// Whether a request is taken. Whoever acts must be told to look, since it may have to wake.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self) -> Result<(), Asleep> {
        let (mut power, now) = self.power();
        let was_wanted = power.is_wanted();
        let admitted = power.admit(now);
        if power.is_wanted() && !was_wanted {
            self.progress.cancel(false);
        }
        admitted.map_err(|_| self.refusal(&power, now))
    }

    /// See [`Power::touch`].
    pub fn touch(&self) {
        let (mut power, now) = self.power();
        power.touch(now);
    }

    /// For a request that cannot be served now.
    #[must_use]
    pub fn asleep(&self) -> Asleep {
        let (power, now) = self.power();
        self.refusal(&power, now)
    }

    fn refusal(&self, power: &Power, now: Moment) -> Asleep {
        let state = power.state();
        let seconds = match state {
            OriginState::Waking => self.describe(power, now).seconds_left,
            OriginState::Cold => power.last_wake().map(|wake| wake.as_millis().div_ceil(1_000) as u64),
            OriginState::Ready | OriginState::Draining => None,
        };
        let seconds = seconds.unwrap_or(RETRY_AFTER_S).clamp(1, MOST_RETRY_AFTER_S);
        Asleep { state, retry_after_s: seconds as u32 }
    }

    /// See [`Power::turn`]; for the one who acts, as all below.
    pub fn turn(&self, idle: bool) -> Turn {
        let (mut power, now) = self.power();
        let turn = power.turn(now, idle);
        if turn == Turn::Load {
            self.progress.begin();
            self.progress.cancel(false);
        }
        turn
    }

    /// See [`Power::patience`].
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        let (power, now) = self.power();
        power.patience(now)
    }

    /// Answers how long it took, where it is still wanted.
    pub fn loaded(&self) -> Option<Duration> {
        let (mut power, now) = self.power();
        power.loaded(now);
        power.last_wake().filter(|_| power.is_wanted())
    }

    pub fn failed(&self, why: String) {
        let (mut power, now) = self.power();
        power.failed(now, why);
        self.progress.begin();
    }

    /// See [`Power::lost`].
    pub fn lost(&self, why: String) {
        let (mut power, now) = self.power();
        power.lost(now, why);
        self.progress.begin();
    }

    pub fn unloaded(&self) {
        let (mut power, now) = self.power();
        power.unloaded(now);
        self.progress.begin();
    }
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
