use super::*;

/// Prompt, cached, completion, reasoning; whether something was inferred.
fn counts(text: &str) -> Option<((u64, u64, u64, u64), bool)> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    read(raw).map(|reading| numbers(&reading.counts))
}

fn numbers(counts: &Counts) -> ((u64, u64, u64, u64), bool) {
    let Usage { prompt, cached, completion, reasoning, .. } = counts.usage;
    ((prompt, cached, completion, reasoning), counts.inferred)
}

const SAID: bool = false;
const INFERRED: bool = true;

#[test]
fn relations() {
    for (source, text, expected) in [
        (
            "OpenAI",
            r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#,
            Some(((3, 0, 5, 0), SAID)),
        ),
        (
            "OpenAI",
            r#"{"prompt_tokens":30,"completion_tokens":5,"total_tokens":35,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}"#,
            Some(((30, 20, 5, 4), SAID)),
        ),
        (
            "vLLM",
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null}"#,
            Some(((9, 0, 1, 0), SAID)),
        ),
        (
            "agentgateway#1464",
            r#"{"prompt_tokens":1000,"total_tokens":1500}"#,
            Some(((1000, 0, 500, 0), INFERRED)),
        ),
        (
            "integral",
            r#"{"prompt_tokens":1000.0,"completion_tokens":1e2,"total_tokens":1.1e3}"#,
            Some(((1000, 0, 100, 0), SAID)),
        ),
        (
            "more cached than prompt",
            r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":5000}}"#,
            Some(((1000, 1000, 100, 0), INFERRED)),
        ),
        (
            "Moonshot: vercel/ai#12352",
            r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cached_tokens":800}"#,
            Some(((1000, 800, 100, 0), SAID)),
        ),
        // Reasoning outside of the answer.
        (
            "xAI: vercel/ai#12425",
            r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":331,"completion_tokens_details":{"reasoning_tokens":317}}"#,
            Some(((12, 0, 319, 317), SAID)),
        ),
        (
            "xAI: sub2api#5771",
            r#"{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":14428,"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":2809}}"#,
            Some(((10120, 128, 4308, 2809), SAID)),
        ),
        (
            "xAI without a total",
            r#"{"prompt_tokens":12,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":317}}"#,
            Some(((12, 0, 319, 317), INFERRED)),
        ),
        (
            "Gemini through a proxy: CLIProxyAPI#5733",
            r#"{"completion_tokens":0,"total_tokens":81,"prompt_tokens":21,"completion_tokens_details":{"reasoning_tokens":60}}"#,
            Some(((21, 0, 60, 60), SAID)),
        ),
        (
            "Gemini's thoughts only in the total: any-llm#1290",
            r#"{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}"#,
            Some(((20, 0, 603, 0), INFERRED)),
        ),
        (
            "Gemini's own names: any-llm#1290",
            r#"{"promptTokenCount":20,"candidatesTokenCount":198,"thoughtsTokenCount":405,"totalTokenCount":623}"#,
            Some(((20, 0, 603, 405), SAID)),
        ),
        (
            "reasoning that cannot be",
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"reasoning_tokens":900}"#,
            Some(((10, 0, 5, 5), INFERRED)),
        ),
        // Cached beside the prompt.
        (
            "Anthropic",
            r#"{"input_tokens":4,"cache_creation_input_tokens":100,"cache_read_input_tokens":900,"output_tokens":7}"#,
            Some(((1004, 900, 7, 0), SAID)),
        ),
        (
            "OpenAI's Responses",
            r#"{"input_tokens":30,"input_tokens_details":{"cached_tokens":20},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":35}"#,
            Some(((30, 20, 5, 4), SAID)),
        ),
        (
            "LiteLLM: cached within",
            r#"{"prompt_tokens":1004,"completion_tokens":7,"total_tokens":1011,"cache_read_input_tokens":900,"cache_creation_input_tokens":100}"#,
            Some(((1004, 900, 7, 0), SAID)),
        ),
        (
            "a proxy that keeps Anthropic's meaning",
            r#"{"prompt_tokens":4,"completion_tokens":7,"total_tokens":1011,"cache_read_input_tokens":900,"cache_creation_input_tokens":100}"#,
            Some(((1004, 900, 7, 0), SAID)),
        ),
        (
            "omlx#1487: the whole under Anthropic's names",
            r#"{"input_tokens":1000,"cache_read_input_tokens":900,"output_tokens":7,"total_tokens":1007}"#,
            Some(((1000, 900, 7, 0), SAID)),
        ),
        (
            "Bedrock: crewAI#7417",
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":115,"cacheReadInputTokens":100,"cacheWriteInputTokens":0}"#,
            Some(((110, 100, 5, 0), SAID)),
        ),
        (
            "DeepSeek",
            r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":1}"#,
            Some(((9, 8, 1, 0), SAID)),
        ),
        (
            "DeepSeek without its sum",
            r#"{"completion_tokens":1,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":1}"#,
            Some(((9, 8, 1, 0), SAID)),
        ),
        (
            "both families of names",
            r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"input_tokens":9,"output_tokens":1}"#,
            Some(((9, 0, 1, 0), SAID)),
        ),
        (
            "a member twice",
            r#"{"prompt_tokens":1,"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}"#,
            Some(((9, 0, 1, 0), SAID)),
        ),
        // Missing or wrong.
        (
            "no prompt",
            r#"{"prompt_tokens":0,"completion_tokens":100,"total_tokens":1100}"#,
            Some(((1000, 0, 100, 0), INFERRED)),
        ),
        ("only a total", r#"{"total_tokens":1500}"#, Some(((1500, 0, 0, 0), INFERRED))),
        (
            "a total of zero",
            r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":0}"#,
            Some(((9, 0, 1, 0), SAID)),
        ),
        (
            "a total that is less",
            r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":9}"#,
            Some(((9, 0, 5, 0), INFERRED)),
        ),
        ("a prompt alone", r#"{"prompt_tokens":9}"#, Some(((9, 0, 0, 0), INFERRED))),
        ("an answer alone", r#"{"completion_tokens":9}"#, Some(((0, 0, 9, 0), INFERRED))),
        ("null", "null", None),
        ("nothing", "{}", None),
        ("zeros", r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, None),
        ("negative", r#"{"prompt_tokens":-1,"completion_tokens":1}"#, None),
        ("a text", r#"{"prompt_tokens":"many"}"#, None),
        ("half a token", r#"{"prompt_tokens":1.5,"completion_tokens":1}"#, None),
        ("absurd", r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1}"#, None),
        (
            "absurd",
            r#"{"prompt_tokens":5,"completion_tokens":1,"total_tokens":18446744073709551615}"#,
            Some(((5, 0, 1, 0), SAID)),
        ),
        ("a number", "7", None),
    ] {
        assert_eq!(counts(text), expected, "{source}: {text}");
    }
}

/// Written to a cache, of it for an hour; audio of prompt and completion.
#[test]
fn parts_that_have_prices_of_their_own() {
    for (source, text, expected) in [
        (
            "Anthropic",
            r#"{"input_tokens":4,"cache_creation_input_tokens":100,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60},"output_tokens":7}"#,
            [100, 60, 0, 0],
        ),
        (
            "Bedrock",
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":115,"cacheReadInputTokens":0,"cacheWriteInputTokens":100,"cacheDetails":[{"ttl":"1h","inputTokens":30},{"ttl":"5m","inputTokens":70}]}"#,
            [100, 30, 0, 0],
        ),
        (
            "OpenAI",
            r#"{"prompt_tokens":30,"completion_tokens":50,"total_tokens":80,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":20},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":40}}"#,
            [0, 0, 20, 40],
        ),
        (
            "OpenRouter",
            r#"{"prompt_tokens":30,"completion_tokens":5,"total_tokens":35,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":20,"audio_tokens":0}}"#,
            [20, 0, 0, 0],
        ),
        (
            "Gemini",
            r#"{"promptTokenCount":90,"cachedContentTokenCount":50,"candidatesTokenCount":20,"totalTokenCount":110,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":80}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":50}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}"#,
            [0, 0, 30, 20],
        ),
        (
            "more than the whole",
            r#"{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"prompt_tokens_details":{"audio_tokens":20},"completion_tokens_details":{"audio_tokens":40},"cache_creation":{"ephemeral_1h_input_tokens":9}}"#,
            [0, 0, 5, 1],
        ),
        (
            "nulls",
            r#"{"prompt_tokens":5,"prompt_tokens_details":null,"promptTokensDetails":null,"cacheDetails":[null,7]}"#,
            [0; 4],
        ),
    ] {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let usage = read(raw).unwrap().counts.usage;
        let told = [usage.cache_write, usage.cache_write_1h, usage.audio_prompt, usage.audio_completion];
        assert_eq!(told, expected, "{source}: {text}");
    }
}

#[test]
fn places() {
    let found = |text: &str| {
        let [a, b, c, d] = OTHERS;
        let [choices, usage, others @ ..] =
            crate::dialect::json::pick(text, &["choices", "usage", a, b, c, d]).unwrap();
        let choices = choices.and_then(crate::dialect::json::list).unwrap_or_default();
        find(usage, others, &choices).map(|found| (numbers(&found.reading.counts).0, found.usual))
    };
    for (source, text, expected) in [
        (
            "OpenAI",
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
            Some(((9, 0, 1, 0), true)),
        ),
        (
            "Moonshot: pi#2017",
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}]}"#,
            Some(((9, 0, 1, 0), false)),
        ),
        (
            "Moonshot, both",
            r#"{"choices":[{"index":0,"usage":{"prompt_tokens":9,"completion_tokens":1}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
            Some(((9, 0, 1, 0), true)),
        ),
        (
            "Groq: vercel/ai#1651",
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"queue_time":0.07,"prompt_tokens":23,"completion_tokens":19,"total_tokens":42}}}"#,
            Some(((23, 0, 19, 0), false)),
        ),
        (
            "llama.cpp: llama.cpp#15827",
            r#"{"choices":[],"timings":{"cache_n":236,"prompt_n":1,"prompt_ms":30.958,"predicted_n":35,"predicted_ms":661.064}}"#,
            Some(((237, 236, 35, 0), false)),
        ),
        (
            "Gemini",
            r#"{"usageMetadata":{"promptTokenCount":21,"thoughtsTokenCount":60,"totalTokenCount":81}}"#,
            Some(((21, 0, 60, 60), false)),
        ),
        (
            "Bedrock: langchain#14120",
            r#"{"choices":[],"amazon-bedrock-invocationMetrics":{"inputTokenCount":16,"outputTokenCount":337,"invocationLatency":4151}}"#,
            Some(((16, 0, 337, 0), false)),
        ),
        (
            "zeros at the usual place",
            r#"{"choices":[{"index":0,"usage":{"prompt_tokens":9,"completion_tokens":1}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
            Some(((9, 0, 1, 0), false)),
        ),
        (
            "the second choice",
            r#"{"choices":[{"index":0},{"index":1,"usage":{"prompt_tokens":9,"completion_tokens":1}}]}"#,
            Some(((9, 0, 1, 0), false)),
        ),
        ("nowhere", r#"{"choices":[{"index":0}],"usage":null,"x_groq":{"id":"r"}}"#, None),
    ] {
        assert_eq!(found(text), expected, "{source}: {text}");
    }
}

#[test]
fn what_origins_say_that_it_cost() {
    for (source, text, expected) in [
        (
            "OpenRouter",
            r#"{"prompt_tokens":1,"completion_tokens":1,"cost":0.5,"cost_details":{"upstream_inference_cost":0.4}}"#,
            Some(500_000_000),
        ),
        (
            "Perplexity: vercel/ai#13705",
            r#"{"prompt_tokens":1,"completion_tokens":1,"cost":{"input_tokens_cost":0.00015,"output_tokens_cost":0,"request_cost":0.005,"total_cost":0.00515}}"#,
            Some(5_150_000),
        ),
        (
            "xAI: docs.x.ai, cost tracking",
            r#"{"prompt_tokens":1,"completion_tokens":1,"cost_in_usd_ticks":37756000}"#,
            Some(3_775_600),
        ),
        (
            "DeepInfra",
            r#"{"prompt_tokens":1,"completion_tokens":1,"estimated_cost":0.0000268}"#,
            Some(26_800),
        ),
        ("nothing", r#"{"prompt_tokens":1,"completion_tokens":1}"#, None),
        ("no number", r#"{"prompt_tokens":1,"completion_tokens":1,"cost":"free"}"#, None),
        ("less than nothing", r#"{"prompt_tokens":1,"completion_tokens":1,"cost":-1}"#, None),
    ] {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let cost = read(raw).unwrap().counts.upstream_cost.map(|cost| cost.0);
        assert_eq!(cost, expected, "{source}: {text}");
    }
}

#[test]
fn one_cost_in_the_body() {
    let ours = Nanodollars(1_200_000);
    for (text, expected) in [
        (r#"{"prompt_tokens":1}"#, r#"{"prompt_tokens":1,"cost":0.0012}"#),
        (r#"{"prompt_tokens":1,"cost":null}"#, r#"{"prompt_tokens":1,"cost":0.0012}"#),
        (r#"{"cost":0.5 ,"prompt_tokens":1}"#, r#"{"cost":0.0012,"upstream_cost":0.5 ,"prompt_tokens":1}"#),
        (r#"{"prompt_tokens":1,"cost":0.00120}"#, r#"{"prompt_tokens":1,"cost":0.00120}"#),
        (
            r#"{"prompt_tokens":1,"cost":{"total_cost":0.5}}"#,
            r#"{"prompt_tokens":1,"cost":0.0012,"upstream_cost":{"total_cost":0.5}}"#,
        ),
        (
            r#"{"upstream_cost":0.1,"prompt_tokens":1,"cost":0.5}"#,
            r#"{"upstream_cost":0.5,"prompt_tokens":1,"cost":0.0012}"#,
        ),
    ] {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let edits = cost_edits(text.as_bytes(), &read(raw).unwrap(), ours);
        assert_eq!(String::from_utf8(crate::payload::edited(text.as_bytes(), edits)).unwrap(), expected);
    }
}

#[test]
fn the_member_in_openai_s_form() {
    let usage = Usage {
        prompt: 30,
        cached: 20,
        cache_write: 6,
        completion: 5,
        reasoning: 4,
        audio_prompt: 3,
        audio_completion: 1,
        ..Usage::default()
    };
    let again = object(&usage).to_string();
    assert_eq!(read(serde_json::from_str(&again).unwrap()).unwrap().counts.usage, usage);
    let text = format!("{{{}}}", member(&usage, Nanodollars(30_000)));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["usage"]["total_tokens"], 35);
    assert_eq!(counts(&value["usage"].to_string()), Some(((30, 20, 5, 4), SAID)));
}
