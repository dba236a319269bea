//! All that reads an untrusted file: the fuzz target and the seeded test both call [`walk`].

use std::sync::Arc;

use moe_server::model::{
    ChatTemplate, Special, Tokenizer,
    decoder::{FeedForward, Model, Tensor},
    gguf::Gguf,
};

/// How far a file got.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub opened: bool,
    pub model: bool,
    pub tokenizer: bool,
    pub template: bool,
}

/// Opens the file and uses everything in it. Never panics, whatever the bytes.
pub fn walk(bytes: &[u8]) -> Reached {
    let gguf = match Gguf::from_bytes(bytes.to_vec()) {
        Ok(gguf) => Arc::new(gguf),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Reached::default();
        }
    };
    read_all(&gguf);
    let model = Model::from_gguf(&gguf, 1);
    let tokenizer = Tokenizer::from_gguf(&gguf);
    let template = ChatTemplate::from_gguf(&gguf);
    if let Ok(model) = &model {
        use_model(model);
    }
    // The index of a packed file is as little to be trusted as the rest.
    for tokenizer in [&tokenizer, &Tokenizer::from_packed(&gguf)].into_iter().flatten() {
        use_tokenizer(tokenizer);
    }
    for error in
        [model.as_ref().err().map(ToString::to_string), tokenizer.as_ref().err().map(ToString::to_string)]
    {
        assert_ne!(error.as_deref(), Some(""), "an error says what is wrong");
    }
    Reached { opened: true, model: model.is_ok(), tokenizer: tokenizer.is_ok(), template: template.is_ok() }
}

fn read_all(gguf: &Gguf) {
    for key in gguf.keys() {
        let _ = (gguf.get::<u32>(key), gguf.get::<f32>(key), gguf.get::<bool>(key), gguf.get::<&str>(key));
        let _ = (gguf.get::<Vec<&str>>(key), gguf.get::<Vec<u32>>(key), gguf.get::<Vec<i32>>(key));
        let _ = (gguf.get::<Vec<f32>>(key), gguf.value(key), gguf.raw(key));
    }
    for info in gguf.tensors() {
        assert_eq!(gguf.slice(&info.place()).len(), info.bytes.len());
        let _ = (info.elements(), format!("{info:?}"));
    }
}

fn use_model(model: &Model) {
    use_tensor(&model.embedding);
    use_tensor(&model.output);
    for layer in &model.layers {
        [&layer.query, &layer.key, &layer.value, &layer.output].into_iter().for_each(use_tensor);
        let gated = match &layer.feed_forward {
            FeedForward::Dense(gated) => vec![gated],
            FeedForward::Moe { router, experts, shared } => {
                use_tensor(router);
                [experts].into_iter().chain(shared).collect()
            }
        };
        for gated in gated {
            [&gated.gate, &gated.up, &gated.down].into_iter().for_each(use_tensor);
        }
    }
    assert_eq!(model.config.rope_frequencies().len(), model.config.head_dim / 2);
}

/// Decodes the corners.
fn use_tensor(tensor: &Tensor) {
    let [stack, rows, columns] = tensor.shape();
    let mut row = vec![0.0; columns];
    for matrix in [0, stack - 1] {
        for index in [0, rows - 1] {
            tensor.weights(matrix).dequantise_row(index, &mut row);
        }
    }
}

fn use_tokenizer(tokenizer: &Tokenizer) {
    let mut decoder = tokenizer.decoder();
    for token in tokenizer.encode("Hello, <|eot|> wörld\n\n 123  ", Special::Parse) {
        decoder.push(token);
        let _ = tokenizer.is_end(token);
    }
    decoder.push(u32::MAX);
    let _ = (decoder.finish(), tokenizer.bos(), tokenizer.longest_token());
}
