//! A GPU through the driver's library, which is loaded when it is first asked for.

mod graph;
mod status;
mod upload;

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::{CStr, c_int, c_void},
    ptr::{null_mut, without_provenance_mut},
};

use cudarc::driver::sys;

pub use graph::Graph;
use status::{initialise, ok};

use crate::{
    Error,
    compile::{Source, Target},
    cubins,
    device::{Device, Kernel, Launch},
    kv::KvType,
    model,
};

/// A GPU, its context and a stream. Work is in order.
#[derive(Debug)]
pub struct Gpu {
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    name: String,
    driver: i32,
    capability: (i32, i32),
    multiprocessors: u32,
    shared_bytes: u32,
    target: Target,
    functions: RefCell<HashMap<Kernel, sys::CUfunction>>,
    modules: RefCell<HashMap<Source, sys::CUmodule>>,
    allocated: RefCell<HashMap<u64, usize>>,
    /// Graphs that [`Device::replay`] keeps; none where the key was seen once.
    graphs: RefCell<HashMap<u64, Option<sys::CUgraphExec>>>,
    staging: RefCell<Option<upload::Staging>>,
}

// SAFETY: the driver's handles may be used by any thread whose current context is theirs, and [`Device::enter`] makes it that. One
// thread at a time has the value, since it is not `Sync`.
unsafe impl Send for Gpu {}

impl Gpu {
    /// GPU number `ordinal`, for models with such heads whose keys and values are rounded to `kv_type`.
    ///
    /// # Errors
    /// Why it cannot be used; [`Error::Model`] where it cannot for such heads.
    pub fn open(ordinal: i32, head_dim: usize, group: usize, kv_type: KvType) -> Result<Self, Error> {
        model::check_heads(head_dim)?;
        let driver = initialise()?;
        let mut device: sys::CUdevice = 0;
        let mut context = null_mut();
        let mut stream = null_mut();
        let mut name = [0_u8; 256];
        let mut count = 0;
        // SAFETY: every pointer is to a variable of the type that the driver writes, and the buffer is as long as is said.
        unsafe {
            ok("counting GPUs", sys::cuDeviceGetCount(&raw mut count))?;
            if ordinal >= count {
                return Err(Error::NoDevice);
            }
            ok("finding the GPU", sys::cuDeviceGet(&raw mut device, ordinal))?;
            ok("asking for its name", sys::cuDeviceGetName(name.as_mut_ptr().cast(), 256, device))?;
        }
        let name = CStr::from_bytes_until_nul(&name)
            .map_or_else(|_| "a GPU".into(), CStr::to_string_lossy)
            .into_owned();
        let attribute = |which: sys::CUdevice_attribute| {
            let mut value: c_int = 0;
            // SAFETY: as above.
            ok("asking what it can do", unsafe { sys::cuDeviceGetAttribute(&raw mut value, which, device) })?;
            Ok::<_, Error>(value)
        };
        use sys::CUdevice_attribute as A;
        let major = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        if major < 8 {
            let why = "its architecture is older than Ampere (compute capability 8.0)";
            return Err(Error::Unsupported { device: name, why });
        }
        let multiprocessors = attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as u32;
        let shared_bytes = attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as u32;
        // SAFETY: as above; the context stays retained until the value is dropped.
        unsafe {
            ok("making a context", sys::cuDevicePrimaryCtxRetain(&raw mut context, device))?;
            ok("entering the context", sys::cuCtxSetCurrent(context))?;
            let plain = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
            ok("making a stream", sys::cuStreamCreate(&raw mut stream, plain))?;
        }
        // Hopper's own instructions are in code for it alone.
        let suffix = if (major, minor) == (9, 0) { "a" } else { "" };
        let target = Target { architecture: format!("sm_{major}{minor}{suffix}"), head_dim, group, kv_type };
        Ok(Self {
            device,
            context,
            stream,
            name,
            driver,
            capability: (major, minor),
            multiprocessors,
            shared_bytes,
            target,
            functions: RefCell::default(),
            modules: RefCell::default(),
            allocated: RefCell::default(),
            graphs: RefCell::default(),
            staging: RefCell::default(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// CUDA's version that the driver speaks, as 13000 for 13.0.
    #[must_use]
    pub fn driver(&self) -> i32 {
        self.driver
    }

    #[must_use]
    pub fn capability(&self) -> (i32, i32) {
        self.capability
    }

    /// Bytes free and in all.
    ///
    /// # Errors
    /// What the driver says.
    pub fn memory(&self) -> Result<(usize, usize), Error> {
        let (mut free, mut all) = (0, 0);
        // SAFETY: two variables to be written.
        ok("asking for memory", unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut all) })?;
        Ok((free, all))
    }

    /// Compiles and loads all kernels ahead, side by side.
    ///
    /// # Errors
    /// As [`cubins::cubin`], and what the driver says.
    pub fn prepare(&self) -> Result<(), Error> {
        let missing: Vec<Source> =
            Source::ALL.into_iter().filter(|source| !self.modules.borrow().contains_key(source)).collect();
        let (target, driver) = (&self.target, self.driver);
        let cubins: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = missing
                .iter()
                .map(|source| scope.spawn(move || cubins::cubin(*source, target, driver)))
                .collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for (source, cubin) in missing.into_iter().zip(cubins) {
            let cubin =
                cubin.map_err(|_| Error::Driver { doing: "compiling", why: "a thread died".into() })??;
            let mut module = null_mut();
            // SAFETY: the image is a whole cubin and is copied.
            ok("loading kernels", unsafe { sys::cuModuleLoadData(&raw mut module, cubin.as_ptr().cast()) })?;
            self.modules.borrow_mut().insert(source, module);
        }
        Ok(())
    }

    fn function(&self, kernel: Kernel) -> Result<sys::CUfunction, Error> {
        if let Some(found) = self.functions.borrow().get(&kernel) {
            return Ok(*found);
        }
        self.prepare()?;
        let module = self.modules.borrow().get(&kernel.source()).copied().unwrap_or(null_mut());
        let mut function = null_mut();
        // SAFETY: the module is loaded and the name ends with a zero; so for the attribute.
        unsafe {
            ok(
                "finding a kernel",
                sys::cuModuleGetFunction(&raw mut function, module, kernel.name().as_ptr()),
            )?;
            if matches!(
                kernel,
                Kernel::Product { .. } | Kernel::Many { .. } | Kernel::Attention { .. } | Kernel::Norm
            ) {
                let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                let bytes = self.shared_bytes as c_int;
                ok("asking for shared memory", sys::cuFuncSetAttribute(function, which, bytes))?;
            }
        }
        self.functions.borrow_mut().insert(kernel, function);
        Ok(function)
    }

    /// # Errors
    /// What the driver says of everything launched.
    pub fn wait(&self) -> Result<(), Error> {
        // SAFETY: the stream lives.
        ok("waiting for the GPU", unsafe { sys::cuStreamSynchronize(self.stream) })
    }
}

impl Device for Gpu {
    fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    fn kv_type(&self) -> KvType {
        self.target.kv_type
    }

    fn shared_bytes(&self) -> u32 {
        self.shared_bytes
    }

    fn free_bytes(&self) -> Result<usize, Error> {
        Ok(self.memory()?.0)
    }

    fn total_bytes(&self) -> Option<usize> {
        self.memory().ok().map(|(_, all)| all)
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let mut at = 0;
        // SAFETY: a variable to be written.
        match unsafe { sys::cuMemAlloc_v2(&raw mut at, bytes.max(1)) } {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                Err(Error::OutOfMemory { wanted: bytes, free: self.memory()?.0 })
            }
            status => {
                ok("allocating memory", status)?;
                self.allocated.borrow_mut().insert(at, bytes);
                Ok(at)
            }
        }
    }

    fn free(&self, at: u64) {
        if self.allocated.borrow_mut().remove(&at).is_some() {
            // SAFETY: allocated here and not freed yet. An error would be an earlier launch's, which is told elsewhere.
            unsafe {
                sys::cuMemFree_v2(at);
            }
        }
    }

    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        // In order with what was launched before.
        // SAFETY: pageable memory is copied before the call returns.
        unsafe {
            let status = sys::cuMemcpyHtoDAsync_v2(at, bytes.as_ptr().cast(), bytes.len(), self.stream);
            ok("writing to the GPU", status)
        }
    }

    fn upload_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.upload(at, bytes)
    }

    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the buffer is written before the wait ends, and lives beyond it.
        unsafe {
            let status = sys::cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), at, bytes.len(), self.stream);
            ok("reading from the GPU", status)?;
        }
        self.wait()
    }

    fn copy_bytes(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        // SAFETY: both places are on the device and so long; the callers' concern, as for launches.
        ok("copying on the GPU", unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes, self.stream) })
    }

    fn replay(&self, key: u64, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        self.launch_kept(key, launches)
    }

    fn forget_replays(&self) {
        self.forget_graphs();
    }

    fn enter(&self) -> Result<(), Error> {
        // SAFETY: the context is retained.
        ok("entering the context", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error> {
        let function = self.function(launch.kernel)?;
        let mut parameters: Vec<*mut c_void> =
            launch.parameters.iter().map(|parameter| parameter.pointer().cast_mut().cast()).collect();
        // SAFETY: an attribute is plain data, and zeros are one that is ignored.
        let mut attribute: sys::CUlaunchAttribute = unsafe { std::mem::zeroed() };
        attribute.id = sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attribute.value.programmaticStreamSerializationAllowed = 1;
        let [x, y, z] = launch.grid;
        let config = sys::CUlaunchConfig {
            gridDimX: x,
            gridDimY: y,
            gridDimZ: z,
            blockDimX: launch.threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: launch.shared_bytes,
            hStream: self.stream,
            attrs: if launch.overlaps && self.capability.0 >= 9 {
                &raw mut attribute
            } else {
                without_provenance_mut(0)
            },
            numAttrs: u32::from(launch.overlaps && self.capability.0 >= 9),
        };
        // SAFETY: the parameters are what the kernel takes, and are copied before the call returns.
        let status = unsafe {
            sys::cuLaunchKernelEx(&raw const config, function, parameters.as_mut_ptr(), null_mut())
        };
        ok("launching a kernel", status)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.forget_graphs();
        // SAFETY: all was made here, and nothing of it is used any more. Errors would be those of earlier launches.
        unsafe {
            sys::cuCtxSetCurrent(self.context);
            sys::cuStreamSynchronize(self.stream);
            drop(self.staging.take());
            for at in self.allocated.get_mut().keys() {
                sys::cuMemFree_v2(*at);
            }
            for module in self.modules.get_mut().values() {
                sys::cuModuleUnload(*module);
            }
            sys::cuStreamDestroy_v2(self.stream);
            sys::cuDevicePrimaryCtxRelease_v2(self.device);
        }
    }
}
