//! A price as the text of a ticket, and what names it in records.

use super::{CLASSES, Price, Rates, Step};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// More steps than any price list has.
pub const MOST_STEPS: usize = 16;

impl Price {
    /// `GPU_HOUR-RATE-…`, and for each step `_ABOVE-RATE-…`, with the rates in the order of [`Rates`].
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(128);
        row(&mut text, self.gpu_hour, &self.rates);
        for Step { above, rates } in &self.steps {
            text.push('_');
            row(&mut text, *above, rates);
        }
        text
    }

    /// What [`Price::to_text`] wrote. `None`: it is something else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut rows = text.split('_').map(read);
        let (gpu_hour, rates) = rows.next()??;
        let steps: Option<Vec<_>> =
            rows.take(MOST_STEPS + 1).map(|row| row.map(|(above, rates)| Step { above, rates })).collect();
        let steps = steps.filter(|steps| steps.len() <= MOST_STEPS && steps.is_sorted_by_key(|s| s.above))?;
        Some(Self { rates, steps, gpu_hour })
    }

    /// Eight hex digits that differ, but for chance, where any number of two prices does.
    #[must_use]
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.to_text());
        format!("{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
    }
}

fn row(text: &mut String, first: u64, rates: &Rates) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{first}");
    for rate in rates.numbers() {
        let _ = write!(text, "-{rate}");
    }
}

fn read(row: &str) -> Option<(u64, Rates)> {
    let mut numbers = row.split('-').map(|number| {
        // `parse` takes a sign too.
        number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<u64>().ok()).flatten()
    });
    let first = numbers.next()??;
    let mut rates = [0; CLASSES];
    for rate in &mut rates {
        *rate = numbers.next()??;
    }
    numbers.next().is_none().then(|| (first, rates.into()))
}
