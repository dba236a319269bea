//! Whole answers.

use crate::dialect::answer::AnswerFacts;
use crate::dialect::json::{list, pick};
use crate::dialect::usage;
use crate::payload::Edit;
use memchr::memmem;
use moegate_wire::{Price, Usage};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Choices over this are not looked into for counts: a list of many small things would fill the instance's memory.
const LARGEST: usize = 1024 * 1024;

/// An answer over this that is not UTF-8 passes unread.
const LARGEST_MENDED: usize = 4 * 1024 * 1024;

/// `images`: whether `data` holds an image each. `None` where it is no JSON object.
pub(in crate::dialect) fn read(body: &[u8], price: &Price, images: bool) -> Option<AnswerFacts> {
    // A large one is not copied to mend a byte of it.
    if body.len() > LARGEST_MENDED && std::str::from_utf8(body).is_err() {
        return body.trim_ascii_start().starts_with(b"{").then(AnswerFacts::default);
    }
    let text = String::from_utf8_lossy(body);
    // What is not UTF-8 passes as it is, as to the client's own reader; only the cost cannot be put in.
    let as_is = matches!(text, Cow::Owned(_));
    let text = text.trim_start_matches('\u{feff}');
    let [a, b, c, d] = usage::OTHERS;
    let [choices, own, error, others @ ..] = pick(text, &["choices", "usage", "error", a, b, c, d])?;
    // A choice may have an error too; the word alone says nothing yet.
    let of_choice = |choices: &RawValue| memmem::find(choices.get().as_bytes(), b"\"error\"").is_some();
    let dubious = error.is_some() || choices.map_or(own.is_none(), of_choice);
    // The usual place first: choices may be large.
    let found =
        own.and_then(usage::read).map(|reading| usage::Found { reading, usual: true }).or_else(|| {
            let short = |choices: &&RawValue| choices.get().len() <= LARGEST;
            let choices = choices.filter(short).and_then(list).unwrap_or_default();
            usage::find(None, others, &choices)
        });
    let images =
        if images { pick(text, &["data"])?[0].and_then(list).map_or(0, |data| data.len() as u64) } else { 0 };
    let Some(found) = found else {
        // Older models tell no tokens; an image has a price of its own.
        let counts = (images > 0).then(|| Usage { images, ..Usage::default() }.into());
        return Some(AnswerFacts { counts, dubious, ..AnswerFacts::default() });
    };
    let mut counts = found.reading.counts;
    counts.usage.images = images;
    let cost = counts.cost(price);
    let edits = if as_is {
        Vec::new()
    } else if found.usual {
        usage::cost_edits(body, &found.reading, cost)
    } else if own.is_none() {
        // What OpenAI's clients read, which this origin puts elsewhere.
        let brace = body.iter().position(|&b| b == b'{').unwrap_or(0) + 1;
        vec![Edit { span: brace..brace, text: format!("{},", usage::member(&counts.usage, cost)) }]
    } else {
        Vec::new()
    };
    Some(AnswerFacts { counts: Some(counts), dubious, edits, own: None })
}
