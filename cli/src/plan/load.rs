//! What was asked of the GPUs, or would be: measured from the ledger's export, or stated.

use super::ratio::Ratio;
use super::sleep;
use crate::rows::{self, Row, State};
use std::path::Path;

/// Tokens over a time.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) tokens: Tokens,
    /// Over how long.
    pub(super) hours: Ratio,
    /// Hours in which own GPUs computed; `None`: the attempts do not say.
    pub(super) busy_hours: Option<Ratio>,
    /// What third parties charge for attempts.
    pub(super) elsewhere: Option<Charged>,
    pub(super) attempts: Option<Attempts>,
    /// Their times; empty: they are not known.
    pub(super) times: Vec<sleep::Attempt>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tokens {
    /// The cached ones included.
    pub(super) input: u128,
    pub(super) cached: u128,
    pub(super) output: u128,
}

/// Nano-dollars for output tokens, and what came with them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Charged {
    pub(super) nanodollars: u128,
    pub(super) output: u128,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempts {
    pub(super) counted: u64,
    /// Pending ones have no counts yet.
    pub(super) pending: u64,
    /// Their counts are estimates.
    pub(super) estimated: u64,
}

/// Attempts of one kind.
#[derive(Default)]
struct Sum {
    tokens: Tokens,
    attempts: Attempts,
    busy_us: u128,
    charged: Charged,
    /// Unix milliseconds of the first one's start and the last one's end.
    time: Option<(u64, u64)>,
    times: Vec<sleep::Attempt>,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        let end = row.started_ms.saturating_add(row.ended_after_ms);
        let (from, to) = self.time.unwrap_or((row.started_ms, end));
        self.time = Some((from.min(row.started_ms), to.max(end)));
        self.times.push((row.started_ms, row.ended_after_ms));
        self.busy_us += u128::from(row.busy_us.unwrap_or_default());
        match row.state {
            State::Pending => {
                self.attempts.pending += 1;
                return;
            }
            State::Estimated => self.attempts.estimated += 1,
            State::Settled => {}
        }
        self.attempts.counted += 1;
        self.tokens.input += u128::from(row.usage.prompt);
        self.tokens.cached += u128::from(row.usage.cached.min(row.usage.prompt));
        self.tokens.output += u128::from(row.usage.completion);
        if row.state == State::Settled && row.cost_nanodollars > 0 {
            self.charged.nanodollars += u128::from(row.cost_nanodollars);
            self.charged.output += u128::from(row.usage.completion);
        }
    }
}

/// The attempts at `origin`, or those with busy time, or where there are none all of them; the others are elsewhere.
///
/// # Errors
/// The file cannot be read, is no export, or has nothing to measure.
pub(super) fn measured(
    file: &Path,
    origin: Option<&str>,
    billed_hours: Option<Ratio>,
) -> Result<Load, String> {
    let name = rows::name(file);
    let (mut own, mut others) = (Sum::default(), Sum::default());
    rows::read(file, |row| {
        let is_own = origin.map_or(row.busy_us.is_some(), |origin| origin == row.origin);
        if is_own {
            own.add(&row);
        } else {
            others.add(&row);
        }
        Ok(())
    })?;
    let has_own = own.time.is_some();
    if let (Some(origin), false) = (origin, has_own) {
        return Err(format!("{name} has no attempt at the origin `{origin}`"));
    }
    let (load, rest) = if has_own { (own, others) } else { (others, own) };
    // Where nothing runs on own GPUs yet, the load has its price already.
    let elsewhere = if load.busy_us > 0 { rest.charged } else { load.charged };
    if load.tokens.output == 0 {
        return Err(format!("{name} has no output tokens to plan with"));
    }
    let hours = match (billed_hours, load.time) {
        (Some(hours), _) => hours,
        (None, Some((from, to))) if to > from => {
            Ratio::new(u128::from(to - from), 3_600_000).ok_or("a time of nothing")?
        }
        _ => return Err(format!("{name} says nothing of the time it took: give --billed-hours")),
    };
    let busy_hours = Ratio::new(load.busy_us, 3_600_000_000).filter(|hours| !hours.is_zero());
    Ok(Load {
        tokens: load.tokens,
        hours,
        busy_hours,
        elsewhere: (elsewhere.output > 0).then_some(elsewhere),
        attempts: Some(load.attempts),
        times: load.times,
    })
}

/// A day's tokens.
///
/// # Errors
/// More are cached than there are.
pub(super) fn stated(tokens: Tokens) -> Result<Load, String> {
    if tokens.cached > tokens.input {
        return Err(
            "--cached-tokens-per-day is part of --input-tokens-per-day, so at most as many".to_owned()
        );
    }
    if tokens.output == 0 {
        return Err("--output-tokens-per-day must be more than 0".to_owned());
    }
    let hours = Ratio::whole(24);
    Ok(Load { tokens, hours, busy_hours: None, elsewhere: None, attempts: None, times: Vec::new() })
}
