//! An engine without arithmetic: a block's bytes are the tokens that were written to it, so that what a sequence would see
//! can be compared with its text.

use std::sync::Arc;

use super::{BlockId, Held, Part, Restored, Sequences, Sizes, Table, prefix::Parent};
use crate::{
    engine::{Capabilities, EngineError, Span, Wanted},
    ids::{SequenceId, TokenId},
};

const BLOCK: usize = 4;
const CHUNK: usize = 8;
const BLOCKS: usize = 24;

struct Paper {
    sequences: Sequences,
    full: Vec<Vec<Option<TokenId>>>,
    chunked: Vec<Vec<Option<TokenId>>>,
    capabilities: Capabilities,
}

impl Paper {
    fn new() -> Self {
        let sizes = Sizes::new(BLOCKS * BLOCK, CHUNK, BLOCK).unwrap();
        assert_eq!((sizes.blocks as usize, sizes.block_len), (BLOCKS, BLOCK));
        let capabilities =
            Capabilities { vocab_size: 3, context_length: 60, max_batch_tokens: 50, can_export: false };
        let blocks = vec![vec![None; BLOCK]; BLOCKS];
        Self { sequences: Sequences::new(sizes, true), full: blocks.clone(), chunked: blocks, capabilities }
    }

    /// A step of which the first sequence's result may be odd.
    fn step(&mut self, spans: &[Span<'_>], is_odd: bool) -> Result<(), EngineError> {
        self.sequences.check(spans, &self.capabilities)?;
        let parts = self.sequences.grow(spans)?;
        let [full, chunked] = self.sequences.copies();
        for (copies, data) in
            [(full.collect::<Vec<_>>(), &mut self.full), (chunked.collect(), &mut self.chunked)]
        {
            for copy in copies {
                data[copy.to as usize] = data[copy.from as usize].clone();
            }
        }
        for Part { tokens, position, held, .. } in &parts {
            for (at, token) in (*position..).zip(*tokens) {
                for (table, data) in [(&held.full, &mut self.full), (&held.chunked, &mut self.chunked)] {
                    let slot = self.sequences.cache.sizes.slot(table, at);
                    // What is damaged shows when somebody takes it for what it was computed from.
                    data[slot.block as usize][slot.index] = Some(if is_odd { 99 } else { *token });
                }
            }
        }
        if is_odd {
            self.sequences.abandon(parts, spans.first().map(|span| span.sequence));
        } else {
            self.sequences.commit(parts);
        }
        Ok(())
    }

    /// Compares what the sequence holds with `text`.
    fn compare(&self, sequence: SequenceId, text: &[TokenId]) {
        let sizes = &self.sequences.cache.sizes;
        let Held { length, full, chunked } = self.sequences.held(sequence).unwrap();
        assert_eq!(*length, text.len());
        let seen = |data: &[Vec<Option<TokenId>>], table: &Table, at: usize| {
            let slot = sizes.slot(table, at);
            data[slot.block as usize][slot.index]
        };
        let start = sizes.chunk_start(text.len());
        for (at, token) in text.iter().enumerate() {
            assert_eq!(seen(&self.full, full, at), Some(*token), "{at} of {text:?}");
            if at >= start {
                assert_eq!(seen(&self.chunked, chunked, at), Some(*token), "{at} of {text:?}, chunked");
            }
        }
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).unwrap()
    }

    fn tokens(&mut self, count: usize) -> Vec<TokenId> {
        (0..count).map(|_| TokenId::from(self.below(3) == 0)).collect()
    }
}

#[test]
fn whatever_happens_each_sequence_finds_its_text() {
    let (mut taken, mut full, mut forks) = (0, 0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut paper = Paper::new();
        let mut live: Vec<(SequenceId, Vec<TokenId>)> = Vec::new();
        for _ in 0..150 {
            match dice.below(8) {
                0 | 1 => {
                    let count = dice.below(30);
                    let prompt = dice.tokens(count);
                    let id = paper.sequences.begin(&Arc::from(["", "other"][dice.below(2)]), &prompt);
                    let known = paper.sequences.len(id).unwrap();
                    assert!(known == 0 || known < prompt.len());
                    taken += known;
                    live.push((id, prompt[..known].to_vec()));
                }
                2 if !live.is_empty() => {
                    let (id, text) = live[dice.below(live.len())].clone();
                    let at = dice.below(text.len() + 1);
                    match paper.sequences.fork(id, at) {
                        Ok(fork) => live.push((fork, text[..at].to_vec())),
                        Err(error) => assert_eq!(error, EngineError::CannotResumeAt(at)),
                    }
                    forks += 1;
                }
                3 if !live.is_empty() => {
                    let index = dice.below(live.len());
                    let (id, text) = &mut live[index];
                    let at = text.len() - dice.below(text.len().min(6) + 1);
                    if paper.sequences.can_resume_at(*id, at) {
                        paper.sequences.truncate(*id, at).unwrap();
                        text.truncate(at);
                    }
                }
                4 if live.len() > 2 => {
                    let (id, _) = live.swap_remove(dice.below(live.len()));
                    paper.sequences.release(id);
                }
                _ if !live.is_empty() => {
                    let is_odd = dice.below(10) == 0;
                    let count = 1 + dice.below(live.len().min(3));
                    let more: Vec<Vec<TokenId>> = (0..count).map(|_| dice.tokens(9)).collect();
                    let lengths: Vec<usize> = (0..count).map(|_| 1 + dice.below(9)).collect();
                    let more = more.iter().zip(lengths).map(|(more, length)| &more[..length]);
                    let more: Vec<&[TokenId]> = more.collect();
                    let first = dice.below(live.len() - count + 1);
                    let spans: Vec<Span<'_>> = live[first..]
                        .iter()
                        .zip(&more)
                        .map(|((id, _), &tokens)| Span { sequence: *id, tokens, logits: Wanted::Last })
                        .collect();
                    let free = paper.sequences.free_tokens();
                    match paper.step(&spans, is_odd) {
                        Ok(()) if is_odd => {
                            assert!(paper.sequences.free_tokens() >= free, "nothing is kept of it");
                        }
                        Ok(()) => {
                            for ((_, text), more) in live[first..].iter_mut().zip(&more) {
                                text.extend(*more);
                            }
                        }
                        Err(EngineError::ContextFull { .. }) => {}
                        Err(EngineError::OutOfBlocks { wanted, free: left }) => {
                            assert!(wanted > left && left == free);
                            full += 1;
                            paper.sequences.release(live.swap_remove(0).0);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                _ => {}
            }
            live.iter().for_each(|(id, text)| paper.compare(*id, text));
        }
        live.drain(..).for_each(|(id, _)| paper.sequences.release(id));
        assert_eq!(paper.sequences.free_tokens(), BLOCKS * BLOCK, "seed {seed}");
        assert_eq!(paper.sequences.count(), 0);
    }
    assert!(taken > 500 && full > 50 && forks > 500, "{taken} {full} {forks}");
}

#[test]
fn a_shared_last_block_is_copied_once_and_only_when_it_is_written_to() {
    let mut paper = Paper::new();
    let a = paper.sequences.create();
    let span = |sequence, tokens| Span { sequence, tokens, logits: Wanted::None };
    paper.step(&[span(a, &[0, 1, 2, 0, 1, 2])], false).unwrap();
    let b = paper.sequences.fork(a, 6).unwrap();
    assert_eq!(paper.sequences.free_tokens(), (BLOCKS - 2) * BLOCK);
    let parts = paper.sequences.grow(&[span(b, &[2])]).unwrap();
    let own = parts[0].held.full.blocks[1];
    let from = paper.sequences.held(a).unwrap().full.blocks[1];
    let copies: [Vec<(BlockId, BlockId)>; 2] =
        paper.sequences.copies().map(|copies| copies.map(|copy| (copy.from, copy.to)).collect());
    assert_eq!(copies[0], [(from, own)]);
    assert_eq!(copies[1].len(), 1);
    assert!(paper.sequences.copies().into_iter().all(|copies| copies.count() == 0), "they are due once");
    paper.sequences.commit(parts);
    // Each has its own now.
    paper.sequences.grow(&[span(a, &[2]), span(b, &[2])]).map(|parts| paper.sequences.commit(parts)).unwrap();
    assert!(paper.sequences.copies().into_iter().all(|copies| copies.count() == 0));
}

#[test]
fn blocks_from_outside_are_the_first_to_go_and_need_their_parents() {
    let mut paper = Paper::new();
    let cache = &mut paper.sequences.cache;
    let salt = || Parent::Salt(Arc::from(""));
    assert_eq!(cache.restore(salt(), &[0, 1], true), None, "half a block");
    let Some(Restored::New { id, full, chunked }) = cache.restore(salt(), &[0; 4], true) else { panic!() };
    assert!(chunked.is_some());
    assert_eq!(cache.restore(salt(), &[0; 4], true), Some(Restored::Known(id)));
    let Some(Restored::New { id: child, .. }) = cache.restore(Parent::Node(id), &[1; 4], false) else {
        panic!()
    };
    assert_eq!(cache.restore(Parent::Node(super::NodeId(99)), &[1; 4], true), None);
    assert_eq!(cache.by_use().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id, child]);
    assert_eq!(cache.free_tokens(), BLOCKS * BLOCK, "what is known is free");
    // Behind the child the chunked layers would lack what they see, at its own end they see nothing.
    let text: Vec<TokenId> = [[0; 4], [1; 4], [2; 4]].concat();
    let found = paper.sequences.begin(&Arc::from(""), &text);
    assert_eq!(paper.sequences.len(found), Some(8), "a chunk's end");
    assert_eq!(paper.sequences.held(found).unwrap().full.blocks[0], full);
    let found = paper.sequences.begin(&Arc::from(""), &text[..8]);
    assert_eq!(paper.sequences.len(found), Some(4));
}

#[test]
fn what_an_odd_result_was_computed_from_is_not_found_again() {
    let mut paper = Paper::new();
    let (text, salt) = ([0; 12], Arc::from(""));
    let [odd, other] = [(); 2].map(|()| {
        let id = paper.sequences.begin(&salt, &text);
        let from = paper.sequences.len(id).unwrap();
        let span = Span { sequence: id, tokens: &text[from..], logits: Wanted::Last };
        paper.step(&[span], false).unwrap();
        id
    });
    assert_eq!(paper.sequences.known().blocks, 3);
    paper.step(&[Span { sequence: odd, tokens: &[1], logits: Wanted::Last }], true).unwrap();
    assert_eq!(paper.sequences.known().blocks, 0);
    let next = paper.sequences.begin(&salt, &text);
    assert_eq!(paper.sequences.len(next), Some(0));
    // Those that hold it go on.
    paper.compare(other, &text);
    for id in [odd, other, next] {
        paper.sequences.release(id);
    }
    assert_eq!(paper.sequences.free_tokens(), BLOCKS * BLOCK);
}
