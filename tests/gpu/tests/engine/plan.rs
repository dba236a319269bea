//! What is planned before a model is loaded is what it then takes.

use std::{path::Path, sync::Arc};

use moe_cuda::device::Device;
use moe_server::{
    engine::{
        DeviceMemory, Engine,
        cpu::KvType,
        cuda::{self, Card, CudaEngine, CudaOptions},
    },
    model::{decoder::Model, gguf::Gguf},
    plan::{ModelPlan, Place, Wish},
    sleep::Progress,
};

use crate::device;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../moe-server/models/demo.gguf");

#[test]
fn a_device_has_given_what_was_planned() {
    let path = Path::new(DEMO);
    let plan = ModelPlan::open(path).unwrap();
    let model = Model::from_gguf(&Arc::new(Gguf::open(path).unwrap()), 1).unwrap();
    for (context, sequences, kv_type) in
        [(None, 32, KvType::F16), (Some(500), 3, KvType::F16), (Some(500), 3, KvType::Q8_0)]
    {
        let memory = 400 << 20;
        let device = device(&model.config, cuda::kv_type(kv_type).unwrap()).with_memory(memory);
        let shared = device.shared_bytes();
        let wish = Wish { context, kv_type, max_batch: sequences };
        let room = plan.room(Place::Gpu(Card { memory, shared }), &wish).unwrap();
        let options = CudaOptions {
            context_limit: context,
            max_sequences: sequences,
            max_wanted: sequences,
            ..CudaOptions::default()
        };
        let engine = CudaEngine::new(device, &model, options, &Progress::default()).unwrap();
        assert_eq!(engine.device_memory(), Some(DeviceMemory { free: memory - room.total(), total: memory }));
        assert_eq!(engine.free_tokens(), room.kv_tokens);
        assert_eq!(engine.capabilities().context_length, room.context);
    }
}
