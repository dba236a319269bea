//! A packed model is the model.

use std::time::{Duration, SystemTime};

use moe_server::model::{Special, weights::MemoryPlan};
use serde_json::json;

use crate::support::{MODELS, folder_with, loaded, logits, packed, random, split_in_two};

#[test]
fn a_packed_model_gives_the_same_bits_tokens_and_prompts() {
    for name in MODELS {
        let (_folder, model) = folder_with(name);
        let (plain, notices) = loaded(&model);
        let mut plain = plain.unwrap();
        assert_eq!(notices, [""; 0], "{name}");
        let file = packed(&model);
        let (from_packed, notices) = loaded(&file);
        let mut from_packed = from_packed.unwrap();
        assert_eq!(notices, [""; 0], "{name}");

        assert_eq!(format!("{}.gguf", from_packed.name), name);
        assert_eq!(from_packed.vocab, plain.vocab);
        assert_eq!(logits(&mut from_packed), logits(&mut plain), "{name}");
        let messages = json!([
            {"role": "system", "content": "<|eot|> is text"},
            {"role": "user", "content": "Hello <|begin_of_text|>"},
        ]);
        let prompts = [&plain, &from_packed].map(|model| {
            let prompt = model.template.render(&messages, None, true).unwrap();
            (prompt.clone(), model.tokenizer.encode_prompt(&prompt))
        });
        assert_eq!(prompts[0], prompts[1]);
        assert_eq!(from_packed.tokenizer.bos(), plain.tokenizer.bos());
        assert_eq!(from_packed.tokenizer.longest_token(), plain.tokenizer.longest_token());
    }
}

#[test]
fn random_texts_have_the_same_tokens_and_come_back() {
    let (_folder, model) = folder_with("tiny.gguf");
    let plain = loaded(&model).0.unwrap().tokenizer;
    let mapped = loaded(&packed(&model)).0.unwrap().tokenizer;
    let words = [
        " the",
        "It's",
        "Ünï",
        "日本",
        "\n\n",
        "  ",
        "\t",
        "123",
        "<|eot|>",
        "<|",
        "|>",
        "<",
        "a\u{301}",
        "🙂",
        "{\"a\": 1}",
        "\r\n",
        "requests",
        "SSE",
        "\u{0}",
        "<|header_start|>",
    ];
    let mut random = random(3);
    for _ in 0..3_000 {
        let text: String = (0..random(12)).map(|_| words[random(words.len())]).collect();
        for special in [Special::AsText, Special::Parse] {
            let tokens = mapped.encode(&text, special);
            assert_eq!(tokens, plain.encode(&text, special), "{text:?}");
            assert_eq!(
                tokens.iter().map(|token| mapped.is_end(*token)).collect::<Vec<_>>(),
                tokens.iter().map(|token| plain.is_end(*token)).collect::<Vec<_>>()
            );
        }
        let mut decoder = mapped.decoder();
        let mut decoded: String =
            mapped.encode(&text, Special::AsText).iter().map(|token| decoder.push(*token)).collect();
        decoded.push_str(&decoder.finish());
        assert_eq!(decoded, text);
    }
    for token in 0..u32::try_from(plain.vocab_size()).unwrap() + 2 {
        assert_eq!(mapped.decoder().push(token), plain.decoder().push(token), "token {token}");
    }
}

#[test]
fn a_packed_file_stands_for_the_model_beside_it() {
    let (folder, model) = folder_with("tiny.gguf");
    let file = packed(&model);
    let (served, notices) = loaded(&model);
    assert!(notices.len() == 1 && notices[0].contains("tiny.packed.gguf is served"), "{notices:?}");
    assert_eq!(served.unwrap().name, "tiny");

    // The model is changed: its packed file is not what it is any more.
    let change = |path: &std::path::Path, time: SystemTime| {
        std::fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let was = std::fs::metadata(&model).unwrap().modified().unwrap();
    change(&model, was + Duration::from_secs(5));
    let (served, notices) = loaded(&model);
    assert!(notices.len() == 1 && notices[0].contains("is not used: the model was changed"), "{notices:?}");
    served.unwrap();
    // Whoever names the packed file gets it, and is told.
    let (served, notices) = loaded(&file);
    assert!(notices.len() == 1 && notices[0].contains("was changed since it was packed"), "{notices:?}");
    served.unwrap();
    change(&model, was);
    assert_eq!(loaded(&file).1, [""; 0]);
    // Another model of the same size and time has another header.
    let good = std::fs::read(&model).unwrap();
    let mut other = good.clone();
    other[crate::support::find(&good, "llama4.context_length") + 21 + 4] ^= 1;
    std::fs::write(&model, other).unwrap();
    change(&model, was);
    let (served, notices) = loaded(&model);
    assert!(notices.len() == 1 && notices[0].contains("is not used: the model was changed"), "{notices:?}");
    served.unwrap();
    // Without the model a packed file is complete.
    std::fs::remove_file(&model).unwrap();
    let (served, notices) = loaded(&file);
    assert_eq!((served.unwrap().name.as_str(), notices.len()), ("tiny", 0));

    // A packed file that cannot be read is no reason not to serve.
    let (again, model) = folder_with("tiny.gguf");
    std::fs::write(again.path().join("tiny.packed.gguf"), b"GGUF").unwrap();
    let (served, notices) = loaded(&model);
    assert!(notices.len() == 1 && notices[0].contains("tiny.packed.gguf is not used"), "{notices:?}");
    served.unwrap();
    drop(folder);
}

#[test]
fn a_split_model_is_served_and_packed_as_the_whole() {
    let (_folder, model) = folder_with("tiny.gguf");
    let mut whole = loaded(&model).0.unwrap();
    let expected = logits(&mut whole);
    let first = split_in_two(&model);
    let second = first.with_file_name("whole-00002-of-00002.gguf");
    for part in [&first, &second] {
        let mut split = loaded(part).0.unwrap();
        assert_eq!((split.name.as_str(), &split.vocab), ("whole", &whole.vocab));
        assert_eq!(logits(&mut split), expected);
    }
    let file = packed(&second);
    assert_eq!(file.file_name().unwrap(), "whole.packed.gguf");
    let (served, notices) = loaded(&first);
    assert!(notices.len() == 1 && notices[0].contains("whole.packed.gguf is served"), "{notices:?}");
    let mut served = served.unwrap();
    assert_eq!((served.name.as_str(), &served.vocab), ("whole", &whole.vocab));
    assert_eq!(logits(&mut served), expected);
    // A change of any part counts.
    let was = std::fs::metadata(&second).unwrap().modified().unwrap();
    let changed = std::fs::File::options().append(true).open(&second).unwrap();
    changed.set_modified(was + Duration::from_secs(2)).unwrap();
    assert!(loaded(&first).1[0].contains("is not used"));
}

#[test]
fn what_does_not_fit_into_memory_says_to_pack() {
    let plan = MemoryPlan { tensors: 1, bytes: usize::MAX };
    if cfg!(target_os = "linux") {
        let error = plan.check().unwrap_err().to_string();
        assert!(error.contains("moe-server pack") && error.contains("MiB are available"), "{error}");
    }
    MemoryPlan { tensors: 1, bytes: 1 }.check().unwrap();
}
