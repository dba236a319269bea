//! The arithmetic: a GPU is paid by the hour, busy or idle; elsewhere a token is.
//!
//! Dollars per million output tokens = dollars an hour ÷ (tokens a second × 3,600) × 1,000,000, and that over the utilisation
//! where idle time is paid for too. Crossover = fixed dollars a month ÷ dollars per million elsewhere. The same formulas, with
//! examples that the tests hold this to: <https://www.gmicloud.ai/en/blog/llm-inference-cost-per-million-tokens>,
//! <https://dreaming.press/posts/self-hosting-llm-inference-vs-api-cost.html>,
//! <https://ai-costcalculator.com/self-hosted-llm-vs-api-calculator/>.

use super::load::{Charged, Load};
use super::ratio::Ratio;

/// 365 days of 24 hours over 12.
pub(super) const HOURS_PER_MONTH: u128 = 730;

const SECONDS_PER_HOUR: u128 = 3_600;
const MILLION: u128 = 1_000_000;
const NANODOLLARS: u128 = 1_000_000_000;

/// What own GPUs cost, and make.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Dollars for one.
    pub(super) gpu_hour: Ratio,
    pub(super) gpus: u32,
    /// Output tokens of all of them while they are busy; `None`: as measured.
    pub(super) tokens_per_second: Option<Ratio>,
    /// Dollars.
    pub(super) ops_per_month: Ratio,
}

/// Dollars per million tokens elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    pub(super) input: Option<Ratio>,
    /// By default what other input costs.
    pub(super) cached: Option<Ratio>,
    pub(super) output: Option<Ratio>,
}

/// Per million: dollars for a million output tokens, their prompts included.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Output tokens of all GPUs.
    pub(super) tokens_per_second: Ratio,
    /// Between 0 and 1.
    pub(super) utilisation: Ratio,
    pub(super) per_million_busy: Ratio,
    /// Idle time included.
    pub(super) per_million_billed: Ratio,
    /// Ops hours too.
    pub(super) per_million_with_ops: Ratio,
    /// At this utilisation, for a month.
    pub(super) month: Month,
    /// Dollars, whatever is computed.
    pub(super) gpus_per_month: Ratio,
    pub(super) ops_per_month: Ratio,
    pub(super) elsewhere: Option<Elsewhere>,
    /// What a million costs at other utilisations.
    pub(super) table: Vec<Step>,
}

#[derive(Debug)]
pub(super) struct Month {
    pub(super) output_millions: Ratio,
    /// All that the GPUs could make.
    pub(super) capacity_millions: Ratio,
}

#[derive(Debug)]
pub(super) struct Elsewhere {
    pub(super) per_million: Ratio,
    pub(super) is_measured: bool,
    /// Dollars for the month's tokens.
    pub(super) per_month: Ratio,
    /// From which on own GPUs are cheaper; `None`: elsewhere it is free.
    pub(super) crossover: Option<Crossover>,
}

#[derive(Debug)]
pub(super) struct Crossover {
    pub(super) output_millions: Ratio,
    /// More than 1: these GPUs cannot make so many.
    pub(super) utilisation: Ratio,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) utilisation: Ratio,
    pub(super) output_millions: Ratio,
    /// Idle time and ops hours included.
    pub(super) per_million: Ratio,
}

/// In per cent.
const STEPS: [u128; 6] = [5, 10, 25, 50, 75, 100];

/// # Errors
/// Something is missing or contradicts the rest.
pub(super) fn of(load: &Load, rates: &Rates, prices: &Prices) -> Result<Outcome, String> {
    let gpus = Ratio::whole(u128::from(rates.gpus));
    let output = Ratio::whole(load.tokens.output);
    let per_hour = rates.gpu_hour.times(gpus)?;
    let tokens_per_second = match (rates.tokens_per_second, load.busy_hours) {
        (Some(stated), _) => stated,
        (None, Some(busy)) => output.by(busy.times(Ratio::whole(SECONDS_PER_HOUR))?)?.times(gpus)?,
        (None, None) => {
            return Err(match load.attempts {
                Some(_) => {
                    "these attempts report no busy time: say what own GPUs would make, --tokens-per-second N"
                }
                None => "say how many output tokens the GPUs make while they are busy: --tokens-per-second N",
            }
            .to_owned());
        }
    };
    let millions_per_hour =
        tokens_per_second.times(Ratio::new(SECONDS_PER_HOUR, MILLION).unwrap_or(Ratio::ZERO))?;
    let capacity_millions = millions_per_hour.times(Ratio::whole(HOURS_PER_MONTH))?;
    // The share of the hours that were paid for.
    let utilisation = output.by(Ratio::whole(MILLION))?.by(load.hours)?.by(millions_per_hour)?;
    if utilisation.is_more_than(Ratio::whole(1)) {
        return Err(format!(
            "{} % busy: {} GPU{} at {} output tokens a second do not make so many in {} hours; look at --gpus, \
             --tokens-per-second{}",
            utilisation.times(Ratio::whole(100))?.rounded(1)?,
            rates.gpus,
            if rates.gpus == 1 { "" } else { "s" },
            tokens_per_second.rounded(1)?,
            load.hours.rounded(2)?,
            if load.attempts.is_some() { " and --billed-hours" } else { " (of all the GPUs together)" },
        ));
    }
    let fixed = per_hour.times(Ratio::whole(HOURS_PER_MONTH))?;
    let all = fixed.plus(rates.ops_per_month)?;
    let output_millions = capacity_millions.times(utilisation)?;
    let step = |percent: u128| -> Result<Step, String> {
        let utilisation = Ratio::new(percent, 100).unwrap_or(Ratio::ZERO);
        let output_millions = capacity_millions.times(utilisation)?;
        Ok(Step { utilisation, output_millions, per_million: all.by(output_millions)? })
    };
    Ok(Outcome {
        tokens_per_second,
        utilisation,
        per_million_busy: per_hour.by(millions_per_hour)?,
        per_million_billed: fixed.by(output_millions)?,
        per_million_with_ops: all.by(output_millions)?,
        gpus_per_month: fixed,
        ops_per_month: rates.ops_per_month,
        elsewhere: elsewhere(load, prices)?
            .map(|(per_million, is_measured)| -> Result<_, String> {
                let crossover = if per_million.is_zero() {
                    None
                } else {
                    let output_millions = all.by(per_million)?;
                    Some(Crossover { output_millions, utilisation: output_millions.by(capacity_millions)? })
                };
                Ok(Elsewhere {
                    per_million,
                    is_measured,
                    per_month: per_million.times(output_millions)?,
                    crossover,
                })
            })
            .transpose()?,
        table: STEPS.into_iter().map(step).collect::<Result<_, _>>()?,
        month: Month { output_millions, capacity_millions },
    })
}

/// Dollars for a million output tokens with their prompts, and whether that was measured. `None`: nothing says.
fn elsewhere(load: &Load, prices: &Prices) -> Result<Option<(Ratio, bool)>, String> {
    let tokens = &load.tokens;
    let Prices { input, cached, output: Some(output) } = *prices else {
        if prices.input.is_some() || prices.cached.is_some() {
            return Err("prices elsewhere want --price-output too".to_owned());
        }
        return match load.elsewhere {
            Some(Charged { nanodollars, output }) => {
                let millions = Ratio::whole(output).by(Ratio::whole(MILLION))?;
                let dollars = Ratio::whole(nanodollars).by(Ratio::whole(NANODOLLARS))?;
                Ok(Some((dollars.by(millions)?, true)))
            }
            None => Ok(None),
        };
    };
    if tokens.input == 0 {
        return Ok(Some((output, false)));
    }
    let input = input.ok_or("the load has input tokens, so prices elsewhere want --price-input too")?;
    let per_output = |count: u128| Ratio::whole(count).by(Ratio::whole(tokens.output));
    let uncached = per_output(tokens.input - tokens.cached)?.times(input)?;
    let cached = per_output(tokens.cached)?.times(cached.unwrap_or(input))?;
    Ok(Some((output.plus(uncached)?.plus(cached)?, false)))
}
