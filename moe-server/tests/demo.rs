//! The demo model's answers to questions in phrasings that it was not trained on.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};

use moe_server::{
    engine::{Span, Wanted},
    load::{LoadOptions, LoadedModel, load},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// More than any answer is long.
const MOST_TOKENS: usize = 120;
const MOST_BYTES: u64 = 8 << 20;

/// So many of the 20 answers hold their key words; the model's card shows all.
const GOOD: usize = 18;

#[derive(Deserialize)]
struct Question {
    messages: Value,
    /// Of each list, one word at least is in a good answer.
    keywords: Vec<Vec<String>>,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

/// The greedy answer; none where the model does not end it by itself.
fn answer(model: &mut LoadedModel, messages: &Value) -> Option<String> {
    let mut tokens = model.tokenizer.encode_prompt(&model.template.render(messages, None, true).unwrap());
    let sequence = model.engine.create().unwrap();
    let mut decoder = model.tokenizer.decoder();
    let mut text = String::new();
    let mut logits = Vec::new();
    for _ in 0..MOST_TOKENS {
        model
            .engine
            .step_logits(&[Span { sequence, tokens: &tokens, logits: Wanted::Last }], &mut logits)
            .unwrap();
        let best = (0..).zip(&logits).max_by(|a, b| a.1.total_cmp(b.1)).map(|(token, _)| token).unwrap();
        if model.tokenizer.is_end(best) {
            model.engine.release(sequence);
            return Some(text + &decoder.finish());
        }
        text += &decoder.push(best);
        tokens = vec![best];
    }
    None
}

#[test]
fn most_held_out_questions_are_answered_to_the_point() {
    let file = path("demo.gguf");
    assert!(file.metadata().unwrap().len() <= MOST_BYTES);
    let mut model = load(&file, &LoadOptions::default()).unwrap();
    let questions = std::fs::read_to_string(path("demo/corpus/heldout_questions.json")).unwrap();
    let questions: Vec<Question> = serde_json::from_str(&questions).unwrap();
    assert_eq!(questions.len(), 20);
    let mut good = 0;
    for Question { messages, keywords } in &questions {
        let asked = messages.as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        let answer = answer(&mut model, messages).expect(asked);
        let lower = answer.to_lowercase();
        let holds = keywords.iter().all(|any| any.iter().any(|word| lower.contains(&word.to_lowercase())));
        good += usize::from(holds);
        println!(
            "> {asked}\n{answer}\n\n{}",
            if holds { String::new() } else { format!("MISSED {asked}\n") }
        );
    }
    assert!(good >= GOOD, "{good} of {} answers hold their key words, {GOOD} did", questions.len());
}

/// Lines that begin with `> ` are the user's, those between them the answers.
#[test]
fn the_dialogue_of_the_readme_is_the_models() {
    let mut model = load(&path("demo.gguf"), &LoadOptions::default()).unwrap();
    let text = std::fs::read_to_string(path("demo/dialogue.txt")).unwrap();
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    assert!(std::fs::read_to_string(readme).unwrap().contains(&text), "the README has another dialogue");
    let mut messages = Vec::new();
    for turn in text.strip_prefix("> ").unwrap().split("\n> ") {
        let (asked, said) = turn.split_once('\n').unwrap();
        messages.push(json!({"role": "user", "content": asked}));
        let answer = answer(&mut model, &json!(messages)).unwrap();
        assert_eq!(answer, said.trim_end(), "{asked}");
        messages.push(json!({"role": "assistant", "content": answer}));
    }
    assert!(messages.len() > 4);
}
