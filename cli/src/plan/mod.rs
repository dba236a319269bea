//! `moegate plan`: own GPUs against a price per token, at the measured utilisation.

mod arithmetic;
mod json;
mod load;
mod ratio;
mod sleep;
mod text;

use crate::{Answer, rows};
use arithmetic::{Prices, Rates};
use lexopt::prelude::*;
use load::{Load, Tokens};
use ratio::Ratio;
use std::path::PathBuf;

/// What to plan with. Money is in dollars.
#[derive(Debug)]
pub(crate) struct Plan {
    load: Source,
    rates: Rates,
    prices: Prices,
    sleep: Option<sleep::Rules>,
    json: bool,
}

#[derive(Debug)]
enum Source {
    /// The ledger's export, as JSONL; `-`: standard input.
    Usage { file: PathBuf, origin: Option<String>, billed_hours: Option<Ratio> },
    /// A day's.
    Stated(Tokens),
}

/// The arguments behind `plan`. `None`: help is wanted.
///
/// # Errors
/// One is missing, unknown or not what it should be.
pub(crate) fn parse(arguments: &mut lexopt::Parser) -> Result<Option<Plan>, lexopt::Error> {
    let (mut usage, mut origin, mut billed_hours) = (None, None, None);
    let (mut gpu_hour, mut gpus, mut tokens_per_second) = (None, 1, None);
    let (mut ops_hours, mut ops_hourly) = (None, None);
    let (mut input, mut cached, mut output) = (None, None, None);
    let (mut prices, mut json) = (Prices::default(), false);
    let (mut sleep_after, mut wake, mut keep_warm) = (None, None, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("usage") => usage = Some(PathBuf::from(arguments.value()?)),
            Long("origin") => origin = Some(arguments.value()?.string()?),
            Long("billed-hours") => billed_hours = Some(arguments.value()?.parse_with(positive)?),
            Long("gpu-hour") => gpu_hour = Some(arguments.value()?.parse_with(positive)?),
            Long("gpus") => gpus = arguments.value()?.parse_with(gpu_count)?,
            Long("tokens-per-second") => tokens_per_second = Some(arguments.value()?.parse_with(positive)?),
            Long("ops-hours-per-month") => ops_hours = Some(arguments.value()?.parse_with(number)?),
            Long("ops-hourly") => ops_hourly = Some(arguments.value()?.parse_with(number)?),
            Long("input-tokens-per-day") => input = Some(arguments.value()?.parse_with(count)?),
            Long("cached-tokens-per-day") => cached = Some(arguments.value()?.parse_with(count)?),
            Long("output-tokens-per-day") => output = Some(arguments.value()?.parse_with(count)?),
            Long("price-input") => prices.input = Some(arguments.value()?.parse_with(number)?),
            Long("price-cached") => prices.cached = Some(arguments.value()?.parse_with(number)?),
            Long("price-output") => prices.output = Some(arguments.value()?.parse_with(number)?),
            Long("sleep-after") => sleep_after = Some(arguments.value()?.parse_with(milliseconds)?),
            Long("wake-seconds") => wake = Some(arguments.value()?.parse_with(milliseconds)?),
            Long("keep-warm") => keep_warm.push(arguments.value()?.parse_with(sleep::Hours::parse)?),
            Long("json") => json = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let load = match (usage, output) {
        (Some(file), None) if input.is_none() && cached.is_none() => {
            Source::Usage { file, origin, billed_hours }
        }
        (Some(_), _) => return Err("--…-tokens-per-day is for a plan without --usage".into()),
        (None, _) if origin.is_some() || billed_hours.is_some() => {
            return Err("--origin and --billed-hours belong to --usage".into());
        }
        (None, Some(output)) => {
            let of = Option::unwrap_or_default;
            Source::Stated(Tokens { input: of(input), cached: of(cached), output })
        }
        (None, None) => {
            return Err("plan wants a load: --usage ROWS.jsonl, or --output-tokens-per-day N".into());
        }
    };
    let sleep = match (sleep_after, wake) {
        (Some(_), Some(_)) if matches!(load, Source::Stated(_)) => {
            return Err("--sleep-after wants to know when requests come: --usage ROWS.jsonl".into());
        }
        (Some(sleep_after), Some(wake)) => Some(sleep::Rules { sleep_after, wake, keep_warm }),
        (None, None) if keep_warm.is_empty() => None,
        _ => {
            return Err("--sleep-after and --wake-seconds go together, and --keep-warm with both".into());
        }
    };
    let ops_per_month = match (ops_hours, ops_hourly) {
        (Some(hours), Some(hourly)) => Ratio::times(hours, hourly)?,
        (None, None) => Ratio::ZERO,
        _ => return Err("--ops-hours-per-month and --ops-hourly go together".into()),
    };
    let gpu_hour =
        gpu_hour.ok_or("plan wants the price of a GPU for an hour, in dollars: --gpu-hour 2.49")?;
    let rates = Rates { gpu_hour, gpus, tokens_per_second, ops_per_month };
    Ok(Some(Plan { load, rates, prices, sleep, json }))
}

fn number(text: &str) -> Result<Ratio, String> {
    Ratio::parse(text).ok_or_else(|| format!("`{text}` is no number such as 2.49"))
}

fn positive(text: &str) -> Result<Ratio, String> {
    number(text)?.more_than_zero().ok_or_else(|| "it must be more than 0".to_owned())
}

/// From seconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let seconds: u32 = text.parse().map_err(|_| format!("`{text}` is no whole number of seconds"))?;
    Ok(u64::from(seconds) * 1_000)
}

fn count(text: &str) -> Result<u128, String> {
    let whole = text.parse::<u64>().map_err(|_| format!("`{text}` is no whole number"))?;
    Ok(u128::from(whole))
}

fn gpu_count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|gpus| *gpus > 0).ok_or_else(|| format!("`{text}` is no number of GPUs"))
}

/// The plan.
///
/// # Errors
/// The export cannot be read, has nothing to plan with, or something has to be said beside it.
pub(crate) fn run(plan: &Plan) -> Result<Answer, String> {
    let load = match &plan.load {
        Source::Usage { file, origin, billed_hours } => {
            load::measured(file, origin.as_deref(), *billed_hours)?
        }
        Source::Stated(tokens) => load::stated(*tokens)?,
    };
    let outcome = arithmetic::of(&load, &plan.rates, &plan.prices)?;
    let notes = notes(&load, plan)?;
    let sleep = plan.sleep.as_ref().map(|rules| sleep::of(&load, rules, &plan.rates)).transpose()?;
    let text = if plan.json {
        json::of(&outcome, sleep.as_ref(), &notes)?
    } else {
        let slept = plan.sleep.as_ref().zip(sleep.as_ref());
        let slept = slept.map(|(rules, sleep)| text::of_sleep(sleep, rules, &outcome)).transpose()?;
        text::of(&outcome, &plan.rates, &notes)? + &slept.unwrap_or_default()
    };
    Ok(Answer { text, is_yes: true })
}

/// Sentences on what the figures cannot show.
fn notes(load: &Load, plan: &Plan) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    if let (Some(attempts), Source::Usage { file, billed_hours, .. }) = (load.attempts, &plan.load) {
        let name = rows::name(file);
        notes.push(format!("Measured over {} attempts of {name}.", attempts.counted));
        if attempts.pending > 0 {
            notes.push(format!("{} pending attempts have no counts yet and are left out.", attempts.pending));
        }
        if attempts.estimated > 0 {
            notes.push(format!("The counts of {} attempts are estimates.", attempts.estimated));
        }
        if billed_hours.is_none() && Ratio::whole(24).is_more_than(load.hours) {
            notes.push(format!(
                "They span {} hours, taken for a fair sample of the month; if the GPUs were paid for longer, say --billed-hours.",
                load.hours.rounded(2)?
            ));
        }
    }
    if load.busy_hours.is_none() && load.tokens.input > 0 {
        notes.push(
            "Prompts take time too: --tokens-per-second should be what the GPUs make under this load, prompts included."
                .to_owned(),
        );
    }
    Ok(notes)
}
