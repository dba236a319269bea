//! Why a GPU cannot be used, each with what to do about it.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The driver's library could not be loaded.
    NoDriver,
    /// It is there and names no GPU.
    NoDevice,
    /// The driver speaks an older version of CUDA than is needed, in the driver's own numbers (12040 for 12.4).
    DriverTooOld {
        found: i32,
        needed: i32,
    },
    /// An architecture that the kernels are not written for.
    Unsupported {
        device: String,
        why: &'static str,
    },
    /// No NVRTC under any of these names.
    NoCompiler {
        looked_for: Vec<String>,
    },
    /// NVRTC refused the kernels.
    Compile {
        architecture: String,
        log: String,
    },
    OutOfMemory {
        wanted: usize,
        free: usize,
    },
    /// The device fell off the bus, hung or faulted: what it held is gone, and this process cannot use it any more.
    Lost {
        doing: &'static str,
        why: String,
    },
    /// The driver refused something else.
    Driver {
        doing: &'static str,
        why: String,
    },
    /// Compiled kernels could not be written.
    Ship {
        path: std::path::PathBuf,
        why: String,
    },
    /// A model that the kernels do not compute.
    Model(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver => f.write_str(
                "no NVIDIA driver: the library libcuda.so.1 (nvcuda.dll on Windows) could not be loaded; install the \
                 driver, or give the container access to the GPU (docker run --gpus all)",
            ),
            Self::NoDevice => f.write_str(
                "the NVIDIA driver is there and names no GPU: see what nvidia-smi says, and what CUDA_VISIBLE_DEVICES is",
            ),
            Self::DriverTooOld { found, needed } => write!(
                f,
                "the driver speaks CUDA {}.{}, and {}.{} is needed: install a newer driver",
                found / 1000,
                found % 1000 / 10,
                needed / 1000,
                needed % 1000 / 10
            ),
            Self::Unsupported { device, why } => write!(f, "{device} cannot be used: {why}"),
            Self::NoCompiler { looked_for } => write!(
                f,
                "no NVRTC, which compiles the kernels: looked for {}; install the CUDA package that has it (Debian: \
                 libnvrtc, pip: nvidia-cuda-nvrtc), set MOE_NVRTC to the library's path, or MOE_KERNELS to a folder that \
                 `moe-server gpu kernels` has made for this GPU elsewhere",
                looked_for.join(", ")
            ),
            Self::Compile { architecture, log } => {
                write!(f, "NVRTC could not compile the kernels for {architecture}; try a newer NVRTC. It says: {log}")
            }
            Self::OutOfMemory { wanted, free } => write!(
                f,
                "{} MiB of GPU memory are wanted and {} MiB are free: end what else uses the GPU, or use a smaller model \
                 or context",
                wanted.div_ceil(1 << 20),
                free >> 20
            ),
            Self::Lost { doing, why } => {
                write!(f, "the GPU was lost while {doing} ({why}): see the kernel's log for an Xid, and start again")
            }
            Self::Driver { doing, why } => write!(f, "the driver failed at {doing}: {why}"),
            Self::Ship { path, why } => write!(f, "{} cannot be written: {why}", path.display()),
            Self::Model(why) => write!(f, "the model cannot run on a GPU: {why}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_what_to_do() {
        for (error, part) in [
            (Error::NoDriver, "install the driver"),
            (Error::NoDevice, "nvidia-smi"),
            (Error::DriverTooOld { found: 11080, needed: 12000 }, "CUDA 11.8, and 12.0"),
            (Error::NoCompiler { looked_for: vec!["libnvrtc.so.13".into()] }, "libnvrtc.so.13"),
            (
                Error::OutOfMemory { wanted: 3 << 20, free: 1 << 20 },
                "3 MiB of GPU memory are wanted and 1 MiB",
            ),
            (Error::Lost { doing: "waiting", why: "CUDA_ERROR_LAUNCH_FAILED".into() }, "Xid"),
        ] {
            let line = error.to_string();
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
    }
}
