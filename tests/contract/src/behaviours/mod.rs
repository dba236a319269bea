//! The list. Each behaviour is played on every host that can.

mod admission;
mod cache;
mod clients;
mod cors;
mod counts;
mod endings;
mod faults;
mod foreign_errors;
mod key_value;
mod keys;
mod leaving;
mod odd_events;
mod odd_streams;
mod pump;
mod pushed;
mod refusals;
mod relay;
mod secrets;
mod traces;
mod unstreamed;
mod usage;

use crate::stage::Behaviour;

/// In the order in which they are played; those of [`usage`] come last, since they add up what all others left.
#[must_use]
pub fn all() -> Vec<(&'static str, &'static [Behaviour])> {
    vec![
        ("Admission", admission::ALL),
        ("What clients send", clients::ALL),
        ("Pages in browsers", cors::ALL),
        ("Secrets", secrets::ALL),
        ("Unstreamed answers", unstreamed::ALL),
        ("Relayed streams", relay::ALL),
        ("Pumped streams", pump::ALL),
        ("Answers given again", cache::ALL),
        ("Clients that leave", leaving::ALL),
        ("Origins that fail", faults::ALL),
        ("Errors in other forms and words", foreign_errors::ALL),
        ("What origins refuse", refusals::ALL),
        ("Streams and bodies in other forms", odd_streams::ALL),
        ("Events in other forms", odd_events::ALL),
        ("Counts in other places and relations", counts::ALL),
        ("Endings and money", endings::ALL),
        ("Traces", traces::ALL),
        ("Changed without a deploy", pushed::ALL),
        ("Keys made at run time", keys::ALL),
        ("Without a ledger", key_value::ALL),
        ("The account", usage::ALL),
    ]
}
