//! A scripted engine and codec: tokens are bytes, and what is said depends on the text alone.
//!
//! - `say:TEXT>` is answered with TEXT and the end; `1` to `4` in it stand for the bytes below.
//! - Anything else goes through the alphabet for ever: `a` is followed by `b`, other bytes by `a`.
//! - `free:` somewhere: all small letters are about as likely.
//! - Bytes that break things once they are computed: [`NAN`], [`NAN_ROW`], [`PANIC`], [`BROKEN`].

use moe_server::engine::{
    Capabilities, DeviceMemory, Engine, EngineError, Factory, LoadFailure, Outcomes, SequenceId, Span,
    TokenId, Wanted,
};
use moe_server::http::codec::Codec;
use moe_server::http::error::ApiError;
use moe_server::schedule::text::Decode;
use moe_server::sleep::Progress;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub(crate) const END: TokenId = 256;
pub(crate) const VOCAB: usize = 257;
pub(crate) const VOCAB_PRINT: &str = "6279746573000000";
/// The engine answers [`EngineError::NotANumber`].
pub(crate) const NAN: char = '\u{1}';
/// The engine yields a NaN without noticing.
pub(crate) const NAN_ROW: char = '\u{2}';
pub(crate) const PANIC: char = '\u{3}';
pub(crate) const BROKEN: char = '\u{4}';

/// What a test sees and holds of the engine.
#[derive(Default)]
pub(crate) struct Control {
    /// Engines that were made after the first.
    pub(crate) loads: AtomicUsize,
    /// Engines that there are.
    pub(crate) engines: AtomicUsize,
    /// Whether the next load waits, with some bytes loaded, until it may go on or is cancelled.
    pub(crate) hold_load: AtomicBool,
    /// Why loads fail, if they do.
    pub(crate) load_error: Mutex<Option<String>>,
    /// Whether loads panic.
    pub(crate) load_panics: AtomicBool,
    pub(crate) steps: AtomicUsize,
    /// So many steps to come break the engine, whatever is in them.
    pub(crate) breaks: AtomicUsize,
    pub(crate) live: AtomicUsize,
    pub(crate) widest: AtomicUsize,
    pub(crate) longest_chunk: AtomicUsize,
    /// What the engine says of a GPU, and how often it was asked.
    pub(crate) gpu: Mutex<Option<DeviceMemory>>,
    pub(crate) gpu_asked: AtomicUsize,
    /// Steps that may still be taken, where that is limited.
    gate: Mutex<Option<usize>>,
    opened: Condvar,
}

impl Control {
    /// From now on the engine takes `steps` steps and then waits inside of the next.
    pub(crate) fn allow(&self, steps: usize) {
        *self.gate.lock().unwrap() = Some(steps);
        self.opened.notify_all();
    }

    pub(crate) fn open(&self) {
        *self.gate.lock().unwrap() = None;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut gate = self.opened.wait_while(self.gate.lock().unwrap(), |gate| *gate == Some(0)).unwrap();
        if let Some(steps) = gate.as_mut() {
            *steps -= 1;
        }
    }
}

pub(crate) struct Scripted {
    capabilities: Capabilities,
    kv_tokens: usize,
    sequences: BTreeMap<SequenceId, Vec<TokenId>>,
    next: u64,
    control: Arc<Control>,
}

impl Scripted {
    pub(crate) fn new(context_length: usize, kv_tokens: usize, control: Arc<Control>) -> Self {
        let capabilities =
            Capabilities { vocab_size: VOCAB, context_length, max_batch_tokens: 64, can_export: false };
        control.engines.fetch_add(1, SeqCst);
        Self { capabilities, kv_tokens, sequences: BTreeMap::new(), next: 0, control }
    }

    fn logits(tokens: &[TokenId], out: &mut Vec<f32>) {
        let bytes: Vec<u8> = tokens.iter().map(|&token| u8::try_from(token).unwrap_or(b'>')).collect();
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("free:") {
            let row = (0..VOCAB).map(|token| {
                let letter = (usize::from(b'a')..=usize::from(b'z')).contains(&token);
                let noise = (token * 7_919 + tokens.len() * 104_729) % 64;
                #[expect(clippy::cast_precision_loss, reason = "below 64")]
                if letter { noise as f32 / 64.0 } else { f32::NEG_INFINITY }
            });
            out.extend(row);
            return;
        }
        let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        let script = find(b"say:").and_then(|start| {
            let end = find(b">")?;
            Some((&bytes[start + 4..end], bytes.len() - end - 1))
        });
        let next = match (script, bytes.last()) {
            (Some((say, at)), _) => say.get(at).map_or(END, |&byte| match byte {
                b'1'..=b'4' => (byte - b'0').into(),
                byte => byte.into(),
            }),
            (None, Some(&byte @ b'a'..=b'y')) => TokenId::from(byte) + 1,
            (None, _) => b'a'.into(),
        };
        let start = out.len();
        out.resize(start + VOCAB, -100.0);
        out[start + next as usize] = if bytes.last() == Some(&(NAN_ROW as u8)) { f32::NAN } else { 10.0 };
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.control.live.fetch_sub(self.sequences.len(), SeqCst);
        self.control.engines.fetch_sub(1, SeqCst);
    }
}

/// Makes scripted engines.
pub(crate) struct Maker {
    pub(crate) context_length: usize,
    pub(crate) kv_tokens: usize,
    pub(crate) control: Arc<Control>,
}

impl Maker {
    pub(crate) fn engine(&self) -> Box<dyn Engine> {
        Box::new(Scripted::new(self.context_length, self.kv_tokens, self.control.clone()))
    }
}

impl Factory for Maker {
    fn load(&mut self, progress: &Progress) -> Result<Box<dyn Engine>, LoadFailure> {
        self.control.loads.fetch_add(1, SeqCst);
        progress.set(25, 100);
        assert!(!self.control.load_panics.load(SeqCst), "a scripted panic while loading");
        while self.control.hold_load.load(SeqCst) {
            progress.check().map_err(|_| LoadFailure::Cancelled)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.control.load_error.lock().unwrap().clone() {
            Some(why) => Err(LoadFailure::Failed(why)),
            None => Ok(self.engine()),
        }
    }

    fn warm(&mut self, progress: &Progress) -> Result<(), LoadFailure> {
        progress.set(100, 100);
        Ok(())
    }
}

impl Engine for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn create(&mut self) -> Result<SequenceId, EngineError> {
        self.next += 1;
        let id = SequenceId(self.next);
        self.sequences.insert(id, Vec::new());
        self.control.live.fetch_add(1, SeqCst);
        Ok(id)
    }

    fn step(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError> {
        assert!(!spans.is_empty(), "an empty step");
        self.control.pass();
        self.control.steps.fetch_add(1, SeqCst);
        self.control.widest.fetch_max(spans.len(), SeqCst);
        if self.control.breaks.fetch_update(SeqCst, SeqCst, |breaks| breaks.checked_sub(1)).is_ok() {
            return Err(EngineError::Broken("a scripted break".into()));
        }
        let logits = outcomes.whole(VOCAB);
        logits.clear();
        let wanted: usize = spans.iter().map(|span| span.tokens.len()).sum();
        assert!(wanted <= self.capabilities.max_batch_tokens, "{wanted} tokens in a step");
        for span in spans {
            let has = |what: char| span.tokens.contains(&u32::from(what));
            let length =
                self.sequences.get(&span.sequence).ok_or(EngineError::UnknownSequence(span.sequence))?.len()
                    + span.tokens.len();
            let limit = self.capabilities.context_length;
            if length > limit {
                return Err(EngineError::ContextFull { length, limit });
            }
            if has(NAN) {
                return Err(EngineError::NotANumber { sequence: span.sequence });
            }
            if has(BROKEN) {
                return Err(EngineError::Broken("a scripted break".into()));
            }
            assert!(!has(PANIC), "a scripted panic");
        }
        let free = self.free_tokens();
        if wanted > free {
            return Err(EngineError::OutOfBlocks { wanted, free });
        }
        for span in spans {
            self.control.longest_chunk.fetch_max(span.tokens.len(), SeqCst);
            let tokens = self.sequences.get_mut(&span.sequence).unwrap();
            tokens.extend(span.tokens);
            if span.logits == Wanted::Last {
                Self::logits(tokens, logits);
            }
        }
        Ok(())
    }

    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.sequences.get(&sequence).map(Vec::len)
    }

    fn fork(&mut self, _: SequenceId, _: usize) -> Result<SequenceId, EngineError> {
        Err(EngineError::Unsupported("forks"))
    }

    fn truncate(&mut self, _: SequenceId, position: usize) -> Result<(), EngineError> {
        Err(EngineError::CannotResumeAt(position))
    }

    fn can_resume_at(&self, _: SequenceId, _: usize) -> bool {
        false
    }

    fn release(&mut self, sequence: SequenceId) {
        if self.sequences.remove(&sequence).is_some() {
            self.control.live.fetch_sub(1, SeqCst);
        }
    }

    fn free_tokens(&self) -> usize {
        self.kv_tokens - self.sequences.values().map(Vec::len).sum::<usize>()
    }

    fn device_memory(&self) -> Option<DeviceMemory> {
        self.control.gpu_asked.fetch_add(1, SeqCst);
        *self.control.gpu.lock().unwrap()
    }

    fn export(&self, _: SequenceId) -> Result<Vec<u8>, EngineError> {
        Err(EngineError::Unsupported("export"))
    }

    fn import(&mut self, _: &[u8]) -> Result<SequenceId, EngineError> {
        Err(EngineError::Unsupported("import"))
    }
}

/// Bytes as tokens.
pub(crate) struct Bytes;

impl Codec for Bytes {
    fn encode(&self, text: &str) -> Vec<TokenId> {
        text.bytes().map(TokenId::from).collect()
    }

    /// Only the texts, one after the other.
    fn encode_chat(&self, messages: &Value) -> Result<Vec<TokenId>, ApiError> {
        let texts: Vec<&str> =
            messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
        if texts.contains(&"refuse") {
            Err(ApiError::invalid("messages", "they say refuse: say something else"))
        } else {
            Ok(self.encode(&texts.concat()))
        }
    }

    fn longest_token(&self) -> usize {
        1
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(Utf8::default())
    }

    fn is_end(&self, token: TokenId) -> bool {
        token == END
    }

    fn vocab(&self) -> &'static str {
        VOCAB_PRINT
    }
}

#[derive(Default)]
struct Utf8(Vec<u8>);

impl Decode for Utf8 {
    fn push(&mut self, token: TokenId) -> String {
        self.0.push(u8::try_from(token).unwrap());
        match std::str::from_utf8(&self.0) {
            Ok(text) => {
                let text = text.to_owned();
                self.0.clear();
                text
            }
            Err(error) if error.error_len().is_none() => String::new(),
            Err(_) => self.finish(),
        }
    }

    fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}
