//! No room, and a device that fails.

use std::cell::Cell;

use moe_cuda::{
    Error,
    device::{Device, Launch},
    emulation::Emulated,
};
use moe_server::{
    engine::{
        Engine, EngineError, Span, Wanted,
        cuda::{CudaEngine, CudaOptions, KvType},
    },
    model::decoder::ModelError,
    sleep::Progress,
};

use crate::{device, engine, generator, options, small_config};

#[test]
fn a_full_cache_refuses_and_goes_on() {
    let model = generator::model(&small_config(), 5);
    let mut engine = engine(&model, CudaOptions { kv_tokens: Some(32), ..options(40) });
    let (first, second) = (engine.create().unwrap(), engine.create().unwrap());
    let mut logits = Vec::new();
    let step = |engine: &mut CudaEngine<_>, sequence, count: usize, logits: &mut Vec<f32>| {
        let tokens = vec![1; count];
        engine.step_logits(&[Span { sequence, tokens: &tokens, logits: Wanted::Last }], logits)
    };
    step(&mut engine, first, 30, &mut logits).unwrap();
    let refused = step(&mut engine, second, 4, &mut logits);
    assert_eq!(refused, Err(EngineError::OutOfBlocks { wanted: 16, free: 0 }));
    assert!(logits.is_empty());
    engine.release(first);
    step(&mut engine, second, 4, &mut logits).unwrap();
    assert_eq!(logits.len(), 40);
}

#[test]
fn a_model_that_does_not_fit_is_told() {
    let model = generator::model(&small_config(), 5);
    let load = |memory, options| {
        let device = device(&model.config, KvType::F16).with_memory(memory);
        CudaEngine::new(device, &model, options, &Progress::default()).map(|_| ())
    };
    let text = |result: Result<(), ModelError>| result.unwrap_err().to_string();
    assert!(text(load(100 << 10, options(8))).contains("GPU memory are wanted"));
    // Weights have room, and no sequence has.
    let all = CudaOptions { kv_tokens: None, ..options(8) };
    let weights = 600 << 10;
    let why = text(load(weights, all.clone()));
    assert!(why.contains("--context") || why.contains("GPU memory are wanted"), "{why}");
    load(64 << 20, all).unwrap();
}

/// A device that fails from some launch on, or from some copy from or to the host.
pub(crate) struct Failing {
    device: Emulated,
    launches_left: Cell<usize>,
    copies_left: Cell<usize>,
}

impl Failing {
    fn after_launches(device: Emulated, launches: usize) -> Self {
        Self { device, launches_left: Cell::new(launches), copies_left: Cell::new(usize::MAX) }
    }

    pub(crate) fn after_copies(device: Emulated, copies: usize) -> Self {
        Self { device, launches_left: Cell::new(usize::MAX), copies_left: Cell::new(copies) }
    }

    /// Copies that are left.
    pub(crate) fn copies_left(&self) -> usize {
        self.copies_left.get()
    }
}

/// One less is left.
fn take(left: &Cell<usize>) -> Result<(), Error> {
    match left.get().checked_sub(1) {
        Some(less) => {
            left.set(less);
            Ok(())
        }
        None => Err(Error::Lost { doing: "working", why: "by the test".into() }),
    }
}

impl Device for Failing {
    fn multiprocessors(&self) -> u32 {
        self.device.multiprocessors()
    }

    fn kv_type(&self) -> KvType {
        self.device.kv_type()
    }

    fn shared_bytes(&self) -> u32 {
        self.device.shared_bytes()
    }

    fn free_bytes(&self) -> Result<usize, Error> {
        self.device.free_bytes()
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        self.device.allocate(bytes)
    }

    fn free(&self, at: u64) {
        self.device.free(at);
    }

    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        take(&self.copies_left)?;
        self.device.write_bytes(at, bytes)
    }

    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        take(&self.copies_left)?;
        self.device.read_bytes(at, bytes)
    }

    fn copy_bytes(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        self.device.copy_bytes(from, to, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error> {
        take(&self.launches_left)?;
        self.device.launch(launch)
    }
}

#[test]
fn a_device_that_is_lost_breaks_the_engine_for_good() {
    let model = generator::model(&small_config(), 5);
    let device = Failing::after_launches(device(&model.config, KvType::F16), 60);
    let mut engine = CudaEngine::new(device, &model, options(8), &Progress::default()).unwrap();
    let sequence = engine.create().unwrap();
    let mut logits = Vec::new();
    let mut step = |engine: &mut CudaEngine<Failing>| {
        engine.step_logits(&[Span { sequence, tokens: &[1], logits: Wanted::Last }], &mut logits)
    };
    step(&mut engine).unwrap();
    let lost = (0..9).find_map(|_| step(&mut engine).err()).unwrap();
    assert!(matches!(&lost, EngineError::Broken(why) if why.contains("Xid")), "{lost}");
    let length = engine.len(sequence);
    assert_eq!(step(&mut engine), Err(lost.clone()));
    assert_eq!(engine.len(sequence), length);
    assert_eq!(engine.create(), Err(lost));
}
