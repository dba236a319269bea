//! Opens a file of any bytes, and makes a model, a tokenizer and a chat template of it.
//!
//! In `moe-server`, with cargo-fuzz. The readers have no `unsafe` but the file's map, so no sanitizer is needed and any
//! compiler will do:
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds -- fuzz/corpus/gguf
//! cargo fuzz run --sanitizer none gguf -- -max_len=65536 -rss_limit_mb=1024 -timeout=10
//! ```
//!
//! What it finds goes into `tests/hostile_gguf.rs`, which runs in every test.
#![no_main]

#[path = "../../tests/hostile/walk.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    walk::walk(bytes);
});
