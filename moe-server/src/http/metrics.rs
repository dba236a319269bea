//! `GET /metrics`: the state in Prometheus' text format 0.0.4.

use super::{Caller, Server};
use crate::schedule::Scheduler;
use crate::schedule::stats::STEP_BOUNDS_US;
use crate::telemetry::Telemetry;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(super) async fn get(State(server): State<Arc<Server>>, _: Caller) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, text)], render(&server.scheduler, server.telemetry.as_ref())).into_response()
}

fn render(scheduler: &Scheduler, telemetry: Option<&Telemetry>) -> String {
    let stats = scheduler.stats();
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: &[(&str, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP moe_server_{name} {help}\n# TYPE moe_server_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "moe_server_{name}{labels} {value}");
        }
    };
    let endings = [
        ("{ending=\"complete\"}", stats.complete.load(Relaxed)),
        ("{ending=\"error\"}", stats.error.load(Relaxed)),
        ("{ending=\"cancelled\"}", stats.cancelled.load(Relaxed)),
    ];
    family("requests_total", "counter", "Admitted requests that have ended.", &endings);
    let refused = stats.refused.load(Relaxed);
    family("refused_total", "counter", "Requests for generation refused by status.", &[("", refused)]);
    let tokens = [
        ("{kind=\"prompt\"}", stats.prompt_tokens.load(Relaxed)),
        ("{kind=\"completion\"}", stats.completion_tokens.load(Relaxed)),
    ];
    family("tokens_total", "counter", "Tokens computed (prompt) and sampled (completion).", &tokens);
    let cached = [
        ("prefix_cache_queries_total", "counter", "Sequences that began.", &stats.begun),
        (
            "prefix_cache_hits_total",
            "counter",
            "Those that began with tokens from the cache.",
            &stats.cache_hits,
        ),
        ("prefix_cache_tokens_total", "counter", "Tokens taken from the cache.", &stats.cached_tokens),
        ("prefix_cache_evictions_total", "counter", "Blocks of the cache overwritten.", &stats.evictions),
        ("prefix_cache_blocks", "gauge", "Blocks of the KV cache that may be reused.", &stats.known_blocks),
        ("prefix_cache_tokens", "gauge", "Tokens in these blocks.", &stats.known_tokens),
    ];
    for (name, kind, help, value) in cached {
        family(name, kind, help, &[("", value.load(Relaxed))]);
    }
    let preemptions = stats.preemptions.load(Relaxed);
    family(
        "preemptions_total",
        "counter",
        "Sequences that gave their KV to older ones.",
        &[("", preemptions)],
    );
    let rebuilds = stats.rebuilds.load(Relaxed);
    family("engine_rebuilds_total", "counter", "Engines that broke and were replaced.", &[("", rebuilds)]);
    let depth = scheduler.queue_depth() as u64;
    family("queue_depth", "gauge", "Requests that wait for a place in the batch.", &[("", depth)]);
    family("running", "gauge", "Sequences in the batch.", &[("", stats.running.load(Relaxed))]);
    let free = stats.kv_free_tokens.load(Relaxed);
    family("kv_free_tokens", "gauge", "Tokens that the KV cache still takes.", &[("", free)]);
    let total = stats.gpu_total.load(Relaxed);
    if total > 0 {
        let free = stats.gpu_free.load(Relaxed).min(total);
        let states = [("{state=\"free\"}", free), ("{state=\"used\"}", total - free)];
        family("gpu_memory_bytes", "gauge", "Memory of the GPU, used by whichever process.", &states);
    }
    if let Some(counts) = telemetry.map(Telemetry::counts) {
        let outcomes = [
            ("{outcome=\"sent\"}", counts.sent.load(Relaxed)),
            ("{outcome=\"dropped\"}", counts.dropped.load(Relaxed)),
        ];
        family("traces_total", "counter", "Requests by what became of their spans.", &outcomes);
    }
    family("ready", "gauge", "Whether requests are taken.", &[("", u64::from(scheduler.ready().is_ok()))]);

    let total = scheduler.meter().total();
    let help = "What the time since the start of the process went to.";
    let _ = writeln!(out, "# HELP moe_server_time_seconds_total {help}");
    let _ = writeln!(out, "# TYPE moe_server_time_seconds_total counter");
    let states = [
        ("busy", total.busy_us),
        ("idle", total.idle_us),
        ("cold", total.cold_us),
        ("asleep", total.asleep_us),
    ];
    for (state, us) in states {
        let _ = writeln!(out, "moe_server_time_seconds_total{{state=\"{state}\"}} {}", seconds(us));
    }
    let _ = writeln!(out, "# HELP moe_server_step_seconds Time of one step of the engine.");
    let _ = writeln!(out, "# TYPE moe_server_step_seconds histogram");
    let mut sum = 0;
    for (index, bucket) in stats.step_buckets.iter().enumerate() {
        sum += bucket.load(Relaxed);
        let bound = STEP_BOUNDS_US.get(index).map_or("+Inf".to_owned(), |&us| seconds(us));
        let _ = writeln!(out, "moe_server_step_seconds_bucket{{le=\"{bound}\"}} {sum}");
    }
    let _ = writeln!(out, "moe_server_step_seconds_sum {}", seconds(stats.step_us.load(Relaxed)));
    let _ = writeln!(out, "moe_server_step_seconds_count {sum}");
    out
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}
