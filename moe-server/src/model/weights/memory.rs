//! Packing at start, into memory: for models that are served as they came.

use std::sync::{Arc, Mutex, PoisonError};

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;

use super::{
    convert::{convert, pieces},
    error::ModelError,
    plan::{Plan, shape},
    tensor::{Tensor, TensorBytes},
};
use crate::model::gguf::{Gguf, TensorInfo};

/// What serving a file as it is would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Tensors to be converted.
    pub tensors: usize,
    /// Bytes of memory that they take.
    pub bytes: usize,
}

impl MemoryPlan {
    /// Looks at every tensor of a file. Those that nothing can be made of count for nothing: the model may not want
    /// them.
    #[must_use]
    pub fn of(file: &Gguf) -> Self {
        let mut sum = Self { tensors: 0, bytes: 0 };
        for info in file.tensors() {
            let Some(plan) = Plan::of(&info).ok().filter(|plan| !matches!(plan, Plan::Keep(_))) else {
                continue;
            };
            sum.tensors += 1;
            sum.bytes = sum.bytes.saturating_add(plan.bytes(&info).unwrap_or(usize::MAX));
        }
        sum
    }

    /// # Errors
    /// [`ModelError::Resources`] where the system has not so much memory left, as far as it tells.
    pub fn check(&self) -> Result<(), ModelError> {
        match available_memory() {
            // The rest is for keys, values and activations.
            Some(available) if self.bytes > available - available / 8 => Err(ModelError::Resources(format!(
                "the model is not packed, and packing it in memory takes {} MiB where {} MiB are available; pack it into \
                 a file first (moe-server pack MODEL.gguf): that is mapped and takes hardly any",
                self.bytes >> 20,
                available >> 20
            ))),
            _ => Ok(()),
        }
    }
}

/// Bytes that could be had without swapping; none where the system does not say.
#[must_use]
pub fn available_memory() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    // A container may be allowed less than the machine has.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(usize::MAX);
    Some(kibibytes.saturating_mul(1024).min(limit))
}

/// A tensor as the engine wants it: mapped where the file has it so, else converted on `threads` threads.
///
/// # Errors
/// [`ModelError`], naming the tensor.
pub(in crate::model) fn tensor(
    file: &Arc<Gguf>,
    info: TensorInfo<'_>,
    threads: usize,
) -> Result<Tensor, ModelError> {
    let plan = Plan::of(&info)?;
    let odd = || ModelError::Config(format!("the tensor {:?} has not the bytes of its shape", info.name));
    let bytes = match plan {
        Plan::Keep(_) => TensorBytes::Mapped(Arc::clone(file), info.place()),
        _ => {
            let size = plan.bytes(&info).ok_or_else(odd)?;
            let full = |error| {
                let name = info.name;
                ModelError::Resources(format!("{size} bytes for the tensor {name:?} cannot be had: {error}"))
            };
            let mut memory = MmapMut::map_anon(size).map_err(full)?;
            // Fewer faults now and fewer misses later; where there are no huge pages, small ones do.
            #[cfg(target_os = "linux")]
            let _ = memory.advise(Advice::HugePage);
            fill(plan, &info, threads, &mut memory);
            TensorBytes::Memory(Arc::new(memory))
        }
    };
    Tensor::with_layout(plan.layout(), shape(&info), bytes).ok_or_else(odd)
}

fn fill(plan: Plan, info: &TensorInfo<'_>, threads: usize, mut out: &mut [u8]) {
    let tasks: Vec<_> = pieces(plan, info)
        .map(|piece| {
            let (mine, rest) = std::mem::take(&mut out).split_at_mut(piece.size);
            out = rest;
            (piece, mine)
        })
        .collect();
    let helpers = threads.min(tasks.len()).saturating_sub(1);
    let queue = Mutex::new(tasks.into_iter());
    let work = || {
        // Nothing panics while the lock is held.
        while let Some((piece, out)) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() {
            convert(plan, &piece, info.bytes, out);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            // Where no thread can be had, the others do its work.
            let _ = std::thread::Builder::new().name("pack".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
}
