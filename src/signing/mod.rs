//! What clouds want instead of a key in a header. Pure: no clock, no I/O; callers give the time and send what comes out.
//!
//! - [`sigv4`]: AWS Signature Version 4, the headers of a signed request (`bedrock` with `aws` in moegate.toml).

pub mod sigv4;
