//! The plan for people.

use super::arithmetic::{Crossover, HOURS_PER_MONTH, Outcome, Rates};
use super::ratio::Ratio;
use super::sleep::{Outcome as Sleep, Rules};
use std::fmt::Write;

/// # Errors
/// A number is too large.
pub(super) fn of(outcome: &Outcome, rates: &Rates, notes: &[String]) -> Result<String, String> {
    let mut text = String::new();
    let mut line = |label: &str, amount: String| {
        let _ = writeln!(text, "  {label:<52}{amount:>16}");
    };
    let has_ops = !outcome.ops_per_month.is_zero();
    let gpus = if rates.gpus == 1 { "One GPU".to_owned() } else { format!("{} GPUs", rates.gpus) };
    line("output tokens a second while busy", outcome.tokens_per_second.rounded(1)?);
    line("busy", percent(outcome.utilisation)?);
    line("a million output tokens, busy time alone", dollars(outcome.per_million_busy, 4)?);
    line("as billed, with idle time", dollars(outcome.per_million_billed, 4)?);
    if has_ops {
        line("and with ops hours", dollars(outcome.per_million_with_ops, 4)?);
    }
    if let Some(elsewhere) = &outcome.elsewhere {
        let source = if elsewhere.is_measured { "as charged" } else { "at the prices given" };
        line(&format!("elsewhere, {source}"), dollars(elsewhere.per_million, 4)?);
    }
    line(&format!("a month of {HOURS_PER_MONTH} hours, GPUs"), dollars(outcome.gpus_per_month, 2)?);
    if has_ops {
        line("ops hours", dollars(outcome.ops_per_month, 2)?);
    }
    if let Some(elsewhere) = &outcome.elsewhere {
        line("the same tokens elsewhere", dollars(elsewhere.per_month, 2)?);
    }
    line("millions of output tokens in it", outcome.month.output_millions.rounded(1)?);
    let mut text = format!("{gpus} at {} an hour:\n{text}\n", dollars(rates.gpu_hour, 2)?);

    text.push_str("   busy   millions a month   own, per million\n");
    for step in &outcome.table {
        let _ = writeln!(
            text,
            "{:>7}{:>19}{:>19}",
            percent_whole(step.utilisation)?,
            step.output_millions.rounded(1)?,
            dollars(step.per_million, 4)?
        );
    }
    let _ = writeln!(text, "\n{}", verdict(outcome)?);
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    Ok(text)
}

/// What sleep would change.
///
/// # Errors
/// A number is too large.
pub(super) fn of_sleep(sleep: &Sleep, rules: &Rules, outcome: &Outcome) -> Result<String, String> {
    let name = sleep.choices.iter().map(|option| option.name.len()).max().unwrap_or_default();
    let mut text = format!(
        "\nAsleep after {} s idle, {} s to wake, a month by the {} hours of the attempts:\n\n{:name$}{:>9}{:>13}{:>13}{:>9}{:>10}{:>10}{:>10}\n",
        rules.sleep_after / 1_000,
        rules.wake / 1_000,
        sleep.watched.rounded(1)?,
        "",
        "hours",
        "GPUs",
        "per million",
        "wakes",
        "waiting",
        "median",
        "longest",
    );
    let seconds = |wait: Option<u64>| wait.map_or("-".to_owned(), |ms| format!("{} s", ms.div_ceil(1_000)));
    for option in &sleep.choices {
        let _ = writeln!(
            text,
            "{:name$}{:>9}{:>13}{:>13}{:>9}{:>10}{:>10}{:>10}",
            option.name,
            option.hours.rounded(1)?,
            dollars(option.gpus, 2)?,
            dollars(option.per_million, 4)?,
            option.wakes.rounded(0)?,
            percent(option.share_waiting)?,
            seconds(option.median_wait),
            seconds(option.longest_wait),
        );
    }
    let [_, idle, warm @ ..] = &*sleep.choices else { return Ok(text) };
    text.push('\n');
    for option in warm {
        let name = option.name.trim_start_matches("warm ");
        let line = if !idle.waiting.is_more_than(option.waiting) {
            format!("Keeping warm {name} spares no attempt a wait.")
        } else {
            let (spared, more) = (idle.waiting.minus(option.waiting)?, option.gpus.minus(idle.gpus)?);
            format!(
                "Keeping warm {name} costs {} a month more and spares {} attempts a wait: {} for each.",
                dollars(more, 2)?,
                spared.rounded(0)?,
                dollars(more.by(spared)?, 4)?
            )
        };
        let _ = writeln!(text, "{line}");
    }
    if let Some(elsewhere) = &outcome.elsewhere {
        let _ = writeln!(
            text,
            "What waits could be answered elsewhere meanwhile (`cold = \"fallback\"`), where a million output tokens costs {}.",
            dollars(elsewhere.per_million, 4)?
        );
    }
    if !sleep.is_a_week {
        let _ = writeln!(
            text,
            "The attempts span less than a week: what hours of which days are worth, a week would show."
        );
    }
    Ok(text)
}

/// What follows.
fn verdict(outcome: &Outcome) -> Result<String, String> {
    let Some(elsewhere) = &outcome.elsewhere else {
        return Ok(
            "Without a price elsewhere there is no crossover: give --price-input, --price-cached and --price-output."
                .to_owned(),
        );
    };
    let Some(Crossover { output_millions, utilisation }) = &elsewhere.crossover else {
        return Ok("Elsewhere it is free: own GPUs are never cheaper.".to_owned());
    };
    let (millions, busy) = (output_millions.rounded(1)?, percent(*utilisation)?);
    let capacity = outcome.month.capacity_millions.rounded(1)?;
    Ok(if utilisation.is_more_than(Ratio::whole(1)) {
        format!(
            "These GPUs are never cheaper: the crossover would be at {millions} million output tokens a month, and they make at \
             most {capacity}."
        )
    } else if utilisation.is_more_than(outcome.utilisation) {
        format!(
            "Elsewhere is cheaper: own GPUs are from {millions} million output tokens a month on, {busy} busy."
        )
    } else {
        format!(
            "Own GPUs are cheaper: they are from {millions} million output tokens a month on, {busy} busy."
        )
    })
}

fn dollars(amount: Ratio, places: u32) -> Result<String, String> {
    Ok(format!("${}", amount.rounded(places)?))
}

fn percent(share: Ratio) -> Result<String, String> {
    Ok(format!("{} %", share.times(Ratio::whole(100))?.rounded(2)?))
}

fn percent_whole(share: Ratio) -> Result<String, String> {
    Ok(format!("{} %", share.times(Ratio::whole(100))?.rounded(0)?))
}
