//! The kernels' sources, and NVRTC, which compiles them; [`crate::cubins`] keeps what it makes.

use std::{
    env,
    ffi::{CStr, CString, c_char, c_int, c_void},
};

use crate::{
    Error,
    device::{Kernel, Stage},
    kv::KvType,
    model::WeightType,
};
use libloading::Library;
use moe_kernels::packed::PackedType;

/// `kernels/*.cuh`, under the names they include each other by.
pub(crate) const HEADERS: &[(&CStr, &str)] = &[
    (c"attention.cuh", include_str!("../kernels/attention.cuh")),
    (c"candidates.cuh", include_str!("../kernels/candidates.cuh")),
    (c"chunk.cuh", include_str!("../kernels/chunk.cuh")),
    (c"device.cuh", include_str!("../kernels/device.cuh")),
    (c"finish.cuh", include_str!("../kernels/finish.cuh")),
    (c"kv.cuh", include_str!("../kernels/kv.cuh")),
    (c"layout.cuh", include_str!("../kernels/layout.cuh")),
    (c"norm.cuh", include_str!("../kernels/norm.cuh")),
    (c"plain.cuh", include_str!("../kernels/plain.cuh")),
    (c"product.cuh", include_str!("../kernels/product.cuh")),
    (c"product_many.cuh", include_str!("../kernels/product_many.cuh")),
    (c"quantise.cuh", include_str!("../kernels/quantise.cuh")),
    (c"route.cuh", include_str!("../kernels/route.cuh")),
    (c"tiles.cuh", include_str!("../kernels/tiles.cuh")),
    (c"tiles_many.cuh", include_str!("../kernels/tiles_many.cuh")),
];
const STEP: &str = include_str!("../kernels/step.cu");
const BEGIN: &str = include_str!("../kernels/begin.cu");
const MANY: &str = include_str!("../kernels/many.cu");

/// Architectures the kernels are compiled for in tests: Ampere to Blackwell.
pub const ARCHITECTURES: [&str; 6] = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"];

/// What a kernel is compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `sm_90a`, say.
    pub architecture: String,
    pub head_dim: usize,
    /// Query heads of a KV head.
    pub group: usize,
    pub kv_type: KvType,
}

impl Kernel {
    /// Its name in the source.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Begin => c"begin",
            Self::Fill => c"fill",
            Self::Quantise => c"quantise",
            Self::Norm => c"norm_rows",
            Self::Store => c"store",
            Self::Attention { many: false } => c"attention",
            Self::Attention { many: true } => c"attention_many",
            Self::Chunks => c"chunks",
            Self::Candidates => c"candidates",
            Self::Slots => c"slots",
            Self::Many { weights } => match weights {
                WeightType::Packed(PackedType::Q4_K) => c"many_q4_k",
                WeightType::Packed(PackedType::Q6_K) => c"many_q6_k",
                WeightType::Packed(PackedType::Q8_0) => c"many_q8_0",
                WeightType::Packed(PackedType::MXFP4) => c"many_mxfp4",
                _ => c"many_plain",
            },
            Self::Product { stage, one, six } => match (stage, one, six) {
                (Stage::Qkv, true, false) => c"qkv_1",
                (Stage::Qkv, true, true) => c"qkv_1_six",
                (Stage::Qkv, false, false) => c"qkv_8",
                (Stage::Qkv, false, true) => c"qkv_8_six",
                (Stage::Output, true, false) => c"output_1",
                (Stage::Output, true, true) => c"output_1_six",
                (Stage::Output, false, false) => c"output_8",
                (Stage::Output, false, true) => c"output_8_six",
                (Stage::Up, true, false) => c"up_1",
                (Stage::Up, true, true) => c"up_1_six",
                (Stage::Up, false, false) => c"up_8",
                (Stage::Up, false, true) => c"up_8_six",
                (Stage::Down, true, false) => c"down_1",
                (Stage::Down, true, true) => c"down_1_six",
                (Stage::Down, false, false) => c"down_8",
                (Stage::Down, false, true) => c"down_8_six",
                (Stage::Head, true, false) => c"head_1",
                (Stage::Head, true, true) => c"head_1_six",
                (Stage::Head, false, false) => c"head_8",
                (Stage::Head, false, true) => c"head_8_six",
            },
        }
    }

    /// Which source it is in.
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Begin | Self::Fill | Self::Quantise => Source::Begin,
            Self::Many { .. } | Self::Slots => Source::Many,
            _ => Source::Step,
        }
    }
}

/// `kernels/*.cu`: each is compiled to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Begin,
    Step,
    Many,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Begin, Self::Step, Self::Many];

    /// Its name, and its text.
    #[must_use]
    pub fn text(self) -> (&'static CStr, &'static str) {
        match self {
            Self::Begin => (c"begin.cu", BEGIN),
            Self::Step => (c"step.cu", STEP),
            Self::Many => (c"many.cu", MANY),
        }
    }
}

pub(crate) fn options(source: Source, target: &Target) -> Vec<String> {
    let mut options = vec![
        format!("--gpu-architecture={}", target.architecture),
        "--std=c++17".to_owned(),
        "-default-device".to_owned(),
        "--ptxas-options=-v".to_owned(),
        // Multiplications and additions are fused where the sources say so, and nowhere else.
        "--fmad=false".to_owned(),
        format!("-DHEAD_DIM={}", target.head_dim),
        format!("-DGROUP={}", target.group),
    ];
    // Products do not see keys and values: one module of them serves both types.
    if target.kv_type == KvType::Q8_0 && source != Source::Many {
        options.push("-DKV_Q8".to_owned());
    }
    // For whoever tries variants of the kernels.
    options.extend(
        env::var("MOE_NVRTC_OPTIONS").iter().flat_map(|more| more.split_whitespace().map(str::to_owned)),
    );
    options
}

type Program = *mut c_void;

/// A loaded NVRTC.
pub struct Compiler {
    library: Library,
    version: (c_int, c_int),
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Machine code and what the compiler said of it.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub cubin: Vec<u8>,
    pub log: String,
}

/// Names under which NVRTC is looked for.
fn candidates() -> Vec<String> {
    if let Ok(path) = env::var("MOE_NVRTC") {
        return vec![path];
    }
    if cfg!(windows) {
        return ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"].map(str::to_owned).to_vec();
    }
    let folders = ["", "/usr/local/cuda/lib64/", "/opt/cuda/lib64/"];
    let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
    folders.iter().flat_map(|folder| names.iter().map(move |name| format!("{folder}{name}"))).collect()
}

impl Compiler {
    /// # Errors
    /// [`Error::NoCompiler`].
    pub fn load() -> Result<Self, Error> {
        let looked_for = candidates();
        for name in &looked_for {
            // SAFETY: loading NVRTC runs its initialisers, which do nothing beyond themselves.
            let Ok(library) = (unsafe { Library::new(name) }) else { continue };
            // SAFETY: the symbol's type is that of NVRTC's header.
            let found = unsafe {
                library.get::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(c"nvrtcVersion").map(
                    |version| {
                        let mut numbers = (0, 0);
                        (version(&raw mut numbers.0, &raw mut numbers.1) == 0).then_some(numbers)
                    },
                )
            };
            if let Ok(Some(version)) = found {
                return Ok(Self { library, version });
            }
        }
        Err(Error::NoCompiler { looked_for })
    }

    /// Major and minor version.
    #[must_use]
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// # Errors
    /// [`Error::Compile`] with what NVRTC says.
    pub fn compile(&self, source: Source, target: &Target) -> Result<Compiled, Error> {
        let fail = |log: String| Error::Compile { architecture: target.architecture.clone(), log };
        let options = options(source, target);
        let (name, source) = source.text();
        let text = |text: &str| CString::new(text).map_err(|_| fail("a source holds a zero byte".to_owned()));
        let source = text(source)?;
        let headers = HEADERS.iter().map(|(_, header)| text(header)).collect::<Result<Vec<_>, _>>()?;
        let headers: Vec<*const c_char> = headers.iter().map(|header| header.as_ptr()).collect();
        let names: Vec<*const c_char> = HEADERS.iter().map(|(name, _)| name.as_ptr()).collect();
        let options = options.iter().map(|o| text(o)).collect::<Result<Vec<_>, _>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let missing = |error: libloading::Error| fail(error.to_string());
        // SAFETY: the symbols' types are those of NVRTC's header; strings and arrays live until the program is destroyed,
        // and buffers have the sizes that NVRTC names.
        unsafe {
            type Create = unsafe extern "C" fn(
                *mut Program,
                *const c_char,
                *const c_char,
                c_int,
                *const *const c_char,
                *const *const c_char,
            ) -> c_int;
            type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
            type Get = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
            let get = |what: &'static CStr| self.library.get::<Get>(what).map_err(missing);
            let size = |what: &'static CStr| self.library.get::<Size>(what).map_err(missing);
            let create = self.library.get::<Create>(c"nvrtcCreateProgram").map_err(missing)?;
            let run = self
                .library
                .get::<unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int>(
                    c"nvrtcCompileProgram",
                )
                .map_err(missing)?;
            let destroy = self
                .library
                .get::<unsafe extern "C" fn(*mut Program) -> c_int>(c"nvrtcDestroyProgram")
                .map_err(missing)?;
            let (log_size, log) = (size(c"nvrtcGetProgramLogSize")?, get(c"nvrtcGetProgramLog")?);
            let (cubin_size, cubin) = (size(c"nvrtcGetCUBINSize")?, get(c"nvrtcGetCUBIN")?);

            let mut program: Program = std::ptr::null_mut();
            let count = names.len() as c_int;
            let status = create(
                &raw mut program,
                source.as_ptr(),
                name.as_ptr(),
                count,
                headers.as_ptr(),
                names.as_ptr(),
            );
            if status != 0 {
                return Err(fail(format!("nvrtcCreateProgram: status {status}")));
            }
            let status = run(program, options.len() as c_int, options.as_ptr());
            let fetch = |size: &Size, get: &Get| {
                let mut bytes = 0;
                size(program, &raw mut bytes);
                let mut buffer = vec![0_u8; bytes];
                get(program, buffer.as_mut_ptr().cast());
                buffer
            };
            let log = fetch(&log_size, &log);
            let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
            let cubin = if status == 0 { fetch(&cubin_size, &cubin) } else { Vec::new() };
            destroy(&raw mut program);
            if status == 0 {
                Ok(Compiled { cubin, log })
            } else {
                Err(fail(format!("status {status}: {log}")))
            }
        }
    }
}
