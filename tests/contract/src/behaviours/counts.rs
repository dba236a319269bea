//! Counts as origins report them elsewhere than in OpenAI's places, or in another relation.

use crate::fixtures::{
    DONE, always, chat, delta, event, finish, json, stream, streamed, streamed_with_usage,
};
use crate::stage::{Behaviour, Stage};
use moegate::metering::record::Record;
use moegate_wire::{Ending, Nanodollars};
use serde_json::Value;

pub(super) const ALL: &[Behaviour] = &[
    Behaviour::new(
        "counts_from_the_total",
        "what an origin leaves out of its counts is worked out from the total, and the record says so",
        from_the_total,
    ),
    Behaviour::new(
        "counts_in_a_choice",
        "counts within a choice, in `x_groq` or in `timings` count, and cached tokens beside the prompt's too",
        in_a_choice,
    ),
    Behaviour::new(
        "counts_are_told_as_usage",
        "whoever asked for the counts gets them as `usage`, wherever the origin puts them",
        told_as_usage,
    ),
    Behaviour::new("counts_as_floats", "integral numbers are integers: `1000.0`, `1e3`", floats),
    Behaviour::new(
        "counts_only_grow",
        "of several counts in a stream the largest hold: zeros take nothing away",
        only_grow,
    ),
    Behaviour::new(
        "counts_that_cannot_be",
        "more cached tokens than prompt, or thoughts than answer, are cut to it, in the record too, which says so",
        cannot_be,
    ),
    Behaviour::new(
        "counts_in_other_relations",
        "reasoning counts once whether the origin counts it within the answer or beside it, and so does what was cached",
        relations,
    ),
    Behaviour::new(
        "cost_of_the_origin",
        "the body says what it costs here, with the origin's own cost beside it as `upstream_cost`, which the record has too",
        cost_of_the_origin,
    ),
];

/// A stream of one word with these last events, and its record.
fn record_of(stage: &mut Stage<'_>, last: &[String]) -> Record {
    let chunks = [&[delta("hello")], last, &[DONE.to_owned()]].concat();
    let reply = stage.play(always(stream(&chunks)), &streamed("far-model"));
    assert_eq!(reply.status, 200, "{reply:?}");
    let record = stage.settled();
    assert_eq!((record.ending, record.metered), (Ending::Complete, true), "{last:?}");
    record
}

/// An event with a finish reason and these members beside the choices.
fn finish_with(members: &str) -> String {
    event(&format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{members}}}"#))
}

/// Prompt, cached, completion, reasoning.
fn numbers(record: &Record) -> [u64; 4] {
    let usage = record.usage;
    [usage.prompt, usage.cached, usage.completion, usage.reasoning]
}

fn from_the_total(stage: &mut Stage<'_>) {
    for (usage, counts, cost) in [
        (r#"{"prompt_tokens":1000,"total_tokens":1500}"#, [1000, 0, 500, 0], 2_000_000),
        (r#"{"completion_tokens":100,"total_tokens":1100}"#, [1000, 0, 100, 0], 1_200_000),
        (r#"{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}"#, [20, 0, 603, 0], 1_226_000),
    ] {
        let record = record_of(stage, &[finish_with(&format!("\"usage\":{usage}"))]);
        assert_eq!((numbers(&record), record.inferred), (counts, true), "{usage}");
        assert_eq!(record.cost_nanodollars, Nanodollars(cost), "{usage}");
        let reply =
            stage.play(always(json(200, format!(r#"{{"choices":[],"usage":{usage}}}"#))), &chat("far-model"));
        assert_eq!(reply.header("x-moegate-cost"), Nanodollars(cost).to_dollars());
        assert_eq!(stage.settled().usage, record.usage);
    }
}

const COUNTS: &str = r#""prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100"#;

fn in_a_choice(stage: &mut Stage<'_>) {
    let choice = |usage: &str| {
        event(&format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{{}},"finish_reason":"stop","usage":{usage}}}]}}"#
        ))
    };
    for (last, counts, cost) in [
        (choice(&format!("{{{COUNTS}}}")), [1000, 0, 100, 0], 1_200_000),
        (choice(&format!("{{{COUNTS},\"cached_tokens\":800}}")), [1000, 800, 100, 0], 800_000),
        (
            finish_with(&format!(r#""x_groq":{{"id":"r","usage":{{"queue_time":0.07,{COUNTS}}}}}"#)),
            [1000, 0, 100, 0],
            1_200_000,
        ),
        (
            finish_with(r#""timings":{"cache_n":800,"prompt_n":200,"predicted_n":100}"#),
            [1000, 800, 100, 0],
            800_000,
        ),
    ] {
        let record = record_of(stage, std::slice::from_ref(&last));
        assert_eq!((numbers(&record), record.inferred), (counts, false), "{last}");
        assert_eq!(record.cost_nanodollars, Nanodollars(cost), "{last}");
    }
}

fn told_as_usage(stage: &mut Stage<'_>) {
    let finish = finish_with(&format!(r#""x_groq":{{"usage":{{{COUNTS}}}}}"#));
    let chunks = [delta("hello"), finish.clone(), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed_with_usage("far-model"));
    let text = reply.text();
    let line = text.lines().find(|line| line.contains("x_groq")).unwrap();
    let told: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&told["usage"]["total_tokens"], &told["usage"]["cost"]), (&1100.into(), &0.0012.into()));
    stage.settled();
    let answer = format!(r#"{{"id":"c","choices":[],"x_groq":{{"usage":{{{COUNTS}}}}}}}"#);
    let reply = stage.play(always(json(200, answer)), &chat("far-model"));
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&told["usage"]["prompt_tokens"], reply.header("x-moegate-cost")), (&1000.into(), "0.0012"));
    stage.settled();
}

fn floats(stage: &mut Stage<'_>) {
    let usage = r#""usage":{"prompt_tokens":1000.0,"completion_tokens":1e2,"total_tokens":1.1e3}"#;
    let record = record_of(stage, &[finish_with(usage)]);
    assert_eq!((numbers(&record), record.inferred), ([1000, 0, 100, 0], false));
}

fn only_grow(stage: &mut Stage<'_>) {
    let usage = |text: &str| event(&format!(r#"{{"id":"c","choices":[],"usage":{{{text}}}}}"#));
    let zeros = usage(r#""prompt_tokens":0,"completion_tokens":0,"total_tokens":0"#);
    let first = usage(r#""prompt_tokens":1000,"completion_tokens":1,"total_tokens":1001"#);
    for last in [
        vec![finish(), usage(COUNTS), zeros.clone()],
        vec![zeros.clone(), finish(), usage(COUNTS)],
        vec![first, finish(), usage(COUNTS), zeros],
    ] {
        let record = record_of(stage, &last);
        assert_eq!((numbers(&record), record.inferred), ([1000, 0, 100, 0], false), "{last:?}");
    }
}

fn cannot_be(stage: &mut Stage<'_>) {
    for (details, counts, cost) in [
        (r#""prompt_tokens_details":{"cached_tokens":5000}"#, [1000, 1000, 100, 0], 700_000),
        (r#""completion_tokens_details":{"reasoning_tokens":5000}"#, [1000, 0, 100, 100], 1_200_000),
    ] {
        let record = record_of(stage, &[finish_with(&format!("\"usage\":{{{COUNTS},{details}}}"))]);
        assert_eq!((numbers(&record), record.inferred), (counts, true), "{details}");
        assert_eq!(record.cost_nanodollars, Nanodollars(cost));
    }
}

fn relations(stage: &mut Stage<'_>) {
    for (origin, usage, counts) in [
        (
            "OpenAI",
            r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"completion_tokens_details":{"reasoning_tokens":60}}"#,
            [1000, 0, 100, 60],
        ),
        (
            "xAI",
            r#"{"prompt_tokens":1000,"completion_tokens":40,"total_tokens":1100,"completion_tokens_details":{"reasoning_tokens":60}}"#,
            [1000, 0, 100, 60],
        ),
        (
            "DeepSeek",
            r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_cache_hit_tokens":800,"prompt_cache_miss_tokens":200}"#,
            [1000, 800, 100, 0],
        ),
        (
            "Anthropic",
            r#"{"input_tokens":200,"cache_read_input_tokens":800,"cache_creation_input_tokens":0,"output_tokens":100}"#,
            [1000, 800, 100, 0],
        ),
        (
            "Anthropic's meaning under OpenAI's names",
            r#"{"prompt_tokens":200,"completion_tokens":100,"total_tokens":1100,"cache_read_input_tokens":800}"#,
            [1000, 800, 100, 0],
        ),
        ("Bedrock", r#"{"inputTokens":1000,"outputTokens":100,"totalTokens":1100}"#, [1000, 0, 100, 0]),
        (
            "Gemini",
            r#"{"promptTokenCount":1000,"candidatesTokenCount":40,"thoughtsTokenCount":60,"totalTokenCount":1100}"#,
            [1000, 0, 100, 60],
        ),
    ] {
        let record = record_of(stage, &[finish_with(&format!("\"usage\":{usage}"))]);
        assert_eq!((numbers(&record), record.inferred), (counts, false), "{origin}");
    }
}

fn cost_of_the_origin(stage: &mut Stage<'_>) {
    let usage = format!("\"usage\":{{{COUNTS},\"cost\":0.5}}");
    let expected = format!("\"usage\":{{{COUNTS},\"cost\":0.0012,\"upstream_cost\":0.5}}");
    let reply = stage.play(always(json(200, format!("{{\"choices\":[],{usage}}}"))), &chat("far-model"));
    assert_eq!(reply.text(), format!("{{\"choices\":[],{expected}}}"));
    assert_eq!(reply.header("x-moegate-cost"), "0.0012");
    let costs = |record: &Record| (record.cost_nanodollars, record.upstream_cost_nanodollars);
    let both = (Nanodollars(1_200_000), Some(Nanodollars(500_000_000)));
    assert_eq!(costs(&stage.settled()), both);
    let chunks = [delta("hello"), finish_with(&usage), DONE.to_owned()];
    let reply = stage.play(always(stream(&chunks)), &streamed_with_usage("far-model"));
    assert_eq!(reply.text(), chunks.concat().replacen(&usage, &expected, 1));
    assert_eq!(costs(&stage.settled()), both);
    for (usage, nano) in [
        ("\"cost_in_usd_ticks\":37756000", 3_775_600),
        ("\"cost\":{\"total_cost\":0.00515}", 5_150_000),
        ("\"estimated_cost\":0.0000268", 26_800),
    ] {
        let record = record_of(stage, &[finish_with(&format!("\"usage\":{{{COUNTS},{usage}}}"))]);
        assert_eq!(costs(&record), (Nanodollars(1_200_000), Some(Nanodollars(nano))), "{usage}");
    }
}
