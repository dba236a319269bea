//! What the driver answers, as errors of ours.

use std::ffi::CStr;

use cudarc::driver::sys;

use crate::Error;

/// The oldest driver with all that is called here: CUDA 12.0.
const NEEDED: i32 = 12000;

/// What the driver calls it.
fn text(status: sys::CUresult) -> String {
    let mut name = std::ptr::null();
    // SAFETY: the driver is loaded, as a status came from it; the name is a static string.
    unsafe {
        if sys::cuGetErrorName(status, &raw mut name) == sys::CUresult::CUDA_SUCCESS && !name.is_null() {
            return CStr::from_ptr(name).to_string_lossy().into_owned();
        }
    }
    format!("{status:?}")
}

pub(super) fn ok(doing: &'static str, status: sys::CUresult) -> Result<(), Error> {
    use sys::CUresult as R;
    match status {
        R::CUDA_SUCCESS => Ok(()),
        R::CUDA_ERROR_ILLEGAL_ADDRESS
        | R::CUDA_ERROR_LAUNCH_FAILED
        | R::CUDA_ERROR_LAUNCH_TIMEOUT
        | R::CUDA_ERROR_HARDWARE_STACK_ERROR
        | R::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | R::CUDA_ERROR_MISALIGNED_ADDRESS
        | R::CUDA_ERROR_INVALID_ADDRESS_SPACE
        | R::CUDA_ERROR_INVALID_PC
        | R::CUDA_ERROR_ECC_UNCORRECTABLE
        | R::CUDA_ERROR_NVLINK_UNCORRECTABLE
        | R::CUDA_ERROR_CONTEXT_IS_DESTROYED => Err(Error::Lost { doing, why: text(status) }),
        _ => Err(Error::Driver { doing, why: text(status) }),
    }
}

/// The driver's version, if a driver and a GPU are there.
pub(super) fn initialise() -> Result<i32, Error> {
    // SAFETY: looks whether the library can be loaded.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::NoDriver);
    }
    let mut version = 0;
    // SAFETY: the library is there, and these are in every version of it.
    let status = unsafe {
        let status = sys::cuInit(0);
        sys::cuDriverGetVersion(&raw mut version);
        status
    };
    if version < NEEDED {
        return Err(Error::DriverTooOld { found: version, needed: NEEDED });
    }
    match status {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => Err(Error::NoDevice),
        status => ok("cuInit", status).map(|()| version),
    }
}
