//! What a fault is, where it is met, and what shall come of it.

use super::scripts::{Asked, text};
use moegate::config::Failure;
use moegate::platform::fake::Script;
use moegate_wire::Ending;

/// Faults of one kind: a section of the table.
pub struct Chapter {
    pub title: &'static str,
    pub what: &'static str,
    pub faults: &'static [Fault],
}

/// One way to fail.
pub struct Fault {
    /// Part of the tests' names.
    pub name: &'static str,
    /// For the table: what the origin does.
    pub what: &'static str,
    /// The beginning of its routes' names.
    pub origin: &'static str,
    /// What origins do with a request. `None`: they answer as they should.
    pub script: fn(&Asked<'_>) -> Option<Script>,
    /// The whole answer.
    pub text: fn() -> String,
    pub cases: &'static [Case],
}

impl Fault {
    /// Of the origin `first`.
    #[must_use]
    pub const fn new(
        name: &'static str,
        what: &'static str,
        script: fn(&Asked<'_>) -> Option<Script>,
        cases: &'static [Case],
    ) -> Self {
        Self { name, what, origin: "first", script, text, cases }
    }

    #[must_use]
    pub const fn of(self, origin: &'static str) -> Self {
        Self { origin, ..self }
    }

    #[must_use]
    pub const fn saying(self, text: fn() -> String) -> Self {
        Self { text, ..self }
    }
}

/// A fault on a kind of route.
#[derive(Clone, Copy)]
pub struct Case {
    pub route: Route,
    pub forms: Forms,
    pub leave: Option<Leave>,
    pub expected: Expected,
    /// Where the Spin host shows something else.
    pub on_spin: Option<Expected>,
    /// Milliseconds between the first call and the second, at least and at most.
    pub apart: Option<(u64, u64)>,
    /// Milliseconds that the client waits at most for the end.
    pub within: u64,
}

/// What the client gets, and the attempts, in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub got: Got,
    pub attempts: &'static [Attempt],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The failing origin and no other.
    Alone,
    /// The same with two seconds in all.
    Brief,
    /// `second` after it.
    Fallback,
    /// `second` after it, and `continue`.
    Continue,
}

impl Route {
    /// The end of the routes' names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Brief => "brief",
            Self::Fallback => "fallback",
            Self::Continue => "continue",
        }
    }
}

/// What clients ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    Whole,
    Streamed,
    Both,
}

impl Forms {
    /// Whether a stream is asked for, in each form.
    #[must_use]
    pub fn streamed(self) -> &'static [bool] {
        match self {
            Self::Whole => &[false],
            Self::Streamed => &[true],
            Self::Both => &[false, true],
        }
    }
}

/// When the client leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    BeforeAnswer,
    /// While the gateway waits between two attempts.
    InPause,
    /// When it has the text's first two words.
    MidStream,
    /// When it has the third, which the second origin said.
    AfterContinuation,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// The whole answer; a stream ends with `[DONE]`.
    Answer,
    /// An error of the gateway's words: status, code.
    Error(u16, &'static str),
    /// The origin's own error, with its `Retry-After`: the status.
    Passed(u16),
    /// A stream that began and ends in an error event of this code.
    Broken(&'static str),
    /// A stream that began and ends in the origin's own error event.
    ErrorEvent,
    /// It left.
    Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub origin: &'static str,
    /// Whether it reached the origin.
    pub arrives: bool,
    /// Whether anything of its answer reached the client.
    pub begins: bool,
    pub failure: Option<Failure>,
    pub ending: Ending,
}

/// It fails before anything of it has reached the client.
#[must_use]
pub const fn fails(origin: &'static str, failure: Failure) -> Attempt {
    Attempt { origin, arrives: true, begins: false, failure: Some(failure), ending: Ending::Error }
}

/// It does not even reach the origin.
#[must_use]
pub const fn misses(origin: &'static str) -> Attempt {
    Attempt { arrives: false, ..fails(origin, Failure::Connect) }
}

/// It breaks off when the client has some of it.
#[must_use]
pub const fn breaks(origin: &'static str, failure: Failure) -> Attempt {
    Attempt { begins: true, ending: Ending::Truncated, ..fails(origin, failure) }
}

#[must_use]
pub const fn works(origin: &'static str) -> Attempt {
    Attempt { failure: None, ending: Ending::Complete, ..breaks(origin, Failure::Broken) }
}

impl Attempt {
    #[must_use]
    pub const fn ends(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    /// As in what the gateway says of its attempts.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match (self.failure, self.ending) {
            (Some(failure), _) => failure.name(),
            (None, Ending::Cancelled) => "cancelled",
            (None, _) => "ok",
        }
    }
}

#[must_use]
pub const fn case(route: Route, forms: Forms, got: Got, attempts: &'static [Attempt]) -> Case {
    Case {
        route,
        forms,
        leave: None,
        expected: Expected { got, attempts },
        on_spin: None,
        apart: None,
        within: 6_000,
    }
}

/// Whether the host of that name is Spin, or behaves so.
#[must_use]
pub fn is_spin(host: &str) -> bool {
    host.ends_with("spin")
}

impl Case {
    #[must_use]
    pub const fn leaving(self, leave: Leave) -> Self {
        Self { leave: Some(leave), ..self }
    }

    #[must_use]
    pub const fn on_spin(self, got: Got, attempts: &'static [Attempt]) -> Self {
        Self { on_spin: Some(Expected { got, attempts }), ..self }
    }

    #[must_use]
    pub const fn apart(self, least_ms: u64, most_ms: u64) -> Self {
        Self { apart: Some((least_ms, most_ms)), ..self }
    }

    #[must_use]
    pub const fn within(self, most_ms: u64) -> Self {
        Self { within: most_ms, ..self }
    }

    /// On the host of that name.
    #[must_use]
    pub fn expected_on(&self, host: &str) -> Expected {
        self.on_spin.filter(|_| is_spin(host)).unwrap_or(self.expected)
    }
}
