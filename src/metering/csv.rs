//! Records as lines of CSV (RFC 4180).

use super::record::Record;
use std::fmt::Write;

/// The first line.
pub const HEADER: &str = "id,request,attempt,last,state,started_ms,key,tenant,model,served_model,origin,route,user,tag,stream,status,ending,failure,prompt_tokens,cached_tokens,cache_write_tokens,completion_tokens,reasoning_tokens,metered,inferred,cost_nanodollars,upstream_cost_nanodollars,bound_nanodollars,busy_us,head_after_ms,ended_after_ms,price,cache_hit,config\n";

/// A record, without the line's end.
pub fn line(text: &mut String, record: &Record) {
    let usage = record.usage;
    let words = |word: &str| field(word);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        record.id,
        record.request(),
        record.attempt,
        record.last,
        record.state.name(),
        record.started_ms,
        words(&record.key),
        words(&record.tenant),
        words(&record.model),
        words(&record.served_model),
        words(&record.origin),
        words(&record.route),
        words(record.user.as_deref().unwrap_or("")),
        words(record.tag.as_deref().unwrap_or("")),
        record.stream,
        record.status,
        record.ending_name(),
        record.failure.map_or("", crate::config::Failure::name),
        usage.prompt,
        usage.cached,
        usage.cache_write,
        usage.completion,
        usage.reasoning,
        record.metered,
        record.inferred,
        record.cost_nanodollars.0,
        record.upstream_cost_nanodollars.map_or_else(String::new, |cost| cost.0.to_string()),
        record.bound_nanodollars,
        record.busy_us,
        record.head_after_ms,
        record.ended_after_ms,
        words(&record.price),
        record.cache_hit,
        record.config.map_or_else(String::new, |config| config.to_string()),
    );
}

/// A text as a field. What a table program would take for a formula is given a blank in front.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t']);
    let blank = if formula { " " } else { "" };
    match formula || text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{blank}{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "\" =1+1\""),
            ("", ""),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
