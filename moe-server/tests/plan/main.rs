//! What a plan says is what an engine then takes; and the command that prints it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;
mod scout;

#[path = "../gguf_writer/mod.rs"]
mod gguf_writer;

use std::{path::Path, sync::Arc};

use moe_cuda::tally::Tally;
use moe_server::{
    engine::{
        cpu::KvType,
        cuda::{self, Card, CudaEngine, CudaOptions},
    },
    model::{decoder::Model, gguf::Gguf},
    plan::{ModelPlan, Outcome, Place, Wish},
    sleep::Progress,
};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf");

fn wish(context: Option<usize>, max_batch: usize) -> Wish {
    Wish { context, kv_type: KvType::F16, max_batch }
}

fn gpu(memory: usize) -> Place {
    Place::Gpu(Card::with_memory(memory))
}

#[test]
fn an_engine_allocates_what_is_planned() {
    let (plan, file) =
        (ModelPlan::open(Path::new(DEMO)).unwrap(), Arc::new(Gguf::open(Path::new(DEMO)).unwrap()));
    let model = Model::from_gguf(&file, 1).unwrap();
    let wishes =
        [(1 << 30, wish(None, 32)), (512 << 20, wish(Some(100), 4)), (300 << 20, wish(Some(1000), 1))];
    for ((memory, wish), kv_type) in wishes.iter().flat_map(|wish| CudaOptions::KV_TYPES.map(|kv| (wish, kv)))
    {
        let (memory, wish) = (*memory, Wish { kv_type, ..*wish });
        let room = plan.room(gpu(memory), &wish).unwrap();
        let tally = Tally::new(memory, Tally::MOST_SHARED_BYTES, cuda::kv_type(kv_type).unwrap());
        let options = CudaOptions {
            context_limit: wish.context,
            max_sequences: wish.max_batch,
            max_wanted: wish.max_batch,
            ..CudaOptions::default()
        };
        let engine = CudaEngine::new(&tally, &model, options, &Progress::default()).unwrap();
        assert_eq!(tally.used(), room.total());
        let settled = engine.options();
        assert_eq!(settled.context_limit, Some(room.context));
        assert_eq!(settled.kv_tokens.unwrap().next_multiple_of(64), room.kv_tokens);
        assert_eq!(room.token() * room.kv_tokens, room.kv);
        drop(engine);
        // What stays is what was brought.
        assert_eq!((tally.used(), plan.weights.bytes), (room.weights, room.weights));
    }
}

#[test]
fn what_is_needed_and_what_is_longest_are_borders() {
    let plan = ModelPlan::open(Path::new(DEMO)).unwrap();
    let wish = wish(Some(700), 8);
    for place in [gpu(1 << 20), Place::Cpu { memory: 1 << 20 }] {
        let with = |memory| match place {
            Place::Cpu { .. } => Place::Cpu { memory },
            Place::Gpu(_) => gpu(memory),
        };
        let Outcome::TooLarge { needed, room, longest: None } = plan.outcome(place, &wish) else { panic!() };
        assert!(room.total() <= needed && room.sequences >= 1 && room.context == 700);
        assert!(plan.room(with(needed), &wish).is_ok());
        assert!(plan.room(with(needed - (1 << 20)), &wish).is_err());
        let Outcome::TooLarge { longest: Some(longest), .. } = plan.outcome(with(needed - (1 << 20)), &wish)
        else {
            panic!("a shorter one has room")
        };
        assert!(longest < 700);
        let at = |context| plan.room(with(needed - (1 << 20)), &Wish { context: Some(context), ..wish });
        assert!(at(longest).is_ok() && at(longest + 1).is_err());
        let Outcome::Fits { longest, .. } = plan.outcome(with(needed), &wish) else { panic!("it has room") };
        assert!(longest >= 700);
    }
}

#[test]
fn smaller_keys_and_values_are_offered_where_the_engine_has_them() {
    let plan = ModelPlan::open(Path::new(DEMO)).unwrap();
    let wish = wish(Some(1000), 1);
    let advice = |place| plan.advice(place, &wish, &plan.outcome(place, &wish)).join("\n");
    let Outcome::TooLarge { needed, .. } = plan.outcome(Place::Cpu { memory: 0 }, &wish) else { panic!() };
    let said = advice(Place::Cpu { memory: needed - (1 << 20) });
    assert!(said.contains("--kv-type q8_0"), "{said}");
    let Outcome::TooLarge { needed, .. } = plan.outcome(gpu(0), &wish) else { panic!() };
    let said = advice(gpu(needed - (1 << 20)));
    assert!(said.contains("--kv-type q8_0"), "{said}");
    assert!(said.contains("24 GB"), "{said}");
}
