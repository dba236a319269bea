//! What a plan says, to people and to scripts.

use super::{Options, Planned};
use moe_server::engine::Room;
use moe_server::plan::{ModelPlan, Outcome};
use serde_json::{Value, json};

/// One line.
pub(super) fn json(options: &Options, model: &ModelPlan, planned: &[Planned]) -> String {
    let plans: Vec<Value> = planned.iter().map(one).collect();
    let (config, wish) = (model.config(), &options.wish);
    json!({
        "model": options.model.to_string_lossy(),
        "architecture": model.architecture,
        "layers": config.layers,
        "context_length": config.context_length,
        "weights": model.weights,
        "packed_at_start_bytes": model.packed_at_start,
        "kv_type": wish.kv_type.to_string(),
        "max_batch": wish.max_batch,
        "plans": plans,
    })
    .to_string()
}

fn one(planned: &Planned) -> Value {
    let mut value = json!({
        "device": planned.name,
        "memory_bytes": planned.place.memory(),
        "fits": planned.fits(),
        "advice": planned.advice,
    });
    let more = match &planned.outcome {
        Outcome::Fits { room, longest } => json!({"longest_context": longest, "room": room_json(room)}),
        Outcome::TooLarge { needed, room, longest } => json!({
            "longest_context": longest,
            "needed_bytes": needed,
            "missing_bytes": needed - planned.place.memory(),
            "room": room_json(room),
        }),
        Outcome::Never(why) => json!({"reason": why}),
    };
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn room_json(room: &Room) -> Value {
    json!({
        "weights_bytes": room.weights,
        "kv_bytes": room.kv,
        "kv_bytes_per_token": room.token(),
        "kv_bytes_per_sequence": room.sequence,
        "kv_tokens": room.kv_tokens,
        "buffers_bytes": room.buffers,
        "total_bytes": room.total(),
        "context": room.context,
        "sequences": room.sequences,
    })
}

pub(super) fn text(options: &Options, model: &ModelPlan, planned: &[Planned]) -> String {
    let mut lines = vec![head(options, model), String::new()];
    lines.push(format!("{:32}{:>14}{:>12}  types", "weights, as they are held", "parameters", "size"));
    for group in &model.weights.groups {
        let (count, bytes) = (count(group.parameters), size(group.bytes));
        lines.push(format!("  {:30}{count:>14}{bytes:>12}  {}", group.name, group.types.join(", ")));
    }
    lines.push(format!(
        "  {:30}{:>14}{:>12}",
        "in all",
        count(model.weights.parameters),
        size(model.weights.bytes)
    ));
    lines.push(String::new());
    match planned {
        [planned] => lines.extend(full(options, planned)),
        all => lines.extend(table(options, all)),
    }
    lines.join("\n")
}

fn head(options: &Options, model: &ModelPlan) -> String {
    let (config, weights) = (model.config(), &model.weights);
    format!(
        "{}: {}, {} layers, {} parameters of which a token is computed with {}, made for {} tokens",
        options.model.display(),
        model.architecture,
        config.layers,
        count(weights.parameters),
        count(weights.active_parameters),
        grouped(config.context_length)
    )
}

/// All of one place.
fn full(options: &Options, planned: &Planned) -> Vec<String> {
    let mut lines = vec![format!(
        "{}, {} free: {}",
        planned.name,
        size(planned.place.memory()),
        verdict(options, planned)
    )];
    if let Outcome::Fits { room, .. } | Outcome::TooLarge { room, .. } = &planned.outcome {
        let each = format!(
            "{} of {} tokens, {} each; {} a token ({})",
            plural(room.sequences, "sequence"),
            grouped(room.context),
            size(room.sequence),
            size(room.token()),
            options.wish.kv_type
        );
        let rows = [
            ("weights", room.weights, ""),
            ("keys and values", room.kv, &each),
            ("buffers", room.buffers, ""),
            ("in all", room.total(), ""),
        ];
        if let Outcome::TooLarge { needed, .. } = planned.outcome {
            lines.push(format!("with {} it would take", size(needed)));
        }
        for (name, bytes, more) in rows.into_iter().filter(|(_, bytes, _)| *bytes > 0) {
            lines.push(format!("  {name:30}{:>26}  {more}", size(bytes)).trim_end().to_owned());
        }
    }
    lines.extend(planned.advice.iter().map(|line| format!("- {line}")));
    lines
}

/// A line for each place, and what to do about the last.
fn table(options: &Options, all: &[Planned]) -> Vec<String> {
    let mut lines = vec![format!("{:8}{:>12}", "card", "free")];
    for planned in all {
        lines.push(format!(
            "{:8}{:>12}  {}",
            planned.name,
            size(planned.place.memory()),
            verdict(options, planned)
        ));
    }
    let last = all.last().into_iter().flat_map(|planned| &planned.advice);
    lines.extend(last.map(|line| format!("- {line}")));
    lines
}

fn verdict(options: &Options, planned: &Planned) -> String {
    match &planned.outcome {
        Outcome::Fits { room, longest } => format!(
            "{} of {} tokens {} room; one alone up to {}",
            plural(room.sequences, "sequence"),
            grouped(room.context),
            if room.sequences == 1 { "has" } else { "have" },
            grouped(*longest)
        ),
        Outcome::TooLarge { needed, .. } => {
            let missing = size(needed - planned.place.memory());
            let wished = options.wish.context;
            let context = wished.map(|tokens| format!(" for one sequence of {} tokens", grouped(tokens)));
            format!("too large by {missing}{}", context.unwrap_or_default())
        }
        Outcome::Never(why) => format!("not at all: {why}"),
    }
}

fn plural(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `58.1 GiB`.
#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn size(bytes: usize) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1 << bits)),
        None => format!("{bytes} B"),
    }
}

/// Of parameters.
#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn count(number: usize) -> String {
    let number = number as f64;
    if number >= 1e9 {
        format!("{:.1} billion", number / 1e9)
    } else {
        format!("{:.2} million", number / 1e6)
    }
}

/// `131,072`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let numbers = [0, 999, 1000, 131_072, 10_485_760].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "131,072", "10,485,760"]);
        assert_eq!([900, 1 << 10, 3 << 19, 3 << 29].map(size), ["900 B", "1.0 KiB", "1.5 MiB", "1.5 GiB"]);
        assert_eq!([7_450_000, 107_770_000_000].map(count), ["7.45 million", "107.8 billion"]);
        assert_eq!([plural(1, "sequence"), plural(2, "sequence")], ["1 sequence", "2 sequences"]);
    }
}
