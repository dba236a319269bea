//! Keeps the prefix cache while there is no engine ([`crate::snapshot`]), and brings it back beside what is computed.

use super::worker::{Worker, log};
use crate::engine::{Engine, Kept, KeptFormat, KeptParent};
use crate::snapshot::{Block, Options, Parent, Unusable, read, save};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// Blocks that were read and wait to be taken.
const AHEAD: usize = 4;
/// How long the compute thread takes blocks between two steps, and before it waits again.
const BETWEEN_STEPS: Duration = Duration::from_micros(100);
const IDLE: Duration = Duration::from_millis(1);
/// How long in all reading gives way to requests: what is computed first after a wake is not slowed down, and a server that
/// is never idle gets its prefix cache all the same.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an idle thread looks for blocks.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// What a reading thread sends.
#[derive(Debug)]
pub(super) struct Coming {
    blocks: Receiver<Block>,
    /// Whether something is computed.
    is_busy: Arc<AtomicBool>,
    /// The engine's names of the file's blocks, where it took them.
    names: Vec<Option<u64>>,
    tokens: usize,
}

impl Worker {
    /// Before the engine goes; nothing runs.
    pub(super) fn keep_warm_state(&mut self) {
        // What is still being read is on disk: only a whole one replaces it.
        let (Some(options), Some(engine), None) = (&self.warm_state, &self.engine, &self.coming) else {
            self.coming = None;
            return;
        };
        match save(options, &**engine) {
            Ok(blocks) => {
                log(format_args!("kept {blocks} blocks of the prefix cache in {}", options.file.display()));
            }
            Err(error) => {
                log(format_args!("the prefix cache is not kept in {}: {error}", options.file.display()));
            }
        }
    }

    /// After the engine was made.
    pub(super) fn fetch_warm_state(&mut self) {
        let format = self.engine.as_ref().and_then(|engine| engine.kept_format());
        let (Some(Options { file, .. }), Some(format)) = (&self.warm_state, format) else { return };
        let (sender, blocks) = sync_channel(AHEAD);
        let file = file.clone();
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = is_busy.clone();
        let reading = move || send(&file, &format, &busy, |block| sender.send(block).is_ok());
        match std::thread::Builder::new().name("warm state".into()).spawn(reading) {
            Ok(_) => self.coming = Some(Coming { blocks, is_busy, names: Vec::new(), tokens: 0 }),
            Err(error) => log(format_args!("the prefix cache is not brought back: no thread: {error}")),
        }
    }

    /// Takes what has come of it, for a short time.
    pub(super) fn take_warm_state(&mut self) {
        let is_idle = self.is_idle();
        let (Some(coming), Some(engine)) = (&mut self.coming, &mut self.engine) else { return };
        coming.is_busy.store(!is_idle, Ordering::Relaxed);
        let time = if is_idle { IDLE } else { BETWEEN_STEPS };
        let begun = Instant::now();
        while begun.elapsed() < time {
            match coming.blocks.try_recv() {
                Ok(block) => coming.take(&mut **engine, &block),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    if coming.tokens > 0 {
                        log(format_args!("the prefix cache has {} tokens from before", coming.tokens));
                    }
                    self.coming = None;
                    self.tell_kv();
                    return;
                }
            }
        }
    }
}

impl Coming {
    fn take(&mut self, engine: &mut dyn Engine, block: &Block) {
        let parent = match &block.parent {
            Parent::Salt(salt) => Some(KeptParent::Salt(salt)),
            Parent::Block(index) => self.names.get(*index).copied().flatten().map(KeptParent::Block),
        };
        let name = parent.and_then(|parent| {
            let (full, chunked) = (&block.full, block.chunked.as_deref());
            engine.restore(&Kept { id: 0, parent, tokens: &block.tokens, full, chunked })
        });
        self.tokens += name.map_or(0, |_| block.tokens.len());
        self.names.push(name);
    }
}

fn send(file: &Path, format: &KeptFormat, is_busy: &AtomicBool, send: impl FnMut(Block) -> bool) {
    // What is computed goes first: on Linux this is the thread's own. Where it may not, nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 19);
    let mut patience = PATIENCE;
    let give_way = || {
        while is_busy.load(Ordering::Relaxed) && !patience.is_zero() {
            std::thread::sleep(TICK);
            patience = patience.saturating_sub(TICK);
        }
    };
    match read(file, format, give_way, send) {
        // The first start.
        Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Err(why) => log(format_args!("the warm state {} is ignored: {why}", file.display())),
        Ok(()) => {}
    }
}
