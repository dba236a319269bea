//! Models to pack, and ways to look at what came of it.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::gguf_writer::Writer;
use moe_server::{
    engine::{Span, Wanted},
    load::{LoadOptions, LoadedModel, load},
    model::{
        gguf::Gguf,
        packing::{Event, PackError, PackOptions, Packed, pack},
    },
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) const MODELS: [&str; 4] = ["tiny.gguf", "nano-f32.gguf", "nano-bf16.gguf", "nano-f16.gguf"];

/// A folder with a checked-in model of its own.
pub(crate) fn folder_with(model: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(model);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model), &path).unwrap();
    (folder, path)
}

/// Packs beside the model, on two threads.
pub(crate) fn packed(model: &Path) -> PathBuf {
    let (result, _) = packing(model, None, usize::MAX);
    result.unwrap().path
}

/// What was told meanwhile, without the progress.
pub(crate) type Told = Vec<String>;

/// Packs until `most` parts are done, then stops.
pub(crate) fn packing(model: &Path, output: Option<&Path>, most: usize) -> (Result<Packed, PackError>, Told) {
    let stop = AtomicBool::new(false);
    let (mut parts, mut told) = (0, Vec::new());
    let result = pack(model, output, &PackOptions { threads: 2, stop: &stop }, &mut |event| match event {
        Event::Progress { done, total } => {
            assert!(done <= total);
            parts += 1;
            if parts >= most {
                stop.store(true, Ordering::Relaxed);
            }
        }
        other => told.push(format!("{other:?}")),
    });
    (result, told)
}

thread_local! {
    static NOTICES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Loads a model; and what the operator was told.
pub(crate) fn loaded(path: &Path) -> (Result<LoadedModel, String>, Vec<String>) {
    NOTICES.with_borrow_mut(Vec::clear);
    let notice = |line: &str| NOTICES.with_borrow_mut(|notices| notices.push(line.to_owned()));
    let options = LoadOptions { notice: Some(notice), ..LoadOptions::default() };
    let model = load(path, &options).map_err(|error| error.to_string());
    (model, NOTICES.with_borrow_mut(std::mem::take))
}

/// The bits of some tokens' logits.
pub(crate) fn logits(model: &mut LoadedModel) -> Vec<u32> {
    let sequence = model.engine.create().unwrap();
    let mut logits = Vec::new();
    let tokens = model.tokenizer.encode("Hello, world! It's 12345.", moe_server::model::Special::AsText);
    model
        .engine
        .step_logits(&[Span { sequence, tokens: &tokens, logits: Wanted::All }], &mut logits)
        .unwrap();
    logits.iter().map(|logit| logit.to_bits()).collect()
}

/// Where a text stands in a file, for the first time.
pub(crate) fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect(text)
}

/// Where the value of a text key of a packed file begins.
pub(crate) fn value_of(bytes: &[u8], key: &str) -> usize {
    // The value's type and its length are before it.
    find(bytes, key) + key.len() + 4 + 8
}

/// Where the data begin.
pub(crate) fn data_of(bytes: &[u8]) -> usize {
    let gguf = Gguf::from_bytes(bytes.to_vec()).unwrap();
    gguf.tensor("moegate.tokenizer").unwrap().offset
}

/// Puts the right hash into a changed header, as a forger would. `header` is its length.
pub(crate) fn reseal(bytes: &mut [u8], header: usize) {
    let places =
        ["moegate.packed.content_sha256", "moegate.packed.header_sha256"].map(|key| value_of(bytes, key));
    let mut blank = bytes[..header].to_vec();
    for at in places {
        blank[at..at + 64].fill(b'0');
    }
    let hash: String = Sha256::digest(&blank).iter().map(|byte| format!("{byte:02x}")).collect();
    bytes[places[1]..places[1] + 64].copy_from_slice(hash.as_bytes());
}

/// Writes a model as two parts, the last tensors in the second one, and returns the first.
pub(crate) fn split_in_two(model: &Path) -> PathBuf {
    let gguf = Gguf::open(model).unwrap();
    let header = gguf.files().next().unwrap().header;
    let count = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
    let tensors: Vec<_> = gguf.tensors().collect();
    // Behind the metadata is the first tensor's name, with its length.
    let first = tensors[0].name;
    let metadata = &header[24..find(header, first) - 8];
    let parts = tensors.split_at(tensors.len() / 3);
    let paths = [1, 2].map(|number| model.with_file_name(format!("whole-{number:05}-of-00002.gguf")));
    for (number, (part, path)) in (0_u16..).zip([parts.0, parts.1].into_iter().zip(&paths)) {
        let (keys, bytes) = if number == 0 { (count(16), metadata) } else { (0, &[][..]) };
        let mut writer = Writer::header(part.len() as u64, keys + 3)
            .raw(bytes)
            .key("split.no", 2, &number.to_le_bytes())
            .key("split.count", 2, &2_u16.to_le_bytes())
            .key("split.tensors.count", 5, &i32::try_from(tensors.len()).unwrap().to_le_bytes());
        let mut data = Vec::new();
        for info in part {
            let dims: Vec<u64> = info.dims.iter().map(|dim| *dim as u64).collect();
            writer = writer.tensor(info.name, &dims, info.ggml_type.id(), data.len() as u64);
            data.extend(info.bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        let mut file = writer.data(32, 0);
        file.extend(data);
        std::fs::write(path, file).unwrap();
    }
    paths[0].clone()
}

/// SplitMix64.
pub(crate) fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }
}
