//! An engine that keeps its logits tells the best of each row: what is said is the same.

use crate::engine::{Bytes, Control, END, Maker, Scripted, VOCAB};
use moe_server::engine::{Capabilities, Engine, EngineError, Outcomes, SequenceId, Span, TokenId, Wanted};
use moe_server::http::codec::Codec;
use moe_server::schedule::output::Output;
use moe_server::schedule::sample::Sampling;
use moe_server::schedule::track::Track;
use moe_server::schedule::{Config, Event, Job, Scheduler, Unready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The scripted engine behind the seam's other form.
struct Keeping {
    inner: Scripted,
    rows: Vec<f32>,
    fetched: Arc<AtomicUsize>,
}

impl Engine for Keeping {
    fn step(&mut self, spans: &[Span<'_>], outcomes: &mut Outcomes) -> Result<(), EngineError> {
        outcomes.best(VOCAB);
        self.inner.step_logits(spans, &mut self.rows)?;
        self.rows.chunks_exact(VOCAB).for_each(|row| outcomes.push_row(row, 8));
        Ok(())
    }

    fn logits(&mut self, row: usize, logits: &mut Vec<f32>) -> Result<(), EngineError> {
        self.fetched.fetch_add(1, SeqCst);
        logits.clear();
        logits.extend_from_slice(&self.rows[row * VOCAB..][..VOCAB]);
        Ok(())
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    fn create(&mut self) -> Result<SequenceId, EngineError> {
        self.inner.create()
    }
    fn len(&self, sequence: SequenceId) -> Option<usize> {
        self.inner.len(sequence)
    }
    fn fork(&mut self, sequence: SequenceId, position: usize) -> Result<SequenceId, EngineError> {
        self.inner.fork(sequence, position)
    }
    fn truncate(&mut self, sequence: SequenceId, position: usize) -> Result<(), EngineError> {
        self.inner.truncate(sequence, position)
    }
    fn can_resume_at(&self, sequence: SequenceId, position: usize) -> bool {
        self.inner.can_resume_at(sequence, position)
    }
    fn release(&mut self, sequence: SequenceId) {
        self.inner.release(sequence);
    }
    fn free_tokens(&self) -> usize {
        self.inner.free_tokens()
    }
    fn export(&self, sequence: SequenceId) -> Result<Vec<u8>, EngineError> {
        self.inner.export(sequence)
    }
    fn import(&mut self, bytes: &[u8]) -> Result<SequenceId, EngineError> {
        self.inner.import(bytes)
    }
}

fn scripted() -> Scripted {
    Scripted::new(4_096, 1_000_000, Arc::new(Control::default()))
}

fn submit(scheduler: &Scheduler, prompt: &str, sampling: Sampling) -> UnboundedReceiver<Event> {
    let (events, receiver) = unbounded_channel();
    let track = Arc::new(Track::new("id".into(), "tiny".into(), 0, None, scheduler.stats().clone()));
    let output = Output::new(Bytes.decoder(), Vec::new(), Arc::new(|token| token == END), 40);
    let job = Job {
        prompt: Bytes.encode(prompt),
        resumed: Vec::new(),
        cache_salt: "".into(),
        sampling,
        output,
        list_tokens: true,
        events,
        track,
    };
    scheduler.submit(job).unwrap();
    receiver
}

/// The tokens of some answers, all of which are made at once.
fn answers(engine: Box<dyn Engine>, prompts: &[&str], samplings: &[Sampling]) -> Vec<Vec<TokenId>> {
    let maker = Maker { context_length: 4_096, kv_tokens: 1_000_000, control: Arc::default() };
    let scheduler = Scheduler::start(engine, Box::new(maker), &Config::default()).unwrap();
    while let Err(Unready::Refusing(_)) = scheduler.ready() {
        std::thread::yield_now();
    }
    let jobs: Vec<_> = prompts
        .iter()
        .flat_map(|prompt| samplings.iter().map(|sampling| submit(&scheduler, prompt, *sampling)))
        .collect();
    let tokens = |mut events: UnboundedReceiver<Event>| {
        let mut all = Vec::new();
        loop {
            match events.blocking_recv() {
                Some(Event::Text { tokens, .. }) => all.extend(tokens),
                Some(Event::Finished { tokens, .. }) => {
                    all.extend(tokens);
                    return all;
                }
                other => panic!("{other:?}"),
            }
        }
    };
    jobs.into_iter().map(tokens).collect()
}

#[test]
fn what_is_said_is_the_same_and_rows_are_fetched_where_they_must_be() {
    let default = Sampling::default();
    let samplings = [
        default,
        Sampling { temperature: 0.0, ..default },
        Sampling { top_k: 5, top_p: 0.8, seed: 3, ..default },
        Sampling { temperature: 1.3, seed: 4, frequency_penalty: 0.4, ..default },
        Sampling { temperature: 0.0, presence_penalty: -0.3, ..default },
    ];
    let said = ["say:hello, you>", "abc", "say:>"];
    for (prompts, samplings, least, most) in [
        (&said[..], &samplings[..4], 0, 0),
        // A token that was said and is made likelier may be one that is not told of.
        (&said, &samplings[4..], 1, 50),
        // Most logits are infinite.
        (&["free:"], &samplings[..], 5 * 40, 5 * 40),
    ] {
        let fetched = Arc::new(AtomicUsize::new(0));
        let engine = Keeping { inner: scripted(), rows: Vec::new(), fetched: fetched.clone() };
        assert_eq!(
            answers(Box::new(engine), prompts, samplings),
            answers(Box::new(scripted()), prompts, samplings)
        );
        let fetched = fetched.load(SeqCst);
        assert!((least..=most).contains(&fetched), "{fetched} rows were fetched for {prompts:?}");
    }
}

#[test]
fn whoever_wants_whole_rows_gets_them() {
    let mut keeping = Keeping { inner: scripted(), rows: Vec::new(), fetched: Arc::default() };
    let mut plain = scripted();
    let mut rows = [Vec::new(), vec![1.0; 3]];
    let engines: [&mut dyn Engine; 2] = [&mut plain, &mut keeping];
    for (engine, rows) in engines.into_iter().zip(&mut rows) {
        let ids = [(); 3].map(|()| engine.create().unwrap());
        let wanted = [Wanted::Last, Wanted::None, Wanted::Last];
        let tokens: [&[TokenId]; 3] = [&[97], &[98, 99], &[99]];
        let spans: Vec<Span<'_>> = (ids.into_iter().zip(tokens).zip(wanted))
            .map(|((sequence, tokens), logits)| Span { sequence, tokens, logits })
            .collect();
        engine.step_logits(&spans, rows).unwrap();
        // Nothing is told where nothing was computed.
        let mut left = vec![1.0];
        let stranger = Span { sequence: SequenceId(99), tokens: &[1], logits: Wanted::Last };
        assert!(engine.step_logits(&[stranger], &mut left).is_err() && left.is_empty());
    }
    assert_eq!(rows[0].len(), 2 * VOCAB);
    assert_eq!(rows[0], rows[1]);
    assert_eq!(keeping.fetched.load(SeqCst), 2);
    assert!(plain.logits(0, &mut Vec::new()).is_err(), "it told whole rows");
}
