//! What any schedule is compared with: each text computed alone, token by token.

use std::collections::HashMap;

use moe_server::engine::{Engine, Span, TokenId, Wanted};

use crate::generator;

pub(crate) fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|l| l.to_bits()).collect()
}

/// What each text's last token gets when the text is computed one token at a time, alone, by an engine of its own.
pub(crate) struct Truth<E> {
    engine: E,
    known: HashMap<Vec<TokenId>, Vec<u32>>,
}

impl<E: Engine> Truth<E> {
    pub(crate) fn new(engine: E) -> Self {
        Self { engine, known: HashMap::new() }
    }

    pub(crate) fn of(&mut self, text: &[TokenId]) -> &[u32] {
        if !self.known.contains_key(text) {
            let sequence = self.engine.create().unwrap();
            let mut logits = Vec::new();
            for (at, token) in text.iter().enumerate() {
                let span = Span { sequence, tokens: &[*token], logits: Wanted::Last };
                self.engine.step_logits(&[span], &mut logits).unwrap();
                self.known.insert(text[..=at].to_vec(), bits(&logits));
            }
            self.engine.release(sequence);
        }
        &self.known[text]
    }
}

/// A small counter-based source of choices.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        usize::try_from(generator::splitmix(self.0) % n as u64).unwrap()
    }
}
