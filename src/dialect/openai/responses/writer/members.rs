//! Members of the response object.

use crate::dialect::counts::Counts;
use crate::dialect::exchange::AnswerContext;
use crate::dialect::json_writer::JsonWriter;

pub(super) fn failure(json: &mut JsonWriter, code: &str, message: &str) {
    json.object(|json| {
        json.member("code", code);
        json.member("message", message);
    });
}

pub(super) fn usage(json: &mut JsonWriter, counts: &Counts, context: &AnswerContext) {
    let usage = &counts.usage;
    json.object(|json| {
        json.key("input_tokens").number(usage.prompt);
        json.key("input_tokens_details").object(|json| {
            json.key("cached_tokens").number(usage.cached);
            json.key("cache_write_tokens").number(usage.cache_write);
        });
        json.key("output_tokens").number(usage.completion);
        json.key("output_tokens_details").object(|json| json.key("reasoning_tokens").number(usage.reasoning));
        json.key("total_tokens").number(usage.prompt + usage.completion);
        json.key("cost").raw(&counts.cost(&context.price).to_dollars());
    });
}
