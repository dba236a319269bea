//! The plan for programs: decimal strings with six places.

use super::arithmetic::{HOURS_PER_MONTH, Outcome};
use super::ratio::Ratio;
use super::sleep::Outcome as Sleep;
use serde_json::{Value, json};

/// # Errors
/// A number is too large.
pub(super) fn of(outcome: &Outcome, sleep: Option<&Sleep>, notes: &[String]) -> Result<String, String> {
    let steps = outcome.table.iter().map(|step| {
        Ok(json!({
            "utilisation": number(step.utilisation)?,
            "output_millions_per_month": number(step.output_millions)?,
            "usd_per_million": number(step.per_million)?,
        }))
    });
    let elsewhere = outcome.elsewhere.as_ref().map(|elsewhere| -> Result<Value, String> {
        let crossover = elsewhere.crossover.as_ref().map(|crossover| -> Result<Value, String> {
            Ok(json!({
                "output_millions_per_month": number(crossover.output_millions)?,
                "utilisation": number(crossover.utilisation)?,
                "can_be_reached": !crossover.utilisation.is_more_than(Ratio::whole(1)),
            }))
        });
        Ok(json!({
            "usd_per_million": number(elsewhere.per_million)?,
            "is_measured": elsewhere.is_measured,
            "usd_per_month": number(elsewhere.per_month)?,
            "crossover": crossover.transpose()?,
        }))
    });
    let options = sleep.map_or(&[][..], |sleep| &sleep.choices).iter().map(|option| {
        Ok(json!({
            "name": option.name,
            "hours_per_month": number(option.hours)?,
            "gpus_usd_per_month": number(option.gpus)?,
            "usd_per_million": number(option.per_million)?,
            "wakes_per_month": number(option.wakes)?,
            "waiting_per_month": number(option.waiting)?,
            "share_waiting": number(option.share_waiting)?,
            "median_wait_ms": option.median_wait,
            "longest_wait_ms": option.longest_wait,
        }))
    });
    let report = json!({
        "tokens_per_second": number(outcome.tokens_per_second)?,
        "utilisation": number(outcome.utilisation)?,
        "usd_per_million": {
            "busy": number(outcome.per_million_busy)?,
            "billed": number(outcome.per_million_billed)?,
            "with_ops": number(outcome.per_million_with_ops)?,
        },
        "month": {
            "hours": HOURS_PER_MONTH,
            "output_millions": number(outcome.month.output_millions)?,
            "capacity_millions": number(outcome.month.capacity_millions)?,
            "gpus_usd": number(outcome.gpus_per_month)?,
            "ops_usd": number(outcome.ops_per_month)?,
        },
        "elsewhere": elsewhere.transpose()?,
        "steps": steps.collect::<Result<Vec<_>, String>>()?,
        "sleep": options.collect::<Result<Vec<_>, String>>()?,
        "notes": notes,
    });
    Ok(format!("{report:#}\n"))
}

fn number(ratio: Ratio) -> Result<String, String> {
    ratio.rounded(6)
}
