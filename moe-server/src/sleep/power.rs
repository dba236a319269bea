//! The states `cold → waking → ready → draining` as a pure function of what happens and when.
//!
//! Two things make a state: what there is ([`Phase`], changed only by the one who loads and unloads) and what is wanted
//! (changed by anyone). So a wake while draining makes it ready again at once, and a sleep while waking is seen at the
//! load's next step.

use moegate_wire::OriginState;
use moegate_wire::window::Window;
use std::time::Duration;

/// A point in time by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By a clock that never jumps: all durations are measured by it.
    pub steady: Duration,
    /// Unix time: for windows, and to be shown.
    pub unix: Duration,
}

/// When to sleep without being told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// After so long with nothing to do and without a lease; never, without it.
    pub sleep_after: Option<Duration>,
    /// In these it does not, and wakes at their beginning.
    pub keep_warm: Vec<Window>,
    /// Whether a request wakes; else it is refused.
    pub wake_on_request: bool,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Nothing,
    Loading,
    Loaded,
    Unloading,
}

/// What the one who acts is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Work, or wait for some.
    Run,
    /// Then tell [`Power::loaded`], [`Power::failed`] or [`Power::unloaded`].
    Load,
    /// Then tell [`Power::unloaded`].
    Unload,
    /// There is nothing to work with, and nothing is wanted.
    Rest,
}

/// How often windows are looked at: the wall clock may jump.
const WINDOW_TICK: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Clone)]
pub struct Power {
    rules: Rules,
    phase: Phase,
    wanted: bool,
    state: OriginState,
    /// Unix time at which `state` began.
    since: Duration,
    /// When the load that is going on, or is to come, was asked for.
    asked: Duration,
    last_wake: Option<Duration>,
    reason: Option<String>,
    /// When something was last going on.
    active: Duration,
    lease_end: Duration,
    /// Whether a window was open when last looked at.
    warm: bool,
}

impl Power {
    /// On its way to ready for the first time since `asked`: a load is going on.
    #[must_use]
    pub fn loading(rules: Rules, asked: Moment) -> Self {
        Self { phase: Phase::Loading, wanted: true, ..Self::cold(rules, asked) }.settled(asked)
    }

    /// Asleep.
    #[must_use]
    pub fn cold(rules: Rules, now: Moment) -> Self {
        let warm = rules.keep_warm.iter().any(|window| window.is_open(now.unix));
        Self {
            rules,
            phase: Phase::Nothing,
            wanted: false,
            state: OriginState::Cold,
            since: now.unix,
            asked: now.steady,
            last_wake: None,
            reason: None,
            active: now.steady,
            lease_end: now.steady,
            warm,
        }
    }

    fn settled(mut self, now: Moment) -> Self {
        self.settle(now);
        self
    }

    fn settle(&mut self, now: Moment) {
        let state = match (self.phase, self.wanted) {
            (Phase::Nothing, false) => OriginState::Cold,
            (Phase::Loaded, true) => OriginState::Ready,
            (Phase::Nothing | Phase::Loading | Phase::Unloading, true) => OriginState::Waking,
            (Phase::Loading | Phase::Loaded | Phase::Unloading, false) => OriginState::Draining,
        };
        if state != self.state {
            self.state = state;
            self.since = now.unix;
        }
    }

    #[must_use]
    pub fn state(&self) -> OriginState {
        self.state
    }

    /// Unix time at which the state began.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// For how long a wake has been asked for.
    #[must_use]
    pub fn waking_for(&self, now: Moment) -> Duration {
        now.steady.saturating_sub(self.asked)
    }

    /// How long the last wake that succeeded took.
    #[must_use]
    pub fn last_wake(&self) -> Option<Duration> {
        self.last_wake
    }

    /// Why the last wake failed, or what was loaded is lost; until a wake succeeds.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Whether a load that is going on is still wanted.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub fn wake(&mut self, now: Moment) {
        self.active = self.active.max(now.steady);
        if !self.wanted {
            self.wanted = true;
            self.asked = now.steady;
            self.settle(now);
        }
    }

    /// Leases end with it.
    pub fn sleep(&mut self, now: Moment) {
        self.wanted = false;
        self.lease_end = now.steady;
        self.settle(now);
    }

    /// Does not sleep by itself for so long.
    pub fn lease(&mut self, now: Moment, length: Duration) {
        self.lease_end = self.lease_end.max(now.steady.saturating_add(length));
    }

    /// Something is going on.
    pub fn touch(&mut self, now: Moment) {
        self.active = self.active.max(now.steady);
    }

    /// Whether a request is taken; one that is not ready for it waits for the load.
    ///
    /// # Errors
    /// The state because of which it is not.
    pub fn admit(&mut self, now: Moment) -> Result<(), OriginState> {
        if self.state == OriginState::Cold && self.rules.wake_on_request {
            self.wake(now);
        }
        // Who asks a server that starts for the first time waits for it.
        let starts = self.last_wake.is_none() && self.reason.is_none() && self.phase == Phase::Loading;
        match self.state {
            OriginState::Ready => {}
            OriginState::Waking if self.rules.wake_on_request || starts => {}
            state => return Err(state),
        }
        self.touch(now);
        Ok(())
    }

    /// What to do now; `idle` where nothing runs or waits.
    pub fn turn(&mut self, now: Moment, idle: bool) -> Turn {
        let warm = self.rules.keep_warm.iter().any(|window| window.is_open(now.unix));
        if warm && !std::mem::replace(&mut self.warm, warm) {
            self.wake(now);
        }
        self.warm = warm;
        if !idle {
            self.touch(now);
        }
        if self.wanted && self.phase == Phase::Loaded && !warm {
            let passed = self.idle_end().is_some_and(|end| now.steady >= end);
            if idle && passed {
                self.sleep(now);
            }
        }
        let (phase, turn) = match (self.phase, self.wanted) {
            (Phase::Nothing, true) => (Phase::Loading, Turn::Load),
            (Phase::Loaded, false) if idle => (Phase::Unloading, Turn::Unload),
            (Phase::Loaded, _) => (Phase::Loaded, Turn::Run),
            (phase, _) => (phase, Turn::Rest),
        };
        self.phase = phase;
        self.settle(now);
        turn
    }

    /// How long nothing changes by itself while nothing runs or waits; for ever, without an answer.
    #[must_use]
    pub fn patience(&self, now: Moment) -> Option<Duration> {
        let tick = (!self.rules.keep_warm.is_empty()).then_some(WINDOW_TICK);
        let end = match (self.phase, self.wanted) {
            (Phase::Nothing, true) | (Phase::Loaded, false) => return Some(Duration::ZERO),
            // The window's end is seen by the tick.
            (Phase::Loaded, true) if !self.warm => self.idle_end(),
            _ => None,
        };
        let idle = end.map(|end| end.saturating_sub(now.steady));
        tick.into_iter().chain(idle).min()
    }

    /// When it sleeps by itself, by the steady clock.
    fn idle_end(&self) -> Option<Duration> {
        let after = self.rules.sleep_after?;
        Some(self.active.saturating_add(after).max(self.lease_end))
    }

    /// The load succeeded.
    pub fn loaded(&mut self, now: Moment) {
        self.phase = Phase::Loaded;
        if self.wanted {
            self.last_wake = Some(self.waking_for(now));
            self.reason = None;
        }
        self.touch(now);
        self.settle(now);
    }

    /// What was loaded is lost. Where it is wanted it is to be loaded again, which is a wake that begins now.
    pub fn lost(&mut self, now: Moment, why: String) {
        self.phase = Phase::Nothing;
        self.asked = now.steady;
        self.reason = Some(why);
        self.settle(now);
    }

    /// The load failed. It is not tried again until somebody asks.
    pub fn failed(&mut self, now: Moment, why: String) {
        self.phase = Phase::Nothing;
        self.wanted = false;
        self.reason = Some(why);
        self.settle(now);
    }

    /// Nothing is loaded any more, or the load was given up.
    pub fn unloaded(&mut self, now: Moment) {
        self.phase = Phase::Nothing;
        self.settle(now);
    }
}
