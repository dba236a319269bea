//! Random faults, one after the other at each origin, and a client that may leave.

use super::scripts::{Asked, ERROR, begins, begins_with, error, head_only, streams};
use crate::fixtures::{DONE, event};
use moegate::platform::fake::{COMMENT, End, Script, Scripted};

/// `SplitMix64`: the same schedule for the same seed, everywhere.
pub struct Draw(u64);

impl Draw {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What one call to an origin meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Works,
    Reset,
    HeadOnly(End),
    Silence,
    CommentsOnly,
    /// So many words, and then this end.
    Begins(usize, End),
    HalfEvent,
    ErrorFirst,
    ErrorLater,
    Page,
    Garbage,
    Status(u16),
    /// A status with `retry-after-ms`.
    Patience(u16, &'static str),
}

/// Those that take a second or more are drawn less often, so that many schedules fit into the time.
const QUICK: &[Act] = &[
    Act::Works,
    Act::Works,
    Act::Reset,
    Act::HeadOnly(End::Reset),
    Act::HeadOnly(End::Clean),
    Act::Begins(1, End::Reset),
    Act::Begins(2, End::Reset),
    Act::Begins(1, End::Cut),
    Act::Begins(1, End::Clean),
    Act::HalfEvent,
    Act::ErrorFirst,
    Act::ErrorLater,
    Act::Page,
    Act::Garbage,
    Act::Status(400),
    Act::Status(401),
    Act::Status(404),
    Act::Status(409),
    Act::Status(500),
    Act::Patience(429, "50"),
    Act::Patience(429, "30000"),
    Act::Patience(503, "50"),
    Act::Patience(503, "1e9"),
];
const SLOW: &[Act] =
    &[Act::Silence, Act::CommentsOnly, Act::Begins(1, End::Stall), Act::Begins(2, End::Endless)];

/// A route of `faults/moegate.toml` and its budget.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub route: &'static str,
    pub attempts: usize,
    pub seconds: u64,
}

const ROUTES: &[Budget] = &[
    Budget { route: "chaos-1", attempts: 1, seconds: 2 },
    Budget { route: "chaos-2", attempts: 2, seconds: 2 },
    Budget { route: "chaos-3", attempts: 3, seconds: 3 },
    Budget { route: "chaos-4", attempts: 4, seconds: 2 },
];

/// When the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    ToTheEnd,
    /// As soon as an origin has the request.
    NotEvenForTheAnswer,
    /// Until so many bytes have come.
    For(usize),
}

#[derive(Debug, Clone)]
pub struct Schedule {
    pub budget: Budget,
    pub is_stream: bool,
    pub stay: Stay,
    /// For the calls at each origin, in order; after the last of them they begin anew.
    pub acts: [(&'static str, [Act; 4]); 3],
}

impl Schedule {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let budget = draw.of(ROUTES);
        let is_stream = draw.below(3) > 0;
        let stay = match draw.below(8) {
            0 => Stay::NotEvenForTheAnswer,
            1 => Stay::For(1 + draw.below(300)),
            _ => Stay::ToTheEnd,
        };
        let mut acts =
            || std::array::from_fn(|_| if draw.below(12) == 0 { draw.of(SLOW) } else { draw.of(QUICK) });
        Self { budget, is_stream, stay, acts: [("first", acts()), ("second", acts()), ("third", acts())] }
    }

    /// What the origin does with its next call. `None`: it works.
    #[must_use]
    pub fn script(&self, asked: &Asked<'_>) -> Option<Script> {
        let (_, acts) = self.acts.iter().find(|(origin, _)| *origin == asked.origin)?;
        script(acts[asked.before % acts.len()], asked)
    }
}

fn script(act: Act, asked: &Asked<'_>) -> Option<Script> {
    // What belongs to streams becomes something else that is wrong where none was asked for.
    let act = match act {
        Act::Begins(_, End::Stall | End::Endless) | Act::CommentsOnly if !asked.streamed => Act::Silence,
        Act::Begins(..) | Act::HalfEvent if !asked.streamed => Act::HeadOnly(End::Reset),
        Act::ErrorFirst | Act::ErrorLater | Act::Garbage if !asked.streamed => Act::Status(200),
        Act::HeadOnly(End::Clean) if !asked.streamed => Act::Page,
        act => act,
    };
    Some(match act {
        Act::Works => return None,
        Act::Reset => Script::Reset,
        Act::HeadOnly(end) => head_only(asked, end),
        Act::Silence => Script::Silence,
        Act::CommentsOnly => streams(COMMENT, End::Endless),
        Act::Begins(words, end) => begins(asked, words, end),
        Act::HalfEvent => begins_with(asked, 1, "data: {\"choi", End::Reset),
        Act::ErrorFirst => streams(&(event(ERROR) + DONE), End::Clean),
        Act::ErrorLater => begins_with(asked, 1, &(event(ERROR) + DONE), End::Clean),
        Act::Page => Scripted::new(200, "text/html", "<html></html>").into(),
        Act::Garbage => streams("who knows\n\n", End::Clean),
        Act::Status(status) => error(status, &[]),
        Act::Patience(status, ms) => error(status, &[("retry-after-ms", ms)]),
    })
}
