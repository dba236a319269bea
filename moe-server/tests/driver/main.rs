//! The server on a GPU, from the command line to the driver's library: that is a stand-in, which runs the kernels on the
//! processor (`moe-cuda/kernels/emulated_driver.cpp`).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod process;

use moe_cuda::kv::KvType;
use serde_json::{Value, json};

use process::{Card, Served, exited};

const PROMPTS: [&str; 3] = ["Hello", "The quick brown fox", "one two three four five six seven"];

fn body(prompt: &str, tokens: u32, stream: bool) -> String {
    json!({
        "model": "tiny", "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "temperature": 0,
        "stream": stream, "logit_bias": {},
    })
    .to_string()
}

fn text(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// What a stream said, and whether it came to its end.
fn said(stream: &str) -> (String, bool) {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: {"));
    let texts = events.map(|event| {
        let event: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    });
    (texts.collect(), stream.contains("data: [DONE]"))
}

/// What a server answers to one after the other.
fn answers(server: &Served) -> Vec<String> {
    PROMPTS.iter().map(|prompt| text(&server.chat(&body(prompt, 24, false)))).collect()
}

#[test]
fn answers_are_the_processors_and_memory_is_given_back_asleep() {
    let card = Card::default();
    let of_processor = answers(&card.serve(&["--device", "cpu"]));
    let server = card.serve(&["--device", "cuda:0"]);
    assert!(server.log().contains("computing on GPU 0, Stand-in"), "{}", server.log());
    let ask = || {
        std::thread::scope(|scope| {
            let asking = PROMPTS.map(|prompt| scope.spawn(|| text(&server.chat(&body(prompt, 24, false)))));
            asking.map(|answer| answer.join().unwrap())
        })
    };
    let expected = answers(&server);
    for (gpu, processor) in expected.iter().zip(&of_processor) {
        // The model's weights are random, and attention has another order of sums: some token comes where two are as good.
        let same = gpu.chars().zip(processor.chars()).take_while(|(a, b)| a == b).count();
        assert!(same >= 8, "{gpu:?}, and on the processor {processor:?}");
    }
    assert_eq!(ask().to_vec(), expected);
    let (head, _) = server.ask("POST /sleep", "");
    assert!(head.starts_with("HTTP/1.1 20"), "{head}");
    server.until("POST /sleep", |_, body| body.contains("\"cold\""));
    let first = card.counts();
    assert_eq!(first.len(), 1, "the context has ended: {first:?}");
    assert!(first[0].graphs > 10 && first[0].launches > 1000, "{first:?}");
    server.ask("POST /wake", "");
    server.until("GET /ready", |head, _| head.starts_with("HTTP/1.1 200"));
    assert_eq!(ask().to_vec(), expected);
    server.ask("POST /sleep", "");
    server.until("POST /sleep", |_, body| body.contains("\"cold\""));
    let both = card.counts();
    assert!(both.len() == 2 && both[1].peak == both[0].peak, "as much memory as before: {both:?}");
    server.stop();
}

#[test]
fn a_card_is_asked_for_a_plan_and_gives_what_was_planned() {
    let card = Card { memory: 300 << 20, ..Card::default() };
    let plan = |arguments: &[&str]| {
        let output = card.tool("plan").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    // As many tokens of KV as the server is told to have.
    let few = ["--max-batch", "4"];
    let (status, said) = plan(&[&few[..], &["--device", "cuda:0", "--context", "1024", "--json"]].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    let planned = &said["plans"][0];
    assert!(status == Some(0) && planned["device"].as_str().unwrap().contains("Stand-in"), "{said}");
    assert_eq!(
        (&planned["memory_bytes"], &planned["room"]["kv_tokens"]),
        (&card.memory.into(), &4096.into())
    );
    let server = card.serve(&[&few[..], &["--device", "cuda:0"]].concat());
    let (_, metrics) = server.ask("GET /metrics", "");
    let told = |state: &str| {
        let name = format!("moe_server_gpu_memory_bytes{{state=\"{state}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("{metrics}")).parse::<u64>().unwrap()
    };
    assert_eq!(Some(told("used")), planned["room"]["total_bytes"].as_u64());
    assert_eq!(told("used") + told("free"), card.memory);
    let (status, said) = plan(&["--device", "auto", "--context", "1024"]);
    assert!(status == Some(0) && said.contains("cuda:0, Stand-in"), "{said}");
}

#[test]
fn keys_and_values_are_kept_in_eight_bits_where_that_is_asked_for() {
    let card = Card { kv_type: KvType::Q8_0, ..Card::default() };
    let of_processor = answers(&card.serve(&["--device", "cpu", "--kv-type", "q8_0"]));
    let of_gpu = answers(&card.serve(&["--device", "cuda:0", "--kv-type", "q8_0"]));
    for (gpu, processor) in of_gpu.iter().zip(&of_processor) {
        let same = gpu.chars().zip(processor.chars()).take_while(|(a, b)| a == b).count();
        assert!(same >= 8, "{gpu:?}, and on the processor {processor:?}");
    }
    let (code, log) = exited(&mut card.command(&["--device", "cuda:0", "--kv-type", "f32"]));
    assert!(code == Some(1) && log.contains("f16 or q8_0") && log.lines().count() == 1, "{code:?}: {log}");
    // The stand-in's kernels are those for eight bits alone.
    let (code, log) = exited(&mut card.command(&["--device", "cuda:0"]));
    assert!(code == Some(1) && log.contains("could not compile the kernels"), "{code:?}: {log}");
}

#[test]
fn a_fault_is_a_pause() {
    let card = Card::default();
    let server = card.serve(&["--device", "cuda:0"]);
    let whole = text(&server.chat(&body(PROMPTS[1], 120, false)));
    for at in [3, 20] {
        let mut stream = server.open("POST /v1/chat/completions", &body(PROMPTS[1], 120, true));
        let mut begun = String::new();
        while begun.matches("data: {").count() < at {
            begun += &stream.more();
        }
        card.fault("lost");
        let (answer, ended) = said(&(begun + &stream.rest()));
        assert!(ended && answer == whole, "{answer:?}, and not {whole:?}");
    }
    let (_, metrics) = server.ask("GET /metrics", "");
    assert!(metrics.contains("\nmoe_server_engine_rebuilds_total 2\n"), "{metrics}");
    assert!(server.log().contains("the GPU was lost while"), "{}", server.log());
    assert!(server.ask("GET /ready", "").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_card_that_is_gone_ends_the_process() {
    let card = Card::default();
    let mut server = card.serve(&["--device", "cuda:0"]);
    server.chat(&body(PROMPTS[0], 4, false));
    card.fault("gone");
    let (head, answer) = server.ask("POST /v1/chat/completions", &body(PROMPTS[0], 40, false));
    assert!(head.starts_with("HTTP/1.1 500") && answer.contains("\"engine_dead\""), "{head}: {answer}");
    assert_eq!(server.wait(), Some(1));
    let log = server.log();
    for part in ["the GPU was lost while", "names no GPU", "so that what supervises it starts another one"] {
        assert!(log.contains(part), "{part:?} in {log}");
    }
}

#[test]
fn a_card_that_will_not_do_is_told_in_a_line() {
    let small = Card { memory: 200_000, ..Card::default() };
    let old = Card { version: 11_080, ..Card::default() };
    for (card, part) in
        [(&small, "MiB of GPU memory are wanted"), (&old, "the driver speaks CUDA 11.8, and 12.0 is needed")]
    {
        let (code, log) = exited(&mut card.command(&["--device", "cuda:0"]));
        assert!(code == Some(1) && log.contains(part) && log.lines().count() == 1, "{code:?}: {log}");
        let server = card.serve(&["--device", "auto"]);
        let log = server.log();
        assert!(log.contains(part) && log.contains("computing on the processor"), "{log}");
        assert!(!text(&server.chat(&body(PROMPTS[0], 4, false))).is_empty());
    }
    let (code, log) = exited(&mut Card::default().command(&["--device", "cuda:1"]));
    assert!(code == Some(1) && log.contains("names no GPU"), "{code:?}: {log}");
}

#[test]
fn kernels_that_do_not_compile_are_told() {
    let card = Card { head_dim: 64, ..Card::default() };
    let (code, log) = exited(&mut card.command(&["--device", "cuda:0"]));
    assert!(code == Some(1) && log.contains("could not compile the kernels for sm_90a"), "{code:?}: {log}");
}
