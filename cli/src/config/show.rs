//! What a gateway says of its configuration, in words.

use super::{Row, State};
use moegate::metering::record::day;
use std::fmt::Write;

/// What is served.
pub(super) fn served(state: &State) -> String {
    match state.served() {
        0 => format!("the deployed configuration, {}", short(&state.deployed)),
        version => format!("version {version}, {}", short(&state.hash)),
    }
}

pub(super) fn state(state: &State) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match (state.version, state.applies) {
        (0, _) => writeln!(text, "Nothing was pushed: {} runs.", served(state)),
        (version, true) => {
            writeln!(text, "Version {version} ({}) holds since {}.", short(&state.hash), time(state.since_ms))
        }
        (version, false) => writeln!(
            text,
            "Version {version} does not apply: another configuration was deployed after it. {} runs.",
            capital(&served(state))
        ),
    };
    let _ = writeln!(text, "The instance that answered serves by {}.", state.running);
    for row in &state.versions {
        let Row { version, at_ms, who, note, hash, base, back_to } = row;
        let _ = write!(text, "{version:>5}  {}  {}  {who}", time(*at_ms), short(hash));
        if let Some(back_to) = back_to {
            let _ = write!(text, "  back to {back_to}");
        }
        if *base != state.deployed {
            let _ = write!(text, "  for another deployment, {}", short(base));
        }
        if !note.is_empty() {
            let note: String = note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = write!(text, "  {note}");
        }
        text.push('\n');
    }
    text
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// `2026-11-27 16:05Z`.
fn time(ms: u64) -> String {
    let minutes = ms / 60_000 % (24 * 60);
    format!("{} {:02}:{:02}Z", day(ms), minutes / 60, minutes % 60)
}
