//! What this instance knows of its origins' health. Decisions are local and at once; instances tell each other in the
//! background (`gateway::share`).

mod circuit;
mod retries;

pub use circuit::{Circuit, Gate, News, Shown};
pub use retries::Retries;

use super::config::{Breaker, Failure};
use super::route::{Dice, Place, Target};

/// An origin that asks for more patience than this is asked again after it all the same: one absurd `Retry-After` must not
/// take it away from everybody for good.
const LONGEST_HELD_MS: u64 = 300_000;

/// The state of every model at every origin, and of every origin's retries. Lives as long as the instance.
#[derive(Debug, Clone, Default)]
pub struct Health {
    circuits: Vec<Circuit>,
    retries: Vec<Retries>,
}

/// What an attempt says of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works: it answered, if only that the request is wrong, or a stream has begun.
    Works,
    Fails,
    /// A stream that had begun is at its end.
    Completed,
    /// A stream that had begun broke off.
    BrokeOff,
    /// It is not to be asked before this time, in Unix milliseconds: it limits the rate or is starting.
    Held(u64),
    /// The client left, or the like: nothing is known.
    Unknown,
}

impl Verdict {
    /// By how an attempt failed. `until_ms`: what its `Retry-After` says.
    #[must_use]
    pub fn of(failure: Failure, until_ms: Option<u64>) -> Self {
        match failure {
            Failure::RateLimited | Failure::Waking => until_ms.map_or(Self::Unknown, Self::Held),
            Failure::Connect
            | Failure::Timeout
            | Failure::Broken
            | Failure::BadAnswer
            | Failure::ServerError => Self::Fails,
            _ => Self::Works,
        }
    }
}

impl Health {
    fn circuit(&self, place: Place) -> Option<&Circuit> {
        self.circuits.get(place.model)
    }

    /// Whether attempts there are refused now.
    #[must_use]
    pub fn is_shut(&self, place: Place, now_ms: u64) -> bool {
        self.circuit(place).is_some_and(|circuit| matches!(circuit.gate(now_ms), Gate::Shut { .. }))
    }

    /// Whether an attempt may be made.
    #[must_use]
    pub fn gate(&self, place: Place, now_ms: u64) -> Gate {
        self.circuit(place).map_or(Gate::Open, |circuit| circuit.gate(now_ms))
    }

    /// For people.
    #[must_use]
    pub fn shown(&self, place: Place, now_ms: u64) -> Shown {
        self.circuit(place).map_or(Shown::Closed, |circuit| circuit.shown(now_ms))
    }

    /// An attempt begins; `again` if it is not the request's first one at this origin.
    pub fn begin(&mut self, target: &Target<'_>, again: bool, now_ms: u64) {
        self.circuit_mut(target.place).begin(now_ms);
        let retries = self.retries_mut(target.place);
        if again {
            retries.withdraw();
        } else {
            retries.deposit(target.origin.retry_percent);
        }
    }

    /// Whether the origin's retry ratio has room for one more.
    #[must_use]
    pub fn may_retry(&self, place: Place) -> bool {
        self.retries.get(place.origin).is_none_or(Retries::is_there)
    }

    /// An attempt is over.
    pub fn end(&mut self, target: &Target<'_>, verdict: Verdict, now_ms: u64, dice: &mut Dice) {
        let breaker: &Breaker = &target.origin.breaker;
        let circuit = self.circuit_mut(target.place);
        match verdict {
            Verdict::Works => circuit.works(now_ms),
            Verdict::Fails => circuit.fails(breaker, now_ms, dice),
            Verdict::Completed => circuit.completes(),
            Verdict::BrokeOff => circuit.breaks_off(breaker, now_ms, dice),
            Verdict::Held(until_ms) => circuit.hold(until_ms.min(now_ms + LONGEST_HELD_MS), now_ms),
            Verdict::Unknown => circuit.forget(),
        }
    }

    /// What other instances are to be told of a target, once.
    pub fn news(&mut self, place: Place) -> Option<News> {
        self.circuits.get_mut(place.model)?.news()
    }

    /// What another instance told.
    pub fn learn(&mut self, place: Place, news: News, now_ms: u64) {
        self.circuit_mut(place).learn(news, now_ms);
    }

    /// Whether it is time to ask what other instances know of a target; if so, it counts as asked.
    pub fn asks(&mut self, place: Place, now_ms: u64) -> bool {
        self.circuit_mut(place).asks(now_ms)
    }

    fn circuit_mut(&mut self, place: Place) -> &mut Circuit {
        if self.circuits.len() <= place.model {
            self.circuits.resize_with(place.model + 1, Circuit::default);
        }
        &mut self.circuits[place.model]
    }

    fn retries_mut(&mut self, place: Place) -> &mut Retries {
        if self.retries.len() <= place.origin {
            self.retries.resize_with(place.origin + 1, Retries::default);
        }
        &mut self.retries[place.origin]
    }
}
