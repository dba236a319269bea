//! A device that runs the kernels on the processor, for tests: their sources, built by g++ under `kernels/emulation.h`.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "for tests, which end where it cannot go on"
)]

use std::{
    alloc::{Layout, alloc, dealloc},
    cell::RefCell,
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use crate::{
    Error,
    device::{Device, Kernel, Launch},
    kv::KvType,
};
use libloading::Library;

type Run = unsafe extern "C" fn(u32, *const *const u8, *const u32, u32, u32, u32) -> i32;

/// Fibres are the library's: one launch at a time.
static RUNNING: Mutex<()> = Mutex::new(());

/// The device.
#[derive(Debug)]
pub struct Emulated {
    library: Library,
    multiprocessors: u32,
    kv_type: KvType,
    allocated: RefCell<HashMap<u64, Layout>>,
    seed: RefCell<u32>,
    memory: usize,
}

/// Memory of an emulated device.
const MEMORY: usize = 1 << 30;

/// What was built in this process.
static BUILT: Mutex<Vec<([usize; 2], KvType)>> = Mutex::new(Vec::new());

/// The kernels for heads of `head_dim`, `group` to a KV head, built once.
fn build(folder: &Path, heads: [usize; 2], kv_type: KvType) -> PathBuf {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let [head_dim, group] = heads;
    let to = folder.join(format!("kernels-{head_dim}-{group}-{kv_type}.so"));
    let what = (heads, kv_type);
    if !built.contains(&what) {
        compile("emulated.cpp", what, &to);
        built.push(what);
    }
    to
}

/// A stand-in for the driver's library and for NVRTC, built into `folder` as `libcuda.so.1`, whose kernels are those for heads of
/// `head_dim`, `group` to a KV head, with keys and values of `kv_type`. For processes of tests, which find it by `LD_LIBRARY_PATH` and `MOE_NVRTC`; what else their
/// environment says to it is in `kernels/emulated_driver.cpp`.
#[must_use]
pub fn driver(folder: &Path, head_dim: usize, group: usize, kv_type: KvType) -> PathBuf {
    let to = folder.join("libcuda.so.1");
    compile("emulated_driver.cpp", ([head_dim, group], kv_type), &to);
    to
}

fn compile(source: &str, ([head_dim, group], kv_type): ([usize; 2], KvType), to: &Path) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let partial = to.with_extension(format!("{}.so", std::process::id()));
    let compiler = env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let built = Command::new(&compiler)
        .args(["-std=c++17", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC"])
        // The processor's own fused multiply-add, where it has one: without it each is a call.
        .args(if cfg!(target_arch = "x86_64") { &["-march=native"][..] } else { &[] })
        .args(["-w", &format!("-DHEAD_DIM={head_dim}"), &format!("-DGROUP={group}")])
        .args(if kv_type == KvType::Q8_0 { &["-DKV_Q8"][..] } else { &[] })
        .arg(sources.join(source))
        .arg("-o")
        .arg(&partial)
        .output();
    let built = built.unwrap_or_else(|error| {
        panic!("{compiler} does not run ({error}): these tests build the kernels for the processor; install g++ or set CXX")
    });
    assert!(built.status.success(), "{compiler}:\n{}", String::from_utf8_lossy(&built.stderr));
    std::fs::rename(&partial, to).unwrap();
}

impl Emulated {
    /// One with so many multiprocessors, whose kernels are built into `folder`.
    #[must_use]
    pub fn new(folder: &Path, multiprocessors: u32, head_dim: usize, group: usize, kv_type: KvType) -> Self {
        // SAFETY: the library's initialisers are those of C++'s runtime.
        let library = unsafe { Library::new(build(folder, [head_dim, group], kv_type)) }.unwrap();
        Self {
            library,
            multiprocessors,
            kv_type,
            allocated: RefCell::default(),
            seed: RefCell::new(1),
            memory: MEMORY,
        }
    }

    /// The same with less memory, or more.
    #[must_use]
    pub fn with_memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// Sizes of the structs, as the kernels have them.
    #[must_use]
    pub fn sizes(&self) -> [u32; 4] {
        let mut sizes = [0; 4];
        // SAFETY: the function writes four words.
        unsafe {
            let get = self.library.get::<unsafe extern "C" fn(*mut u32)>(c"emulated_sizes").unwrap();
            get(sizes.as_mut_ptr());
        }
        sizes
    }
}

impl Device for Emulated {
    fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    fn kv_type(&self) -> KvType {
        self.kv_type
    }

    fn shared_bytes(&self) -> u32 {
        227 << 10
    }

    fn free_bytes(&self) -> Result<usize, Error> {
        let used: usize = self.allocated.borrow().values().map(Layout::size).sum();
        Ok(self.memory.saturating_sub(used))
    }

    fn total_bytes(&self) -> Option<usize> {
        Some(self.memory)
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let free = self.free_bytes()?;
        if bytes > free {
            return Err(Error::OutOfMemory { wanted: bytes, free });
        }
        let layout = Layout::from_size_align(bytes.max(1), 256).unwrap();
        // SAFETY: not of size zero.
        let at = unsafe { alloc(layout) };
        assert!(!at.is_null());
        // What nobody writes is not a number.
        // SAFETY: just allocated.
        unsafe { at.write_bytes(0xFF, bytes) };
        self.allocated.borrow_mut().insert(at as u64, layout);
        Ok(at as u64)
    }

    fn free(&self, at: u64) {
        if let Some(layout) = self.allocated.borrow_mut().remove(&at) {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(at as *mut u8, layout) };
        }
    }

    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: tests write inside what they allocated.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
        Ok(())
    }

    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        // SAFETY: tests read inside what they allocated.
        unsafe { std::ptr::copy_nonoverlapping(at as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn copy_bytes(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        // SAFETY: tests copy inside what they allocated, and not onto itself.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error> {
        let which = match launch.kernel {
            Kernel::Begin => 0,
            Kernel::Fill => 1,
            Kernel::Quantise => 2,
            Kernel::Norm => 3,
            Kernel::Attention { many: false } => 4,
            Kernel::Attention { many: true } => 7,
            Kernel::Chunks => 5,
            Kernel::Candidates => 6,
            Kernel::Store => 8,
            Kernel::Many { weights } => 50 + weights.kind().min(5),
            Kernel::Slots => 50,
            Kernel::Product { stage, one, six } => {
                stage.number() + if one { 10 } else { 20 } + if six { 20 } else { 0 }
            }
        };
        let parameters: Vec<*const u8> =
            launch.parameters.iter().map(|parameter| parameter.pointer()).collect();
        assert!(launch.shared_bytes <= self.shared_bytes(), "shared memory");
        *self.seed.borrow_mut() += 1;
        let _alone = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the parameters are what the kernel takes; addresses in them are this process' own.
        let done = unsafe {
            let run = self.library.get::<Run>(c"emulated_launch").unwrap();
            let seed = *self.seed.borrow();
            run(which, parameters.as_ptr(), launch.grid.as_ptr(), launch.threads, launch.shared_bytes, seed)
        };
        assert!(done == 1, "{:?} stands still", launch.kernel);
        Ok(())
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        for (at, layout) in self.allocated.get_mut().drain() {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(at as *mut u8, layout) };
        }
    }
}
