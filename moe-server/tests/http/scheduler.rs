//! The scheduler without HTTP: how it ends.

use crate::engine::{Bytes, Control, END, Maker, PANIC};
use moe_server::engine::TokenId;
use moe_server::http::codec::Codec;
use moe_server::schedule::output::Output;
use moe_server::schedule::sample::Sampling;
use moe_server::schedule::text::Decode;
use moe_server::schedule::track::Track;
use moe_server::schedule::{Config, Event, Failure, Job, Refused, Scheduler, Unready};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn start() -> Scheduler {
    let maker = Maker { context_length: 4_096, kv_tokens: 1_000_000, control: Arc::new(Control::default()) };
    Scheduler::start(maker.engine(), Box::new(maker), &Config::default()).unwrap()
}

fn job(scheduler: &Scheduler, text: &str, decoder: Box<dyn Decode>) -> (Job, UnboundedReceiver<Event>) {
    let track = Arc::new(Track::new("id".into(), "tiny".into(), 0, None, scheduler.stats().clone()));
    let (events, receiver) = unbounded_channel();
    let job = Job {
        prompt: Bytes.encode(text),
        resumed: Vec::new(),
        cache_salt: "".into(),
        sampling: Sampling::default(),
        output: Output::new(decoder, Vec::new(), Arc::new(|token| token == END), 10),
        list_tokens: false,
        events,
        track,
    };
    (job, receiver)
}

/// The last event of a job that was taken; `None` where it was forgotten.
fn last(mut events: UnboundedReceiver<Event>) -> Option<Event> {
    std::iter::from_fn(|| events.blocking_recv()).last()
}

#[test]
fn what_is_taken_while_the_scheduler_stops_is_told_so() {
    for _ in 0..300 {
        let scheduler = start();
        let clients = [(); 3].map(|()| {
            let scheduler = scheduler.clone();
            std::thread::spawn(move || {
                let mut taken = Vec::new();
                loop {
                    let (job, events) = job(&scheduler, "say:ab>", Bytes.decoder());
                    match scheduler.submit(job) {
                        Ok(()) => taken.push(events),
                        Err(Refused::QueueFull) => std::thread::yield_now(),
                        Err(refused) => return (refused, taken),
                    }
                }
            })
        });
        scheduler.shut_down();
        for client in clients {
            let (refused, taken) = client.join().unwrap();
            assert_eq!(refused, Refused::ShuttingDown);
            for events in taken {
                let last = last(events);
                let told =
                    matches!(last, Some(Event::Finished { .. } | Event::Failed(Failure::ShuttingDown)));
                assert!(told, "{last:?}");
            }
        }
    }
}

/// Text that cannot even be thrown away.
struct Cursed;

impl Decode for Cursed {
    fn push(&mut self, _: TokenId) -> String {
        String::new()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

impl Drop for Cursed {
    fn drop(&mut self) {
        // Not where it would end the process.
        assert!(std::thread::panicking(), "a scripted panic while the engine's thread cleans up");
    }
}

#[test]
fn a_lost_thread_is_not_ready() {
    let scheduler = start();
    while scheduler.ready() != Ok(()) {
        assert!(matches!(scheduler.ready(), Ok(()) | Err(Unready::Refusing(Refused::Asleep(_)))));
        std::thread::yield_now();
    }
    let (job_, events) = job(&scheduler, &format!("x{PANIC}"), Box::new(Cursed));
    scheduler.submit(job_).unwrap();
    assert_eq!(last(events), Some(Event::Failed(Failure::EngineDead)));
    assert_eq!(scheduler.ready(), Err(Unready::Refusing(Refused::EngineDead)));
    assert_eq!(scheduler.dead(), Some("the compute thread panicked"));
    let (job_, events) = job(&scheduler, "a", Bytes.decoder());
    assert_eq!(scheduler.submit(job_), Err(Refused::EngineDead));
    assert_eq!(last(events), None);
}
