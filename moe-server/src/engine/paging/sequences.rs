//! The sequences of an engine: what each holds, and what changes it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    blocks::BlockCopy,
    cache::{Cache, Held},
    prefix::Lineage,
    sizes::Sizes,
};
use crate::{
    engine::{Capabilities, EngineError, Known, Span, Wanted},
    ids::{SequenceId, TokenId},
};

/// One sequence's part of a step.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) sequence: SequenceId,
    pub(crate) tokens: &'a [TokenId],
    /// The first token's position.
    pub(crate) position: usize,
    /// The sequence with room for these tokens.
    pub(crate) held: Held,
    pub(crate) wanted: Wanted,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sequences {
    pub(crate) cache: Cache,
    held: BTreeMap<SequenceId, Held>,
    /// Of the sequences that take part in the prefix cache.
    lineages: BTreeMap<SequenceId, Lineage>,
    prefix_cache: bool,
    next: u64,
}

impl Sequences {
    /// None, in an empty cache; `prefix_cache` says whether [`Self::begin`] finds what is known.
    pub(crate) fn new(sizes: Sizes, prefix_cache: bool) -> Self {
        Self {
            cache: Cache::new(sizes),
            held: BTreeMap::new(),
            lineages: BTreeMap::new(),
            prefix_cache,
            next: 0,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn has_prefix_cache(&self) -> bool {
        self.prefix_cache
    }

    /// A sequence that holds this, and does not take part in the prefix cache.
    pub(crate) fn insert(&mut self, held: Held) -> SequenceId {
        let id = SequenceId(self.next);
        self.next += 1;
        self.held.insert(id, held);
        id
    }

    pub(crate) fn create(&mut self) -> SequenceId {
        self.insert(Held::default())
    }

    /// As [`crate::engine::Engine::begin`].
    pub(crate) fn begin(&mut self, salt: &Arc<str>, prompt: &[TokenId]) -> SequenceId {
        if !self.prefix_cache {
            return self.create();
        }
        let (held, lineage) = self.cache.begin(salt, prompt);
        let id = self.insert(held);
        self.lineages.insert(id, lineage);
        id
    }

    /// What [`Self::begin`] may find.
    pub(crate) fn known(&self) -> Known {
        let prefixes = &self.cache.prefixes;
        Known {
            blocks: prefixes.len(),
            tokens: prefixes.len() * self.cache.sizes.block_len,
            evictions: prefixes.evictions,
        }
    }

    /// # Errors
    /// [`EngineError::UnknownSequence`].
    pub(crate) fn held(&self, sequence: SequenceId) -> Result<&Held, EngineError> {
        self.held.get(&sequence).ok_or(EngineError::UnknownSequence(sequence))
    }

    /// Refuses a step that cannot be taken.
    ///
    /// # Errors
    /// [`EngineError`], whichever it is.
    pub(crate) fn check(&self, spans: &[Span<'_>], capabilities: &Capabilities) -> Result<(), EngineError> {
        let mut seen = HashSet::new();
        let mut total = 0;
        let mut blocks = 0;
        for span in spans {
            let held = self.held(span.sequence)?;
            if span.tokens.is_empty() {
                return Err(EngineError::Unsupported("a span without tokens"));
            }
            if !seen.insert(span.sequence) {
                return Err(EngineError::Unsupported("two spans of one sequence in a step"));
            }
            let length = held.length + span.tokens.len();
            let limit = capabilities.context_length;
            if length > limit {
                return Err(EngineError::ContextFull { length, limit });
            }
            if let Some(token) = span.tokens.iter().find(|t| **t as usize >= capabilities.vocab_size) {
                return Err(EngineError::UnknownToken(*token));
            }
            total += span.tokens.len();
            blocks += self.cache.blocks_for(held, span.tokens.len());
        }
        if total > capabilities.max_batch_tokens {
            return Err(EngineError::Unsupported("more tokens in a step than max_batch_tokens"));
        }
        let (wanted, free) = (blocks * self.cache.sizes.block_len, self.free_tokens());
        if wanted > free { Err(EngineError::OutOfBlocks { wanted, free }) } else { Ok(()) }
    }

    /// Room for a step that [`Self::check`] lets pass. The sequences stay as they are until [`Self::commit`]; before the
    /// engine writes to it, it carries out [`Self::copies`].
    ///
    /// # Errors
    /// [`EngineError::Broken`] where blocks that were free are not.
    pub(crate) fn grow<'a>(&mut self, spans: &[Span<'a>]) -> Result<Vec<Part<'a>>, EngineError> {
        let mut parts = Vec::with_capacity(spans.len());
        for Span { sequence, tokens, logits } in spans {
            let held = self.held.get(sequence).ok_or(EngineError::UnknownSequence(*sequence))?;
            let grown = self.cache.grown(held, tokens.len());
            let grown =
                grown.ok_or_else(|| EngineError::Broken("blocks that were free are not".to_owned()))?;
            let position = held.length;
            parts.push(Part { sequence: *sequence, tokens, position, held: grown, wanted: *logits });
        }
        Ok(parts)
    }

    /// What is to be copied in the full group and in the chunked group since the last call. What is copied from does not
    /// change until the next [`Self::commit`] or [`Self::abandon`].
    pub(crate) fn copies(&mut self) -> [impl Iterator<Item = BlockCopy>; 2] {
        [self.cache.full.copies.drain(..), self.cache.chunked.copies.drain(..)]
    }

    /// The step is done: its tokens belong to the sequences.
    pub(crate) fn commit(&mut self, parts: Vec<Part<'_>>) {
        for Part { sequence, tokens, held: mut loser, .. } in parts {
            if let Some(lineage) = self.lineages.get_mut(&sequence) {
                lineage.extend(tokens);
                self.cache.know(&mut loser, lineage);
            }
            self.cache.leave_old_chunks(&mut loser);
            if let Some(held) = self.held.get_mut(&sequence) {
                std::mem::swap(held, &mut loser);
            }
            self.cache.release(loser);
        }
    }

    /// The step failed: the sequences stay as they were. That of `odd` computed what is not a number; what it was computed
    /// from may be damaged, and whoever asks again is not to be given the same.
    pub(crate) fn abandon(&mut self, parts: Vec<Part<'_>>, odd: Option<SequenceId>) {
        for part in parts {
            self.cache.release(part.held);
        }
        if let Some(lineage) = odd.and_then(|sequence| self.lineages.remove(&sequence)) {
            self.cache.distrust(&lineage);
        }
    }

    /// The number of tokens in the sequence.
    pub(crate) fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.held.get(&sequence).map(|held| held.length)
    }

    /// A second sequence that shares the first `position` tokens.
    ///
    /// # Errors
    /// [`EngineError::UnknownSequence`], [`EngineError::CannotResumeAt`].
    pub(crate) fn fork(&mut self, sequence: SequenceId, position: usize) -> Result<SequenceId, EngineError> {
        let held = self.held.get(&sequence).ok_or(EngineError::UnknownSequence(sequence))?;
        if !self.cache.can_resume_at(held, position) {
            return Err(EngineError::CannotResumeAt(position));
        }
        let part = self.cache.shared(held, position);
        let id = self.insert(part);
        if let Some(mut lineage) = self.lineages.get(&sequence).cloned() {
            lineage.cut(position, self.cache.sizes.block_len);
            self.lineages.insert(id, lineage);
        }
        Ok(id)
    }

    /// Forgets everything from `position` on.
    ///
    /// # Errors
    /// [`EngineError::UnknownSequence`], [`EngineError::CannotResumeAt`].
    pub(crate) fn truncate(&mut self, sequence: SequenceId, position: usize) -> Result<(), EngineError> {
        let held = self.held.get_mut(&sequence).ok_or(EngineError::UnknownSequence(sequence))?;
        if !self.cache.can_resume_at(held, position) {
            return Err(EngineError::CannotResumeAt(position));
        }
        self.cache.cut(held, position);
        if let Some(lineage) = self.lineages.get_mut(&sequence) {
            lineage.cut(position, self.cache.sizes.block_len);
        }
        Ok(())
    }

    /// As [`crate::engine::Engine::can_resume_at`].
    pub(crate) fn can_resume_at(&self, sequence: SequenceId, position: usize) -> bool {
        self.held.get(&sequence).is_some_and(|held| self.cache.can_resume_at(held, position))
    }

    /// Ends the sequence and frees what only it held. Unknown ones are ignored.
    pub(crate) fn release(&mut self, sequence: SequenceId) {
        self.lineages.remove(&sequence);
        if let Some(held) = self.held.remove(&sequence) {
            self.cache.release(held);
        }
    }

    /// How many more tokens there is room for.
    pub(crate) fn free_tokens(&self) -> usize {
        self.cache.free_tokens()
    }
}
